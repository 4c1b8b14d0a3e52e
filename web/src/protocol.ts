// The terminal stream of docs/protocol.md as types and bytes; knows nothing of sockets, sessions or the page.

/** The WebSocket subprotocol with binary terminal bytes. */
export const SUBPROTOCOL = "devpocket.bin.v1";

/** Most bytes the server may send beyond the last ack. */
export const WINDOW_BYTES = 256 * 1024;

/** Most bytes of one input frame, well below the 1 MiB a message may have. */
export const MAX_INPUT_BYTES = 64 * 1024;

/** Most UTF-16 units of one paste message: at most 3 bytes each, or 6 when JSON escapes them. */
export const MAX_PASTE_UNITS = 128 * 1024;

/** A terminal's size in cells, each 1 to 1000. */
export interface TerminalSize {
  rows: number;
  cols: number;
}

/** Why a snapshot was sent. */
export type SnapshotReason = "attach" | "lagged" | "recovered";

/** A binary frame from the server. */
export type ServerFrame =
  | { kind: "output"; channel: number; offset: number; bytes: Uint8Array }
  | {
      kind: "snapshot";
      channel: number;
      offset: number;
      size: TerminalSize;
      reason: SnapshotReason;
      /** More parts of the same snapshot follow. */
      more: boolean;
      bytes: Uint8Array;
    }
  | { kind: "input_ack"; channel: number; seq: number };

/** How an attach goes on. */
export interface Resume {
  kind: "fresh" | "replay" | "snapshot";
  offset: number;
  /** Last applied input of this client; null when the session does not know the client. */
  inputSeq: number | null;
  /** Last input taken of this client, applied or not; null where the server does not tell. */
  inputQueued: number | null;
  /** The input a daemon's end interrupted: counts as applied, may not have been. */
  inputUncertain: number | null;
}

/** A text message from the server; `data` is checked where it is read. */
export interface ServerMessage {
  type: string;
  sessionId: string | null;
  requestId: string | null;
  /** The whole envelope, for fields that travel beside `data`. */
  envelope: Record<string, unknown>;
  data: unknown;
}

/** A text message to the server; `session_id` is added by who sends it. */
export interface ClientMessage {
  type: string;
  session_id?: string;
  request_id?: string;
  seq?: number;
  data?: unknown;
}

const OUTPUT = 0x01;
const SNAPSHOT = 0x02;
const INPUT = 0x03;
const ACK = 0x04;
const INPUT_ACK = 0x05;

const REASONS: readonly SnapshotReason[] = ["attach", "lagged", "recovered"];
const MORE_FOLLOWS = 0x80;

/** Decodes a binary frame; null when it is cut short or of an unknown kind. */
export function decodeFrame(buffer: ArrayBuffer): ServerFrame | null {
  const view = new DataView(buffer);
  if (buffer.byteLength < 11) {
    return null;
  }
  const channel = view.getUint16(1);
  const number = readU64(view, 3);
  switch (view.getUint8(0)) {
    case OUTPUT:
      return { kind: "output", channel, offset: number, bytes: new Uint8Array(buffer, 11) };
    case SNAPSHOT: {
      if (buffer.byteLength < 16) {
        return null;
      }
      const reason = view.getUint8(15);
      return {
        kind: "snapshot",
        channel,
        offset: number,
        size: { cols: view.getUint16(11), rows: view.getUint16(13) },
        reason: REASONS[reason & ~MORE_FOLLOWS] ?? "attach",
        more: (reason & MORE_FOLLOWS) !== 0,
        bytes: new Uint8Array(buffer, 16),
      };
    }
    case INPUT_ACK:
      return { kind: "input_ack", channel, seq: number };
    default:
      return null;
  }
}

/** Encodes typed bytes. `seq` 0 means unsequenced. */
export function encodeInput(channel: number, seq: number, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const frame = header(INPUT, channel, seq, bytes.byteLength);
  frame.set(bytes, 11);
  return frame;
}

/** Encodes how far the output was drawn. */
export function encodeAck(channel: number, offset: number): Uint8Array<ArrayBuffer> {
  return header(ACK, channel, offset, 0);
}

/** Reads a text message; null when it is not a JSON object with a type. */
export function parseMessage(text: string): ServerMessage | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(parsed) || typeof parsed["type"] !== "string") {
    return null;
  }
  return {
    type: parsed["type"],
    sessionId: textOf(parsed["session_id"]),
    requestId: textOf(parsed["request_id"]),
    envelope: parsed,
    data: parsed["data"],
  };
}

/** Reads `resume` of a `status: connected`; null when it is not one. */
export function parseResume(value: unknown): Resume | null {
  if (!isRecord(value)) {
    return null;
  }
  const { kind, offset } = value;
  if ((kind !== "fresh" && kind !== "replay" && kind !== "snapshot") || typeof offset !== "number") {
    return null;
  }
  return {
    kind,
    offset,
    inputSeq: numberOf(value["input_seq"]),
    inputQueued: numberOf(value["input_queued"]),
    inputUncertain: numberOf(value["input_uncertain"]),
  };
}

/** Reads a size; null when it is not one. */
export function parseSize(value: unknown): TerminalSize | null {
  if (!isRecord(value)) {
    return null;
  }
  const rows = numberOf(value["rows"]);
  const cols = numberOf(value["cols"]);
  return rows === null || cols === null || rows < 1 || cols < 1 ? null : { rows, cols };
}

/** Tells an object from everything else JSON has. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value if it is a text, else null. */
export function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

/** The value if it is a number, else null. */
export function numberOf(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}

function header(kind: number, channel: number, number: number, payloadBytes: number): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(11 + payloadBytes);
  const view = new DataView(frame.buffer);
  view.setUint8(0, kind);
  view.setUint16(1, channel);
  view.setBigUint64(3, BigInt(number));
  return frame;
}

// 2^53 bytes of one session's output take 285 years at 1 MB/s, so a double holds every offset exactly.
function readU64(view: DataView, at: number): number {
  return Number(view.getBigUint64(at));
}
