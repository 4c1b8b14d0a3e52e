import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Connection, TicketError } from "../src/connection";
import type { Socket } from "../src/connection";
import { Session } from "../src/session";
import { FakePicture, FakeSocket } from "./fakes";

const ID = "0190b6f0-0000-7000-8000-000000000001";

/** A page: its connection, every socket it opened, and what it told the user. */
class Page {
  readonly sockets: FakeSocket[] = [];
  readonly notices: string[] = [];
  readonly copied: string[] = [];
  readonly notified: string[] = [];
  bells = 0;
  readonly refusals: boolean[] = [];
  isSignedOut = false;
  ticketError: Error | null = null;
  readonly connection = new Connection({
    ticket: async (afterRefusal) => {
      this.refusals.push(afterRefusal);
      if (this.ticketError !== null) {
        throw this.ticketError;
      }
      return `ticket-${this.refusals.length}`;
    },
    freshToken: async () => "fresh",
    open: (ticket) => {
      const socket = new FakeSocket(ticket);
      this.sockets.push(socket);
      return socket as unknown as Socket;
    },
    changed: () => undefined,
    signedOut: () => {
      this.isSignedOut = true;
    },
    notice: (text) => this.notices.push(text),
  });
  private requests = 0;

  session(id: string | null): { session: Session; picture: FakePicture } {
    const picture = new FakePicture();
    const session = new Session(id, "client", () => `r${++this.requests}`, picture, {
      changed: () => undefined,
      notice: (text) => this.notices.push(text),
      clipboard: (text) => this.copied.push(text),
      notified: (text) => this.notified.push(text),
      rang: () => {
        this.bells += 1;
      },
    });
    this.connection.add(session);
    return { session, picture };
  }

  /** The newest socket, once its ticket has come. */
  async socket(): Promise<FakeSocket> {
    await vi.advanceTimersByTimeAsync(0);
    const socket = this.sockets.at(-1);
    if (socket === undefined) {
      throw new Error("no socket was opened");
    }
    return socket;
  }

  /** Opens the newest socket. */
  async open(): Promise<FakeSocket> {
    const socket = await this.socket();
    socket.open();
    return socket;
  }

  /** Lets the longest wait pass, after which there is a new socket, and opens it. */
  async reopen(): Promise<FakeSocket> {
    const before = this.sockets.length;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(this.sockets.length).toBe(before + 1);
    return this.open();
  }
}

const type = (session: Session, text: string): void => session.type(new TextEncoder().encode(text));

let page: Page;

beforeEach(() => {
  vi.useFakeTimers();
  page = new Page();
});

afterEach(() => {
  vi.useRealTimers();
});

describe("opening", () => {
  it("creates a session and draws what it prints", async () => {
    const { session, picture } = page.session(null);
    const socket = await page.open();
    expect(socket.last("connect")).toMatchObject({
      request_id: "r1",
      data: { session_type: "local", client_id: "client", window: 262_144, delivery: "lossless" },
    });
    socket.connected(3, ID, { kind: "fresh", offset: 0, input_seq: 0, window: 262_144 });
    socket.output(3, 0, "$ ");
    expect(session.id).toBe(ID);
    expect(picture.text).toBe("$ ");
    expect(picture.size).toEqual({ rows: 24, cols: 80 });
  });

  it("asks for the same session again when the answer was lost, by the same request id", async () => {
    page.session(null);
    const first = await page.open();
    first.end();
    const second = await page.reopen();
    expect(second.last("connect")["request_id"]).toBe(first.last("connect")["request_id"]);
  });

  it("does not risk a second session when too much time has passed", async () => {
    const { session } = page.session(null);
    (await page.open()).end();
    page.ticketError = new TicketError("The server cannot be reached.", false, false);
    await vi.advanceTimersByTimeAsync(60_000);
    page.ticketError = null;
    await vi.advanceTimersByTimeAsync(10_000);
    const socket = await page.open();
    expect(session.phase.is).toBe("ended");
    expect(socket.messages).toEqual([]);
  });

  it("draws a snapshot and goes on from it", async () => {
    const { picture } = page.session(ID);
    const socket = await page.open();
    expect(socket.last("attach")).toMatchObject({ session_id: ID, data: { mode: "control" } });
    expect(socket.last("attach")["data"]).not.toHaveProperty("offset");
    socket.connected(1, ID, { kind: "snapshot", offset: 500, input_seq: null });
    socket.snapshot(1, 500, { rows: 10, cols: 40 }, "screen");
    socket.output(1, 500, "+more");
    expect(picture.text).toBe("[attach]screen+more");
    expect(picture.size).toEqual({ rows: 10, cols: 40 });
  });

  it("says that a session is gone, and never opens another under its id", async () => {
    const { session } = page.session(ID);
    const socket = await page.open();
    socket.say({
      type: "error",
      session_id: ID,
      request_id: "r1",
      data: { error: "session_not_found", message: "no such session", retryable: false },
    });
    expect(session.phase).toEqual({ is: "ended", why: "This session does not exist any longer." });
    socket.end();
    expect((await page.reopen()).messages).toEqual([]);
  });

  it("tries again when the node is away for a while", async () => {
    const { session } = page.session(ID);
    const socket = await page.open();
    const refuse = (request: unknown): void =>
      socket.say({
        type: "error",
        session_id: ID,
        request_id: request,
        data: { error: "node_unavailable", message: "The node does not answer.", retryable: true },
      });
    refuse("r1");
    expect(session.phase).toEqual({ is: "joining", problem: "The node does not answer." });
    await vi.advanceTimersByTimeAsync(250);
    socket.connected(2, ID, { kind: "replay", offset: 0, input_seq: null });
    expect(session.phase.is).toBe("live");
  });
});

describe("coming back", () => {
  async function livePage(): Promise<{ session: Session; picture: FakePicture; socket: FakeSocket }> {
    const { session, picture } = page.session(null);
    const socket = await page.open();
    socket.connected(1, ID, { kind: "fresh", offset: 0, input_seq: 0 });
    socket.output(1, 0, "abc");
    return { session, picture, socket };
  }

  it("goes on at the exact byte", async () => {
    const { picture, socket } = await livePage();
    socket.end();
    const next = await page.reopen();
    expect(next.ticket).not.toBe(socket.ticket);
    expect(next.last("attach")["data"]).toMatchObject({ offset: 3, client_id: "client" });
    next.connected(7, ID, { kind: "replay", offset: 3, input_seq: null });
    next.output(7, 3, "def");
    next.output(7, 3, "def");
    next.output(7, 5, "fgh");
    expect(picture.text).toBe("abcdefgh");
  });

  it("applies what was typed exactly once: only what the session has not yet goes again", async () => {
    const { session, socket } = await livePage();
    type(session, "one");
    type(session, "two");
    expect(socket.inputs).toEqual([
      { channel: 1, seq: 1, text: "one" },
      { channel: 1, seq: 2, text: "two" },
    ]);
    socket.end();
    type(session, "three");
    const next = await page.reopen();
    next.connected(1, ID, { kind: "replay", offset: 3, input_seq: 1 });
    expect(next.inputs).toEqual([
      { channel: 1, seq: 2, text: "two" },
      { channel: 1, seq: 3, text: "three" },
    ]);
    next.ackInput(1, 3);
    expect(session.pendingBytes).toBe(0);
    expect(page.notices).toEqual([]);
  });

  it("tells the user what may not have arrived, and does not send it again", async () => {
    const { session, socket } = await livePage();
    type(session, "sudo reboot\r");
    socket.end();
    const next = await page.reopen();
    next.connected(1, ID, { kind: "replay", offset: 3, input_seq: null });
    expect(next.inputs).toEqual([]);
    expect(page.notices).toHaveLength(1);
  });

  it("tells the user of an input whose handing over was interrupted", async () => {
    const { session, socket } = await livePage();
    type(session, "x");
    socket.end();
    const next = await page.reopen();
    next.connected(1, ID, { kind: "replay", offset: 3, input_seq: 1, input_uncertain: 1 });
    expect(next.inputs).toEqual([]);
    expect(page.notices).toHaveLength(1);
    next.end();
    (await page.reopen()).connected(1, ID, { kind: "replay", offset: 3, input_seq: 1, input_uncertain: 1 });
    expect(page.notices).toHaveLength(1);
  });

  it("tells the user of an input that was given up while the page was there", async () => {
    const { session, socket } = await livePage();
    type(session, "x");
    const details = { seq: 1 };
    const data = { error: "input_uncertain", message: "please check", details, retryable: false };
    socket.say({ type: "error", session_id: ID, data });
    expect(page.notices).toEqual(["please check"]);
  });

  it("comes back at once when the network does", async () => {
    const { socket } = await livePage();
    socket.end();
    page.connection.wake();
    await vi.advanceTimersByTimeAsync(0);
    expect(page.sockets).toHaveLength(2);
  });

  it("finds out that a socket is dead though the browser believes in it", async () => {
    const { session, socket } = await livePage();
    type(session, "x");
    await vi.advanceTimersByTimeAsync(2_000);
    expect(socket.last("ping")).toBeDefined();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(socket.closedWith).toBe(4000);
    const next = await page.reopen();
    next.connected(1, ID, { kind: "replay", offset: 3, input_seq: 0 });
    expect(next.inputs).toEqual([{ channel: 1, seq: 1, text: "x" }]);
  });

  it("keeps a quiet socket whose server answers", async () => {
    const { socket } = await livePage();
    for (let pings = 0; pings < 5; pings += 1) {
      await vi.advanceTimersByTimeAsync(20_000);
      socket.say({ type: "pong", data: null });
    }
    expect(page.sockets).toHaveLength(1);
    expect(socket.messages.filter((message) => message["type"] === "ping")).toHaveLength(5);
  });

  it("ignores what a socket it gave up still says", async () => {
    const { picture, socket } = await livePage();
    const { onmessage } = socket;
    socket.end();
    socket.onmessage = onmessage;
    socket.output(1, 3, "late");
    expect(picture.text).toBe("abc");
  });

  it("attaches again on the same socket when the session's host restarts", async () => {
    const { session, picture, socket } = await livePage();
    socket.say({ type: "status", session_id: ID, data: { status: "interrupted" } });
    type(session, "kept");
    expect(socket.inputs).toEqual([]);
    await vi.advanceTimersByTimeAsync(250);
    expect(socket.last("attach")["data"]).toMatchObject({ offset: 3 });
    socket.connected(2, ID, { kind: "replay", offset: 3, input_seq: 0 });
    socket.output(1, 3, "old channel");
    socket.output(2, 3, "d");
    expect(picture.text).toBe("abcd");
    expect(socket.inputs).toEqual([{ channel: 2, seq: 1, text: "kept" }]);
  });

  it("opens another socket when the server moves", async () => {
    const { socket } = await livePage();
    socket.say({ type: "status", session_id: ID, data: { status: "draining" } });
    await vi.advanceTimersByTimeAsync(250);
    expect(page.sockets).toHaveLength(2);
  });

  it("does not open sockets in a frenzy when every one is turned away", async () => {
    page.session(ID);
    for (let tries = 0; tries < 200; tries += 1) {
      await vi.advanceTimersByTimeAsync(250);
      const socket = page.sockets.at(-1);
      if (socket?.onopen) {
        socket.open();
        socket.end(1012);
      }
    }
    // 50 seconds; waits average half of 0.25, 0.5, 1, 2, 4, 8, 10, 10 ... seconds.
    expect(page.sockets.length).toBeLessThan(30);
  });
});

describe("flow", () => {
  it("acknowledges what is drawn, within 50 ms or at a quarter of the window", async () => {
    const { picture } = page.session(ID);
    picture.holdsBack = true;
    const socket = await page.open();
    socket.connected(1, ID, { kind: "replay", offset: 0, input_seq: null, window: 400 });
    socket.output(1, 0, "x".repeat(40));
    await vi.advanceTimersByTimeAsync(60);
    expect(socket.acks).toEqual([]);
    picture.drawAll();
    expect(socket.acks).toEqual([]);
    await vi.advanceTimersByTimeAsync(50);
    expect(socket.acks).toEqual([40]);
    socket.output(1, 40, "x".repeat(100));
    picture.drawAll();
    expect(socket.acks).toEqual([40, 140]);
  });

  it("sends refused input again, in order, a little later", async () => {
    const { session } = page.session(ID);
    const socket = await page.open();
    socket.connected(1, ID, { kind: "replay", offset: 0, input_seq: 0 });
    for (const text of ["a", "b", "c"]) {
      type(session, text);
    }
    socket.ackInput(1, 1);
    socket.say({ type: "error", session_id: ID, data: { error: "input_full", message: "full", retryable: true } });
    socket.say({ type: "error", session_id: ID, data: { error: "seq_gap", message: "gap", details: { expected: 2 } } });
    type(session, "d");
    socket.inputs.length = 0;
    await vi.advanceTimersByTimeAsync(300);
    expect(socket.inputs.map(({ seq, text }) => `${seq}${text}`)).toEqual(["2b", "3c", "4d"]);
  });

  it("sends a paste as one message of the same count, its line ends as the Enter key's", async () => {
    const { session } = page.session(ID);
    const socket = await page.open();
    socket.connected(1, ID, { kind: "replay", offset: 0, input_seq: 4 });
    session.paste("a\r\nb\nc");
    expect(socket.last("paste")).toMatchObject({ session_id: ID, seq: 5, data: "a\rb\rc" });
    type(session, "ü");
    expect(socket.inputs).toEqual([{ channel: 1, seq: 6, text: "ü" }]);
  });

  it("changes the size in the stream's order and asks for its own", async () => {
    const { session, picture } = page.session(ID);
    session.setViewSize({ rows: 30, cols: 100 }, false);
    const socket = await page.open();
    expect(socket.last("attach")["data"]).toMatchObject({ terminal_size: { rows: 30, cols: 100 } });
    socket.connected(1, ID, { kind: "replay", offset: 0, input_seq: null });
    expect(session.sizeDiffers).toBe(true);
    session.setViewSize({ rows: 30, cols: 100 }, false);
    expect(socket.messages.filter((message) => message["type"] === "resize")).toEqual([]);
    session.claimSize();
    expect(socket.last("resize")["data"]).toEqual({ rows: 30, cols: 100, claim: true });
    socket.say({ type: "resized", session_id: ID, offset: 0, data: { rows: 30, cols: 100 } });
    expect(picture.size).toEqual({ rows: 30, cols: 100 });
    expect(session.sizeDiffers).toBe(false);
  });

  it("passes on what the program says, and knows nothing of its echo after another attach", async () => {
    const { session } = page.session(ID);
    const socket = await page.open();
    socket.connected(1, ID, { kind: "replay", offset: 0, input_seq: null });
    socket.say({ type: "title", session_id: ID, data: "make" });
    socket.say({ type: "notify", session_id: ID, data: "built" });
    socket.say({ type: "clipboard", session_id: ID, data: "copied" });
    socket.say({ type: "bell", session_id: ID, data: "" });
    const data = { echo: true, canonical: true, alternate_screen: false, input_seq: null };
    socket.say({ type: "echo", session_id: ID, offset: 0, data });
    expect([session.program.title, page.notified, page.copied, page.bells]).toEqual(["make", ["built"], ["copied"], 1]);
    expect(session.program.echo).toMatchObject({ echo: true });
    socket.end();
    (await page.reopen()).connected(1, ID, { kind: "replay", offset: 0, input_seq: null });
    expect(session.program.echo).toBeNull();
  });

  it("puts a lagged snapshot of several parts on the screen and goes on from it", async () => {
    const { picture } = page.session(ID);
    const socket = await page.open();
    socket.connected(1, ID, { kind: "replay", offset: 0, input_seq: null });
    socket.output(1, 0, "old");
    socket.snapshot(1, 900, { rows: 10, cols: 40 }, "one ", 0x81);
    expect(picture.text).toBe("old");
    socket.snapshot(1, 900, { rows: 10, cols: 40 }, "two", 0x01);
    socket.output(1, 900, "+more");
    expect(picture.text).toBe("[lagged]one two+more");
  });

  it("carries several sessions on one socket", async () => {
    const one = page.session("one");
    const two = page.session("two");
    const socket = await page.open();
    const [first, second] = socket.messages;
    const connected = (channel: number, message: typeof first): void =>
      socket.say({
        type: "status",
        session_id: message?.["session_id"],
        request_id: message?.["request_id"],
        data: { status: "connected", channel, resume: { kind: "replay", offset: 0, input_seq: null } },
      });
    connected(2, second);
    connected(1, first);
    socket.output(1, 0, "for one");
    socket.output(2, 0, "for two");
    expect([one.picture.text, two.picture.text]).toEqual(["for one", "for two"]);
    page.connection.remove(one.session);
    expect(socket.last("detach")["session_id"]).toBe("one");
  });
});

describe("ends", () => {
  it.each([
    [{ exit: { code: 0 } }, "The program ended."],
    [{ exit: { code: 3 } }, "The program ended with code 3."],
    [{ exit: { signal: "SIGKILL" } }, "The program was ended by SIGKILL."],
    [{ exit: { signal: "SIGHUP" }, reason: "terminated" }, "The session was ended."],
  ])("says how a program ended: %o", async (data, why) => {
    const { session } = page.session(ID);
    const socket = await page.open();
    socket.connected(1, ID, { kind: "replay", offset: 0, input_seq: null });
    socket.say({ type: "status", session_id: ID, data: { status: "exited", ...data } });
    expect(session.phase).toEqual({ is: "ended", why });
  });

  it("stays away after another page took over, until it is told to take back", async () => {
    const { session } = page.session(ID);
    const socket = await page.open();
    socket.connected(1, ID, { kind: "replay", offset: 0, input_seq: null });
    socket.say({ type: "status", session_id: ID, data: { status: "detached", reason: "superseded" } });
    expect(session.phase.is).toBe("superseded");
    socket.end();
    const next = await page.reopen();
    expect(next.messages).toEqual([]);
    session.takeBack();
    expect(next.last("attach")["session_id"]).toBe(ID);
  });

  it("gets a new access token when the socket's ran out, and gives up when the sign-in is gone", async () => {
    page.session(ID);
    (await page.open()).end(4401);
    page.ticketError = new TicketError("Signed out.", true, false);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(page.refusals).toEqual([false, true]);
    expect(page.isSignedOut).toBe(true);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(page.refusals).toHaveLength(2);
  });

  it("renews the token of an open socket before it runs out", async () => {
    page.session(ID);
    const socket = await page.open();
    socket.say({ type: "status", data: { status: "token_expiring" } });
    await vi.advanceTimersByTimeAsync(0);
    expect(socket.last("auth")["data"]).toEqual({ token: "fresh" });
  });

  it("shows what the server refuses, in its words", async () => {
    page.session(ID);
    const socket = await page.open();
    socket.connected(1, ID, { kind: "replay", offset: 0, input_seq: null });
    socket.say({ type: "error", session_id: ID, data: { error: "not_allowed", message: "View only.", retryable: false } });
    expect(page.notices).toEqual(["View only."]);
  });
});
