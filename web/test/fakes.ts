// A server's end of the terminal stream and a picture that keeps what was drawn, for the tests of this folder.

import { SUBPROTOCOL } from "../src/protocol";
import type { TerminalSize } from "../src/protocol";
import type { Socket } from "../src/connection";
import type { Picture } from "../src/session";
import type { Snapshot } from "../src/output";

/** One socket as its server sees it: what came in, and the means to answer. */
export class FakeSocket {
  binaryType: BinaryType = "blob";
  protocol = SUBPROTOCOL;
  onopen: Socket["onopen"] = null;
  onmessage: Socket["onmessage"] = null;
  onclose: Socket["onclose"] = null;
  closedWith: number | null = null;
  /** Text messages that came in. */
  readonly messages: Record<string, unknown>[] = [];
  /** Input frames that came in, with their text. */
  readonly inputs: { channel: number; seq: number; text: string }[] = [];
  /** Offsets of ack frames that came in. */
  readonly acks: number[] = [];

  constructor(readonly ticket: string) {}

  send(data: unknown): void {
    if (typeof data === "string") {
      this.messages.push(JSON.parse(data) as Record<string, unknown>);
      return;
    }
    const bytes = data as Uint8Array;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const number = Number(view.getBigUint64(3));
    if (bytes[0] === 4) {
      this.acks.push(number);
    } else {
      const text = new TextDecoder().decode(bytes.subarray(11));
      this.inputs.push({ channel: view.getUint16(1), seq: number, text });
    }
  }

  close(code?: number): void {
    this.closedWith = code ?? 1005;
  }

  /** The last message of this type that came in. */
  last(type: string): Record<string, unknown> {
    const found = this.messages.filter((message) => message["type"] === type).at(-1);
    if (found === undefined) {
      throw new Error(`no ${type} came in`);
    }
    return found;
  }

  open(): void {
    this.onopen?.call(this as unknown as WebSocket, new Event("open"));
  }

  /** Ends the connection from the server's side, or the network's. */
  end(code = 1006): void {
    this.onclose?.call(this as unknown as WebSocket, { code, reason: "" } as CloseEvent);
  }

  say(message: Record<string, unknown>): void {
    this.deliver(JSON.stringify(message));
  }

  output(channel: number, offset: number, text: string): void {
    this.deliver(frame(1, channel, offset, new TextEncoder().encode(text)));
  }

  /** `flags`: the reason's number, and bit 7 if more of the snapshot follows. */
  snapshot(channel: number, offset: number, size: TerminalSize, text: string, flags = 0): void {
    const head = new Uint8Array(5);
    head[4] = flags;
    new DataView(head.buffer).setUint16(0, size.cols);
    new DataView(head.buffer).setUint16(2, size.rows);
    this.deliver(frame(2, channel, offset, new Uint8Array([...head, ...new TextEncoder().encode(text)])));
  }

  ackInput(channel: number, seq: number): void {
    this.deliver(frame(5, channel, seq, new Uint8Array()));
  }

  /** Answers the last attach or connect. */
  connected(channel: number, sessionId: string, resume: Record<string, unknown>): void {
    const asked = this.messages.filter((message) => message["type"] === "attach" || message["type"] === "connect").at(-1);
    this.say({
      type: "status",
      session_id: sessionId,
      request_id: asked?.["request_id"],
      data: { status: "connected", channel, terminal_size: { rows: 24, cols: 80 }, resume },
    });
  }

  private deliver(data: unknown): void {
    this.onmessage?.call(this as unknown as WebSocket, { data } as MessageEvent);
  }
}

/** Draws at once, or when told to. */
export class FakePicture implements Picture {
  text = "";
  size: TerminalSize | null = null;
  holdsBack = false;
  private readonly waiting: (() => void)[] = [];

  write(bytes: Uint8Array, done: () => void): void {
    this.text += new TextDecoder().decode(bytes);
    this.finish(done);
  }

  restore(snapshot: Snapshot, done: () => void): void {
    this.text = `[${snapshot.reason}]${new TextDecoder().decode(snapshot.bytes)}`;
    this.size = snapshot.size;
    this.finish(done);
  }

  resize(size: TerminalSize): void {
    this.size = size;
  }

  drawAll(): void {
    this.waiting.splice(0).forEach((done) => done());
  }

  private finish(done: () => void): void {
    if (this.holdsBack) {
      this.waiting.push(done);
    } else {
      done();
    }
  }
}

function frame(kind: number, channel: number, number: number, payload: Uint8Array): ArrayBuffer {
  const bytes = new Uint8Array(11 + payload.byteLength);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, kind);
  view.setUint16(1, channel);
  view.setBigUint64(3, BigInt(number));
  bytes.set(payload, 11);
  return bytes.buffer;
}
