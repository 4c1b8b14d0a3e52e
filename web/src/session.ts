// One session as this page sees it: attach, output, input, size and end. Knows neither the socket nor the terminal,
// only the two interfaces below.

import { Backoff } from "./backoff";
import { InputLedger } from "./ledger";
import { ACK_DELAY_MS, OutputTracker } from "./output";
import type { Snapshot } from "./output";
import { Program } from "./program";
import type { ProgramEvents } from "./program";
import { WINDOW_BYTES, encodeAck, encodeInput, isRecord, numberOf, parseResume, parseSize, textOf } from "./protocol";
import type { ClientMessage, ServerFrame, ServerMessage, TerminalSize } from "./protocol";

/** Scrollback lines asked for with a snapshot. */
const SCROLLBACK_LINES = 1000;

/** Longest wait for the answer to an attach before the connection counts as dead, in milliseconds. */
const ANSWER_MS = 15_000;

/** Wait before refused input is sent again, in milliseconds. */
const REFUSED_INPUT_MS = 300;

/** A repeated `connect` is known to be the same one for 60 s (protocol, `connect`); some of that is travel time. */
const CREATION_KEY_MS = 50_000;

/** The socket, as far as one session uses it; there is one while the socket is open. */
export interface SessionLink {
  sendMessage(message: ClientMessage): void;
  sendFrame(frame: Uint8Array<ArrayBuffer>): void;
  /** Input was sent: something should come back soon, or the socket is dead. */
  expectAnswer(): void;
  /** Gives this socket up and opens another at once. */
  restart(reason: string): void;
}

/** The terminal on the page. Calls take effect in order; `done` follows once the bytes are drawn. */
export interface Picture {
  write(bytes: Uint8Array, done: () => void): void;
  restore(snapshot: Snapshot, done: () => void): void;
  resize(size: TerminalSize): void;
}

/** What happens in a session that the page shows. */
export interface SessionEvents extends ProgramEvents {
  /** Phase, size, pending input or what the program said of itself changed. */
  changed(): void;
  /** Something to tell the user, in words. */
  notice(text: string): void;
}

/** How a session stands. */
export type Phase =
  /** No socket. */
  | { is: "offline" }
  /** Asked for; no answer yet, or to be asked for again. */
  | { is: "joining"; problem: string | null }
  | { is: "live" }
  /** Over, and why. */
  | { is: "ended"; why: string }
  /** Another page with this client id took over. */
  | { is: "superseded" };

/** One session: created by this page (`id` is null until the server answers) or attached to. */
export class Session {
  phase: Phase = { is: "offline" };
  /** The session's own size, once known. */
  size: TerminalSize | null = null;
  /** What the program in it says. */
  readonly program: Program;

  private link: SessionLink | null = null;
  private channel: number | null = null;
  private viewSize: TerminalSize | null = null;
  private readonly ledger = new InputLedger();
  private readonly output = new OutputTracker();
  private readonly retry = new Backoff();
  /** The uncertain input the user was told of: the session repeats it until it knows. */
  private toldUncertain: number | null = null;
  private requestId: string | null = null;
  private createdAtMs: number | null = null;
  private ackTimer: ReturnType<typeof setTimeout> | undefined;
  private joinTimer: ReturnType<typeof setTimeout> | undefined;
  private inputTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    public id: string | null,
    private readonly clientId: string,
    private readonly makeRequestId: () => string,
    private readonly picture: Picture,
    private readonly events: SessionEvents,
  ) {
    this.program = new Program(events);
  }

  /** The request a direct answer belongs to, while one is awaited. */
  get awaitedRequest(): string | null {
    return this.phase.is === "joining" ? this.requestId : null;
  }

  /** Is it over, or somebody else's? Then no socket is needed for it. */
  get isSettled(): boolean {
    return this.phase.is === "ended" || this.phase.is === "superseded";
  }

  /** Bytes typed that the session does not have yet. */
  get pendingBytes(): number {
    return this.ledger.bytes;
  }

  /** The socket is open: attach, or create. */
  opened(link: SessionLink): void {
    this.link = link;
    if (!this.isSettled) {
      this.retry.reset();
      this.join();
    }
  }

  /** The socket is gone; what was typed is kept. */
  closed(): void {
    this.link = null;
    this.leave();
    if (!this.isSettled) {
      this.setPhase({ is: "offline" });
    }
  }

  /** Attaches again after another page took over. */
  takeBack(): void {
    if (this.phase.is === "superseded") {
      this.setPhase({ is: "offline" });
      if (this.link !== null) {
        this.join();
      }
    }
  }

  /** Sends typed bytes, now or once the session is back. */
  type(bytes: Uint8Array): void {
    this.offer(this.ledger.type(bytes));
  }

  /** Sends pasted text, now or once the session is back. The daemon frames it as the program asked. */
  paste(text: string): void {
    this.offer(this.ledger.paste(text.replace(/\r?\n/g, "\r")));
  }

  /** Says how large the page's terminal could be; `claim` asks for that size even if another client set the present one. */
  setViewSize(size: TerminalSize, claim: boolean): void {
    const known = this.viewSize;
    this.viewSize = size;
    const same = known !== null && known.rows === size.rows && known.cols === size.cols;
    if (this.phase.is === "live" && (!same || claim)) {
      this.send({ type: "resize", data: { ...size, claim } });
    }
  }

  /** Could this page show another size than the session has? */
  get sizeDiffers(): boolean {
    const { size, viewSize } = this;
    return size !== null && viewSize !== null && (size.rows !== viewSize.rows || size.cols !== viewSize.cols);
  }

  /** Takes the geometry lease at the page's own size. */
  claimSize(): void {
    if (this.viewSize !== null) {
      this.setViewSize(this.viewSize, true);
    }
  }

  /** Ends the session's programs. */
  terminate(): void {
    this.send({ type: "terminate" });
  }

  /** Leaves the session, which lives on. */
  detach(): void {
    if (this.phase.is === "live") {
      this.send({ type: "detach" });
    }
    this.leave();
    this.link = null;
  }

  /** Takes a binary frame of this session's channel. */
  handleFrame(frame: ServerFrame): void {
    if (frame.channel !== this.channel) {
      return;
    }
    switch (frame.kind) {
      case "output":
        this.handleOutput(frame.offset, frame.bytes);
        return;
      case "snapshot": {
        const snapshot = this.output.acceptSnapshot(frame);
        if (snapshot !== null) {
          this.setSize(snapshot.size);
          const mark = this.output.mark();
          this.picture.restore(snapshot, () => {
            this.output.draw(mark);
            this.acknowledge();
          });
        }
        return;
      }
      case "input_ack":
        this.ledger.acknowledge(frame.seq);
        this.sendInput();
        this.events.changed();
        return;
    }
  }

  /** Takes a text message about this session. Answers the channel if the message opened one. */
  handleMessage(message: ServerMessage): number | null {
    switch (message.type) {
      case "status":
        return this.handleStatus(message);
      case "error":
        this.handleError(message);
        return null;
      case "resized": {
        const size = parseSize(message.data);
        if (size !== null && this.phase.is === "live") {
          this.setSize(size);
          this.picture.resize(size);
        }
        return null;
      }
      case "input_ack": {
        const seq = isRecord(message.data) ? numberOf(message.data["seq"]) : null;
        if (seq !== null) {
          this.ledger.acknowledge(seq);
          this.sendInput();
          this.events.changed();
        }
        return null;
      }
      default:
        this.program.handle(message);
        return null;
    }
  }

  private handleStatus(message: ServerMessage): number | null {
    const data = isRecord(message.data) ? message.data : {};
    switch (data["status"]) {
      case "connected":
        return this.handleConnected(message, data);
      case "detached":
        if (data["reason"] === "superseded") {
          this.leave();
          this.setPhase({ is: "superseded" });
        }
        return null;
      case "exited":
        this.end(describeExit(data));
        return null;
      case "lost":
        this.end("The machine this session ran on is gone, and the session with it.");
        return null;
      case "interrupted":
        this.rejoinLater("The session's host is restarting.");
        return null;
      case "draining":
        this.link?.restart("draining");
        return null;
      default:
        return null;
    }
  }

  private handleConnected(message: ServerMessage, data: Record<string, unknown>): number | null {
    const channel = numberOf(data["channel"]);
    const resume = parseResume(data["resume"]);
    const id = message.sessionId;
    if (channel === null || resume === null || id === null) {
      this.link?.restart("incomplete answer to an attach");
      return null;
    }
    const asked = this.output.offset;
    if (resume.kind === "replay" && asked !== null && resume.offset !== asked) {
      console.error(`session ${id}: asked to go on at ${asked}, got ${resume.offset}`);
    }
    clearTimeout(this.joinTimer);
    this.id = id;
    this.requestId = null;
    this.createdAtMs = null;
    this.channel = channel;
    this.program.attached();
    this.retry.reset();
    const window = isRecord(data["resume"]) ? numberOf(data["resume"]["window"]) : null;
    this.output.begin(resume.kind === "snapshot" ? null : resume.offset, window);
    const size = parseSize(data["terminal_size"]);
    if (size !== null) {
      this.setSize(size);
      // A snapshot brings its own size, in order with its bytes.
      if (resume.kind !== "snapshot") {
        this.picture.resize(size);
      }
    }
    const uncertainBytes = this.ledger.resume(resume.inputSeq, resume.inputQueued);
    const { inputUncertain } = resume;
    if (uncertainBytes > 0 || (inputUncertain !== null && inputUncertain !== this.toldUncertain)) {
      this.events.notice("What was typed just before the interruption may not have arrived. Please check.");
    }
    this.toldUncertain = inputUncertain;
    this.setPhase({ is: "live" });
    this.sendInput();
    return channel;
  }

  private handleError(message: ServerMessage): void {
    const data = isRecord(message.data) ? message.data : {};
    const code = textOf(data["error"]) ?? "unknown";
    const text = textOf(data["message"]) ?? code;
    if (code === "input_full" || code === "seq_gap") {
      this.retryInput(message, data);
      return;
    }
    if (code === "input_uncertain") {
      this.toldUncertain = isRecord(data["details"]) ? numberOf(data["details"]["seq"]) : null;
      this.events.notice(text);
      return;
    }
    if (this.phase.is !== "joining" || message.requestId !== this.requestId) {
      this.events.notice(text);
      return;
    }
    if (code === "session_not_found") {
      this.end("This session does not exist any longer.");
    } else if (code === "session_ended") {
      this.end("This session is over.");
    } else if (data["retryable"] === true) {
      this.rejoinLater(text);
    } else {
      this.end(text);
    }
  }

  private handleOutput(offset: number, bytes: Uint8Array): void {
    const accepted = this.output.accept(offset, bytes);
    if (accepted === null) {
      return;
    }
    if (accepted.missing > 0) {
      console.error(`session ${this.id}: ${accepted.missing} bytes are missing before offset ${offset}`);
      this.events.notice("Some output is missing here: this is a bug in DevPocket.");
    }
    const mark = this.output.mark();
    this.picture.write(accepted.bytes, () => {
      this.output.draw(mark);
      this.acknowledge();
    });
  }

  private acknowledge(): void {
    if (this.phase.is !== "live" || this.channel === null) {
      return;
    }
    if (this.output.ackIsUrgent) {
      this.sendAck();
    } else if (this.ackTimer === undefined) {
      this.ackTimer = setTimeout(() => this.sendAck(), ACK_DELAY_MS);
    }
  }

  private sendAck(): void {
    clearTimeout(this.ackTimer);
    this.ackTimer = undefined;
    const offset = this.output.takeAck();
    if (offset !== null && this.channel !== null) {
      this.link?.sendFrame(encodeAck(this.channel, offset));
    }
  }

  private offer(taken: boolean): void {
    if (this.isSettled) {
      this.ledger.clear();
      return;
    }
    if (!taken) {
      this.events.notice("Too much is waiting to be sent; the last input was not taken.");
    }
    this.sendInput();
    this.events.changed();
  }

  private sendInput(): void {
    if (this.phase.is !== "live" || this.channel === null || this.link === null || this.inputTimer !== undefined) {
      return;
    }
    for (let input = this.ledger.next(); input !== null; input = this.ledger.next()) {
      if (input.content.kind === "bytes") {
        this.link.sendFrame(encodeInput(this.channel, input.seq, input.content.bytes));
      } else {
        this.send({ type: "paste", seq: input.seq, data: input.content.text });
      }
      this.link.expectAnswer();
    }
  }

  /** The session took less than was sent; a little later the rest goes again, in order. */
  private retryInput(message: ServerMessage, data: Record<string, unknown>): void {
    const details = isRecord(data["details"]) ? data["details"] : data;
    const seq = numberOf(details["expected"]) ?? numberOf(details["seq"]) ?? numberOf(message.envelope["seq"]);
    this.ledger.rewind(seq ?? 0);
    if (this.inputTimer === undefined) {
      this.inputTimer = setTimeout(() => {
        this.inputTimer = undefined;
        this.sendInput();
      }, REFUSED_INPUT_MS);
    }
  }

  private join(): void {
    clearTimeout(this.joinTimer);
    const now = Date.now();
    if (this.id === null && this.createdAtMs !== null && now - this.createdAtMs > CREATION_KEY_MS) {
      // Asked again, it could become a second session; the first may well be running and is then in the list.
      this.end("The server did not say whether the session was opened.");
      return;
    }
    this.setPhase({ is: "joining", problem: this.phase.is === "joining" ? this.phase.problem : null });
    const size = this.viewSize ?? { rows: 24, cols: 80 };
    const attach = {
      terminal_size: size,
      client_id: this.clientId,
      window: WINDOW_BYTES,
      delivery: "lossless",
      scrollback: SCROLLBACK_LINES,
    };
    if (this.id === null) {
      this.createdAtMs ??= now;
      this.requestId ??= this.makeRequestId();
      this.send({ type: "connect", data: { session_type: "local", ...attach } });
    } else {
      this.requestId = this.makeRequestId();
      const offset = this.output.offset;
      this.send({ type: "attach", data: { ...attach, mode: "control", ...(offset === null ? {} : { offset }) } });
    }
    this.joinTimer = setTimeout(() => this.link?.restart("no answer to an attach"), ANSWER_MS);
  }

  private rejoinLater(problem: string): void {
    this.leave();
    this.setPhase({ is: "joining", problem });
    this.joinTimer = setTimeout(() => {
      if (this.link !== null) {
        this.join();
      }
    }, this.retry.next());
  }

  private end(why: string): void {
    this.leave();
    this.ledger.clear();
    this.setPhase({ is: "ended", why });
  }

  /** Stops everything that belongs to the present attachment. */
  private leave(): void {
    this.channel = null;
    clearTimeout(this.joinTimer);
    clearTimeout(this.ackTimer);
    clearTimeout(this.inputTimer);
    this.ackTimer = undefined;
    this.inputTimer = undefined;
  }

  private send(message: ClientMessage): void {
    this.link?.sendMessage({
      ...message,
      ...(this.id === null ? {} : { session_id: this.id }),
      ...(this.awaitedRequest === null ? {} : { request_id: this.awaitedRequest }),
    });
  }

  private setSize(size: TerminalSize): void {
    this.size = size;
    this.events.changed();
  }

  private setPhase(phase: Phase): void {
    this.phase = phase;
    this.events.changed();
  }
}

function describeExit(data: Record<string, unknown>): string {
  if (data["reason"] === "terminated") {
    return "The session was ended.";
  }
  const exit = isRecord(data["exit"]) ? data["exit"] : {};
  const signal = textOf(exit["signal"]);
  if (signal !== null) {
    return `The program was ended by ${signal}.`;
  }
  const code = numberOf(exit["code"]);
  return code === null || code === 0 ? "The program ended." : `The program ended with code ${code}.`;
}
