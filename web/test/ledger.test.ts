import { describe, expect, it } from "vitest";
import { InputLedger, MAX_IN_FLIGHT_BYTES, MAX_PENDING_BYTES } from "../src/ledger";
import { MAX_INPUT_BYTES, MAX_PASTE_UNITS } from "../src/protocol";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Sends all that may be sent: numbers and texts. */
function send(ledger: InputLedger): [number, string][] {
  const sent: [number, string][] = [];
  for (let input = ledger.next(); input !== null; input = ledger.next()) {
    const { content } = input;
    sent.push([input.seq, content.kind === "bytes" ? new TextDecoder().decode(content.bytes) : content.text]);
  }
  return sent;
}

describe("the input ledger", () => {
  it("numbers from one and sends each message once", () => {
    const ledger = new InputLedger();
    ledger.type(encode("a"));
    ledger.paste("b");
    expect(send(ledger)).toEqual([
      [1, "a"],
      [2, "b"],
    ]);
    expect(send(ledger)).toEqual([]);
  });

  it("sends again after a resume only what the session has not applied", () => {
    const ledger = new InputLedger();
    for (const text of ["a", "b", "c"]) {
      ledger.type(encode(text));
    }
    send(ledger);
    ledger.acknowledge(1);
    ledger.type(encode("d"));
    expect(ledger.resume(2)).toBe(0);
    expect(send(ledger)).toEqual([
      [3, "c"],
      [4, "d"],
    ]);
  });

  it("goes on after the numbers an earlier page of this client has used", () => {
    const ledger = new InputLedger();
    ledger.type(encode("typed before the attach"));
    ledger.resume(41);
    expect(send(ledger)).toEqual([[42, "typed before the attach"]]);
  });

  it("goes on after what an earlier page of this client left waiting, and keeps its numbers", () => {
    const ledger = new InputLedger();
    ledger.type(encode("hello"));
    ledger.resume(0, 1);
    expect(send(ledger)).toEqual([[2, "hello"]]);
    ledger.acknowledge(1);
    expect(ledger.bytes).toBe(5);
    ledger.resume(0, 2);
    expect(send(ledger)).toEqual([[2, "hello"]]);
    // What waited before it is lost, and nothing of this.
    ledger.resume(0, 0);
    expect(send(ledger)).toEqual([[1, "hello"]]);
    ledger.resume(1, 1);
    expect(ledger.bytes).toBe(0);
  });

  it("sends again under its own numbers what it left waiting itself", () => {
    const ledger = new InputLedger();
    ledger.type(encode("a"));
    ledger.type(encode("b"));
    send(ledger);
    ledger.resume(0, 2);
    expect(send(ledger)).toEqual([
      [1, "a"],
      [2, "b"],
    ]);
  });

  it("never sends twice what a session that forgot the client may have applied, and says how much that is", () => {
    const ledger = new InputLedger();
    ledger.type(encode("rm x\r"));
    send(ledger);
    ledger.type(encode("later"));
    expect(ledger.resume(null)).toBe(5);
    expect(send(ledger)).toEqual([[1, "later"]]);
    expect(ledger.bytes).toBe(5);
  });

  it("sends again from where the session refused", () => {
    const ledger = new InputLedger();
    for (const text of ["a", "b", "c"]) {
      ledger.type(encode(text));
    }
    send(ledger);
    ledger.rewind(2);
    expect(send(ledger)).toEqual([
      [2, "b"],
      [3, "c"],
    ]);
  });

  it("ignores acks of what it never sent and repeated ones", () => {
    const ledger = new InputLedger();
    ledger.type(encode("a"));
    send(ledger);
    ledger.acknowledge(1);
    ledger.acknowledge(1);
    ledger.acknowledge(9);
    ledger.type(encode("b"));
    expect(send(ledger)).toEqual([[2, "b"]]);
    expect(ledger.bytes).toBe(1);
  });

  it("cuts large input into messages and keeps a bound on what is on its way", () => {
    const ledger = new InputLedger();
    const large = new Uint8Array(MAX_IN_FLIGHT_BYTES + MAX_INPUT_BYTES + 1);
    expect(ledger.type(large)).toBe(true);
    const first = send(ledger);
    expect(first).toHaveLength(MAX_IN_FLIGHT_BYTES / MAX_INPUT_BYTES);
    expect(first.every(([, text]) => text.length <= MAX_INPUT_BYTES)).toBe(true);
    ledger.acknowledge(1);
    expect(send(ledger).map(([seq]) => seq)).toEqual([first.length + 1]);
  });

  it("refuses what is beyond its bound, whole", () => {
    const ledger = new InputLedger();
    expect(ledger.type(new Uint8Array(MAX_PENDING_BYTES))).toBe(true);
    expect(ledger.type(encode("x"))).toBe(false);
    expect(ledger.bytes).toBe(MAX_PENDING_BYTES);
  });

  it("cuts a long paste between characters", () => {
    const ledger = new InputLedger();
    const text = `${"a".repeat(MAX_PASTE_UNITS - 1)}😀b`;
    expect(ledger.paste(text)).toBe(true);
    const sent: string[] = [];
    for (const seq of [1, 2]) {
      const [entry] = send(ledger);
      sent.push(entry?.[1] ?? "");
      ledger.acknowledge(seq);
    }
    expect(sent[0]).toHaveLength(MAX_PASTE_UNITS - 1);
    expect(sent.join("")).toBe(text);
  });
});
