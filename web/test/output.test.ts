import { describe, expect, it } from "vitest";
import { OutputTracker } from "../src/output";
import type { ServerFrame } from "../src/protocol";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (accepted: { bytes: Uint8Array } | null): string | null =>
  accepted === null ? null : new TextDecoder().decode(accepted.bytes);

function snapshot(offset: number, content: string, more = false): Extract<ServerFrame, { kind: "snapshot" }> {
  return { kind: "snapshot", channel: 1, offset, size: { rows: 2, cols: 4 }, reason: "attach", more, bytes: bytes(content) };
}

describe("the output tracker", () => {
  it("has nothing to go on from before the first attach", () => {
    expect(new OutputTracker().offset).toBeNull();
  });

  it("drops what came before, whole or in part", () => {
    const output = new OutputTracker();
    output.begin(10, null);
    expect(text(output.accept(10, bytes("abc")))).toBe("abc");
    expect(output.accept(10, bytes("abc"))).toBeNull();
    expect(text(output.accept(11, bytes("bcd")))).toBe("d");
    expect(output.offset).toBe(14);
  });

  it("counts what is missing", () => {
    const output = new OutputTracker();
    output.begin(0, null);
    expect(output.accept(5, bytes("x"))).toEqual({ bytes: bytes("x"), missing: 5 });
    expect(output.offset).toBe(6);
  });

  it("acknowledges what is drawn, never what is only received", () => {
    const output = new OutputTracker();
    output.begin(0, 400);
    output.accept(0, new Uint8Array(150));
    expect(output.takeAck()).toBeNull();
    output.draw(output.mark());
    expect(output.ackIsUrgent).toBe(true);
    expect(output.takeAck()).toBe(150);
    expect(output.takeAck()).toBeNull();
    expect(output.ackIsUrgent).toBe(false);
  });

  it("puts a snapshot's parts together and goes on from its offset", () => {
    const output = new OutputTracker();
    output.begin(null, null);
    expect(output.acceptSnapshot(snapshot(70, "ab", true))).toBeNull();
    // A connection that breaks here must ask for the snapshot again.
    expect(output.offset).toBeNull();
    expect(text(output.acceptSnapshot(snapshot(70, "cd")))).toBe("abcd");
    expect(output.offset).toBe(70);
    output.draw(output.mark());
    expect(output.takeAck()).toBe(70);
  });

  it("does not take bytes drawn from before a snapshot for bytes after it", () => {
    const output = new OutputTracker();
    output.begin(1000, null);
    output.accept(1000, new Uint8Array(10));
    const before = output.mark();
    output.acceptSnapshot(snapshot(500, "x"));
    output.draw(before);
    expect(output.takeAck()).toBeNull();
  });

  it("starts a broken snapshot's parts anew after the next attach", () => {
    const output = new OutputTracker();
    output.begin(null, null);
    output.acceptSnapshot(snapshot(70, "ab", true));
    output.begin(null, null);
    expect(text(output.acceptSnapshot(snapshot(80, "z")))).toBe("z");
  });
});
