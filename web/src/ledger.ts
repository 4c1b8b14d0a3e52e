// What was typed and not yet acknowledged, in order; knows nothing of sockets, only what to send next.

import { MAX_INPUT_BYTES, MAX_PASTE_UNITS } from "./protocol";

/** Most bytes typed and not yet acknowledged: what comes on top is refused and said to be. */
export const MAX_PENDING_BYTES = 1024 * 1024;

/** Most bytes on the way to the server at once, so that its own 1 MiB of waiting input is never full because of us. */
export const MAX_IN_FLIGHT_BYTES = 256 * 1024;

/** One numbered input message. */
export interface Input {
  seq: number;
  content: { kind: "bytes"; bytes: Uint8Array } | { kind: "paste"; text: string };
}

interface Entry {
  content: Input["content"];
  size: number;
  /** On its way: not to be sent again. */
  sent: boolean;
  /** Was it ever sent? What was not cannot have been applied, whatever number is acknowledged. */
  everSent: boolean;
}

/**
 * Numbers input and keeps it until the session has it. The first pending entry has the number after the last
 * acknowledged one, or after the last that an earlier page of this client left waiting: numbers follow from the order, so nothing can be numbered twice or skipped.
 */
export class InputLedger {
  private pending: Entry[] = [];
  private pendingBytes = 0;
  private acknowledged = 0;

  /** Adds typed bytes; false when too much is pending already, and then none of it was taken. */
  type(bytes: Uint8Array): boolean {
    const entries: Entry[] = [];
    for (let at = 0; at < bytes.byteLength; at += MAX_INPUT_BYTES) {
      const part = bytes.slice(at, at + MAX_INPUT_BYTES);
      entries.push({ content: { kind: "bytes", bytes: part }, size: part.byteLength, sent: false, everSent: false });
    }
    return this.add(entries);
  }

  /** Adds pasted text; false when too much is pending already, and then none of it was taken. */
  paste(text: string): boolean {
    const entries: Entry[] = [];
    for (let at = 0; at < text.length; ) {
      let end = Math.min(at + MAX_PASTE_UNITS, text.length);
      if (end < text.length && isHighSurrogate(text.charCodeAt(end - 1))) {
        end -= 1;
      }
      const part = text.slice(at, end);
      entries.push({ content: { kind: "paste", text: part }, size: part.length * 3, sent: false, everSent: false });
      at = end;
    }
    return this.add(entries);
  }

  /** The next input that may be sent now, marked as sent; null when there is none or enough is on its way. */
  next(): Input | null {
    let inFlight = 0;
    for (const [index, entry] of this.pending.entries()) {
      if (entry.sent) {
        inFlight += entry.size;
        continue;
      }
      if (inFlight > 0 && inFlight + entry.size > MAX_IN_FLIGHT_BYTES) {
        return null;
      }
      entry.sent = true;
      entry.everSent = true;
      return { seq: this.acknowledged + 1 + index, content: entry.content };
    }
    return null;
  }

  /** Drops everything up to `seq`: the session has it. */
  acknowledge(seq: number): void {
    const firstUnsent = this.pending.findIndex((entry) => !entry.everSent);
    const sentCount = firstUnsent === -1 ? this.pending.length : firstUnsent;
    const count = Math.min(seq - this.acknowledged, sentCount);
    if (count <= 0) {
      return;
    }
    for (const entry of this.pending.splice(0, count)) {
      this.pendingBytes -= entry.size;
    }
    this.acknowledged += count;
  }

  /** The session did not take `seq` and what came after: these are to be sent again. */
  rewind(seq: number): void {
    for (const entry of this.pending.slice(Math.max(0, seq - this.acknowledged - 1))) {
      entry.sent = false;
    }
  }

  /**
   * Goes on after an attach whose session applied everything up to `inputSeq` and took everything up to `inputQueued`: what
   * is not from here waits there from an earlier page. What was not applied is to be sent again. Null: the
   * session does not know this client, so what was on its way may or may not have arrived. That is dropped, never sent
   * twice, and its number of bytes is returned for the user to be told.
   */
  resume(inputSeq: number | null, inputQueued: number | null = null): number {
    let uncertainBytes = 0;
    if (inputSeq === null) {
      const uncertain = this.pending.filter((entry) => entry.everSent);
      uncertainBytes = uncertain.reduce((sum, entry) => sum + entry.size, 0);
      this.pending = this.pending.filter((entry) => !entry.everSent);
      this.pendingBytes -= uncertainBytes;
      this.acknowledged = 0;
    } else {
      this.acknowledge(inputSeq);
      const taken = Math.max(inputSeq, inputQueued ?? 0);
      // What was sent keeps its number, unless what had the numbers before it is lost.
      const before = this.pending[0]?.everSent === true ? Math.min(this.acknowledged, taken) : taken;
      this.acknowledged = Math.max(inputSeq, before);
      this.rewind(this.acknowledged + 1);
    }
    return uncertainBytes;
  }

  /** Bytes typed and not acknowledged. */
  get bytes(): number {
    return this.pendingBytes;
  }

  /** Forgets everything: the session is over. */
  clear(): void {
    this.pending = [];
    this.pendingBytes = 0;
  }

  private add(entries: Entry[]): boolean {
    const size = entries.reduce((sum, entry) => sum + entry.size, 0);
    if (this.pendingBytes + size > MAX_PENDING_BYTES) {
      return false;
    }
    this.pending.push(...entries);
    this.pendingBytes += size;
    return true;
  }
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}
