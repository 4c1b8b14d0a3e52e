// Where a session's output stands: received, drawn, acknowledged; knows neither the socket nor the terminal.

import { WINDOW_BYTES } from "./protocol";
import type { ServerFrame, TerminalSize, SnapshotReason } from "./protocol";

/** Longest time drawn output stays unacknowledged, in milliseconds (protocol, `ack`). */
export const ACK_DELAY_MS = 50;

type SnapshotFrame = Extract<ServerFrame, { kind: "snapshot" }>;

/** A snapshot with all its parts. */
export interface Snapshot {
  size: TerminalSize;
  reason: SnapshotReason;
  bytes: Uint8Array;
}

/** What became of an output frame: the bytes to draw, and how many were missing before them (a bug somewhere). */
export interface Accepted {
  bytes: Uint8Array;
  missing: number;
}

/** Names a place in the stream so that a late "drawn" of bytes from before a snapshot is known as such. */
export interface Mark {
  offset: number;
  generation: number;
}

/** Counts one session's output by offset: drops what came before, notices gaps, says when to ack. */
export class OutputTracker {
  private received: number | null = null;
  private drawn = 0;
  private acked = 0;
  private window = WINDOW_BYTES;
  private generation = 0;
  private parts: Uint8Array[] = [];

  /** The first byte not received yet: where an attach goes on. Null: nothing to go on from. */
  get offset(): number | null {
    return this.received;
  }

  /** Starts after an attach that goes on at `offset`; null: with a snapshot, until which there is nothing to go on from. */
  begin(offset: number | null, window: number | null): void {
    this.received = offset;
    this.acked = offset ?? 0;
    this.window = window ?? WINDOW_BYTES;
    this.parts = [];
  }

  /** Takes an output frame; null when all of it came before. */
  accept(offset: number, bytes: Uint8Array): Accepted | null {
    const expected = this.received ?? offset;
    const end = offset + bytes.byteLength;
    if (end <= expected) {
      return null;
    }
    this.received = end;
    return { bytes: bytes.subarray(Math.max(0, expected - offset)), missing: Math.max(0, offset - expected) };
  }

  /** Takes a part of a snapshot; the whole of it with the last part, null before. */
  acceptSnapshot(frame: SnapshotFrame): Snapshot | null {
    this.parts.push(frame.bytes);
    if (frame.more) {
      return null;
    }
    const bytes = concat(this.parts);
    this.parts = [];
    this.received = frame.offset;
    // One below, so that the snapshot itself is acknowledged once it is drawn.
    this.drawn = frame.offset - 1;
    this.acked = frame.offset - 1;
    this.generation += 1;
    return { size: frame.size, reason: frame.reason, bytes };
  }

  /** The place reached, to be handed to {@link draw} once everything up to it is on the screen. */
  mark(): Mark {
    return { offset: this.received ?? 0, generation: this.generation };
  }

  /** Everything up to `mark` is on the screen. */
  draw(mark: Mark): void {
    if (mark.generation === this.generation) {
      this.drawn = Math.max(this.drawn, mark.offset);
    }
  }

  /** Is a quarter of the window drawn and not acknowledged? Then an ack goes at once, else within {@link ACK_DELAY_MS}. */
  get ackIsUrgent(): boolean {
    return this.drawn - this.acked >= this.window / 4;
  }

  /** The offset to acknowledge now, counted as acknowledged from here on; null when there is nothing new. */
  takeAck(): number | null {
    if (this.drawn <= this.acked) {
      return null;
    }
    this.acked = this.drawn;
    return this.drawn;
  }
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}
