import { describe, expect, it } from "vitest";
import { decodeFrame, encodeAck, encodeInput, parseMessage, parseResume, parseSize } from "../src/protocol";

function bytes(...values: number[]): ArrayBuffer {
  return new Uint8Array(values).buffer;
}

describe("binary frames", () => {
  it("reads output with its channel and offset, the bytes untouched", () => {
    const frame = decodeFrame(bytes(1, 0x01, 0x02, 0, 0, 0, 1, 0, 0, 0, 5, 0x1b, 0x00, 0xff));
    expect(frame).toEqual({
      kind: "output",
      channel: 0x0102,
      offset: 2 ** 32 + 5,
      bytes: new Uint8Array([0x1b, 0x00, 0xff]),
    });
  });

  it("reads a snapshot's size and reason, and whether more of it follows", () => {
    const frame = decodeFrame(bytes(2, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9, 0, 120, 0, 40, 0x82, 0x41));
    expect(frame).toEqual({
      kind: "snapshot",
      channel: 7,
      offset: 9,
      size: { cols: 120, rows: 40 },
      reason: "recovered",
      more: true,
      bytes: new Uint8Array([0x41]),
    });
  });

  it("reads an input_ack", () => {
    expect(decodeFrame(bytes(5, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0))).toEqual({ kind: "input_ack", channel: 1, seq: 256 });
  });

  it.each([
    ["nothing", bytes()],
    ["a cut header", bytes(1, 0, 0, 0, 0, 0, 0, 0, 0, 0)],
    ["a snapshot without its reason", bytes(2, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9, 0, 120, 0, 40)],
    ["an unknown kind", bytes(9, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9)],
  ])("refuses %s", (_, buffer) => {
    expect(decodeFrame(buffer)).toBeNull();
  });

  it("writes input and ack in network order", () => {
    expect([...encodeInput(0x0102, 2 ** 40, new Uint8Array([0xc3, 0xa4]))]).toEqual([
      3, 1, 2, 0, 0, 1, 0, 0, 0, 0, 0, 0xc3, 0xa4,
    ]);
    expect([...encodeAck(2, 513)]).toEqual([4, 0, 2, 0, 0, 0, 0, 0, 0, 2, 1]);
  });
});

describe("text messages", () => {
  it("keeps what it knows and the whole envelope", () => {
    const message = parseMessage('{"type":"status","session_id":"s","request_id":"r","data":{"a":1},"offset":3}');
    expect(message).toMatchObject({ type: "status", sessionId: "s", requestId: "r", data: { a: 1 } });
    expect(message?.envelope["offset"]).toBe(3);
  });

  it.each(["", "{", "[]", "null", '{"type":1}', '{"data":{}}'])("refuses %j", (text) => {
    expect(parseMessage(text)).toBeNull();
  });

  it("reads a resume, with and without a known client", () => {
    expect(parseResume({ kind: "replay", offset: 5, input_seq: 3, window: 10 })).toEqual({
      kind: "replay",
      offset: 5,
      inputSeq: 3,
      inputQueued: null,
      inputUncertain: null,
    });
    expect(parseResume({ kind: "snapshot", offset: 5, input_seq: null, input_queued: 3, input_uncertain: 4 })).toEqual({
      kind: "snapshot",
      offset: 5,
      inputSeq: null,
      inputQueued: 3,
      inputUncertain: 4,
    });
    expect(parseResume({ kind: "other", offset: 5 })).toBeNull();
    expect(parseResume(undefined)).toBeNull();
  });

  it("reads sizes, but none without cells", () => {
    expect(parseSize({ rows: 24, cols: 80 })).toEqual({ rows: 24, cols: 80 });
    expect(parseSize({ rows: 0, cols: 80 })).toBeNull();
    expect(parseSize({ rows: "24", cols: 80 })).toBeNull();
  });
});
