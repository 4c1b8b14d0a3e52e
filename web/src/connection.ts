// One WebSocket that is always being kept or got back, and the sessions on it. Knows no terminal and no page: tickets,
// sockets and wake-ups are handed in.

import { Backoff } from "./backoff";
import { SUBPROTOCOL, decodeFrame, isRecord, parseMessage } from "./protocol";
import type { ClientMessage, ServerMessage } from "./protocol";
import type { Session, SessionLink } from "./session";

/** Longest time from asking for a ticket to an open socket, in milliseconds. */
const OPEN_MS = 12_000;

/** Silence after sent input before the socket is asked for a sign of life, in milliseconds. */
const SILENCE_MS = 2_000;

/** Longest wait for the answer to a `ping`, in milliseconds. */
const PONG_MS = 5_000;

/** The same just after the page woke up, when a dead socket is likely. */
const PONG_AFTER_WAKE_MS = 2_500;

/** A socket that lasted this long was a good one: the next wait is the shortest again. In milliseconds. */
const GOOD_SOCKET_MS = 5_000;

/** Time between signs of life asked for on a quiet socket, in milliseconds. */
const PING_EVERY_MS = 20_000;

/** The part of a browser's WebSocket that is used. */
export type Socket = Pick<
  WebSocket,
  "binaryType" | "protocol" | "onopen" | "onmessage" | "onclose" | "send" | "close"
>;

/** Asking for a ticket failed. */
export class TicketError extends Error {
  /** @param final the sign-in is gone: trying again is useless. @param slowly the server asked for fewer requests. */
  constructor(
    message: string,
    readonly final: boolean,
    readonly slowly: boolean,
  ) {
    super(message);
  }
}

/** What the connection needs from around it. */
export interface Surroundings {
  /** A one-time ticket; rejects with {@link TicketError}. `afterRefusal`: the access token was refused, get a new one. */
  ticket(afterRefusal: boolean): Promise<string>;
  /** A fresh access token for a socket whose own runs out. */
  freshToken(): Promise<string>;
  open(ticket: string, subprotocol: string): Socket;
  /** The state changed. */
  changed(): void;
  /** The sign-in is gone. */
  signedOut(): void;
  notice(text: string): void;
}

/** How the connection stands. */
export type ConnectionState =
  | { is: "idle" }
  | { is: "opening" }
  | { is: "open" }
  /** Waiting to try again; `sinceMs` is when the connection was lost. */
  | { is: "waiting"; problem: string; sinceMs: number };

/** Keeps the socket. Started by the first session, gone with {@link stop}. */
export class Connection {
  state: ConnectionState = { is: "idle" };

  private readonly sessions = new Set<Session>();
  private readonly channels = new Map<number, Session>();
  private readonly backoff = new Backoff();
  private socket: Socket | null = null;
  /** Counts tries: what an older try still does is ignored. */
  private attempt = 0;
  private refused = false;
  private openedAtMs: number | null = null;
  private lostAtMs: number | null = null;
  private openTimer: ReturnType<typeof setTimeout> | undefined;
  private waitTimer: ReturnType<typeof setTimeout> | undefined;
  private silenceTimer: ReturnType<typeof setTimeout> | undefined;
  private pongTimer: ReturnType<typeof setTimeout> | undefined;
  private pingTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly around: Surroundings) {}

  /** Adds a session, which attaches as soon as the socket is open. */
  add(session: Session): void {
    this.sessions.add(session);
    if (this.state.is === "open") {
      session.opened(this.link());
    } else if (this.state.is === "idle") {
      this.open();
    }
  }

  /** Leaves a session for good. */
  remove(session: Session): void {
    session.detach();
    this.forgetChannels(session);
    this.sessions.delete(session);
  }

  /** Something suggests that the network is back or the page was asleep: try or check at once. */
  wake(): void {
    this.backoff.reset();
    if (this.state.is === "waiting") {
      this.open();
    } else if (this.state.is === "open") {
      this.probe(PONG_AFTER_WAKE_MS);
    }
  }

  /** Closes the socket and forgets the sessions. */
  stop(): void {
    this.dropSocket(1000);
    this.sessions.clear();
    this.lostAtMs = null;
    this.setState({ is: "idle" });
  }

  private open(): void {
    clearTimeout(this.waitTimer);
    this.attempt += 1;
    const attempt = this.attempt;
    this.setState({ is: "opening" });
    this.openTimer = setTimeout(() => this.lost("The server does not answer."), OPEN_MS);
    const afterRefusal = this.refused;
    this.refused = false;
    this.around.ticket(afterRefusal).then(
      (ticket) => {
        if (attempt === this.attempt) {
          this.openSocket(ticket, attempt);
        }
      },
      (error: unknown) => {
        if (attempt === this.attempt) {
          this.ticketFailed(error);
        }
      },
    );
  }

  private openSocket(ticket: string, attempt: number): void {
    const socket = this.around.open(ticket, SUBPROTOCOL);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    const current = (act: () => void): void => {
      if (attempt === this.attempt) {
        act();
      }
    };
    socket.onopen = () => current(() => this.opened(socket));
    socket.onmessage = (event) => current(() => this.received(event.data));
    socket.onclose = (event) => current(() => this.closed(event.code));
    // `onerror` is left alone: a close always follows, and says more.
  }

  private opened(socket: Socket): void {
    clearTimeout(this.openTimer);
    if (socket.protocol !== SUBPROTOCOL) {
      this.around.notice("This server does not speak the protocol of this page.");
      this.lost("The server does not speak the protocol of this page.", true);
      return;
    }
    this.lostAtMs = null;
    this.openedAtMs = Date.now();
    this.setState({ is: "open" });
    this.keepAlive();
    for (const session of [...this.sessions]) {
      session.opened(this.link());
    }
  }

  private received(data: unknown): void {
    this.alive();
    if (data instanceof ArrayBuffer) {
      const frame = decodeFrame(data);
      if (frame === null) {
        console.error("a binary frame is cut short or of an unknown kind");
        return;
      }
      this.channels.get(frame.channel)?.handleFrame(frame);
    } else if (typeof data === "string") {
      const message = parseMessage(data);
      if (message === null) {
        console.error("a text message is not one of the protocol");
        return;
      }
      this.route(message);
    }
  }

  private route(message: ServerMessage): void {
    if (message.type === "status" && isRecord(message.data) && message.data["status"] === "token_expiring") {
      this.renewToken();
      return;
    }
    const session = this.addressee(message);
    if (session === null) {
      if (message.type === "error" && isRecord(message.data)) {
        this.around.notice(String(message.data["message"] ?? message.data["error"]));
      } else if (message.type === "status" && isRecord(message.data) && message.data["status"] === "draining") {
        this.lost("The server moves.");
      }
      return;
    }
    const channel = session.handleMessage(message);
    if (channel !== null) {
      this.forgetChannels(session);
      this.channels.set(channel, session);
    }
  }

  private addressee(message: ServerMessage): Session | null {
    const sessions = [...this.sessions];
    const byRequest = sessions.find((s) => message.requestId !== null && s.awaitedRequest === message.requestId);
    const byId = sessions.find((s) => message.sessionId !== null && s.id === message.sessionId);
    return byRequest ?? byId ?? null;
  }

  private closed(code: number): void {
    switch (code) {
      case 4401:
        this.refused = true;
        this.lost("The sign-in ran out.");
        return;
      case 4403:
        this.lost("The server does not allow this.", true);
        return;
      case 4429:
      case 1008:
        this.lost("The server asks for fewer requests.", true);
        return;
      case 1001:
      case 1012:
        this.lost("The server moves.");
        return;
      default:
        this.lost("The connection was lost.");
    }
  }

  private ticketFailed(error: unknown): void {
    if (error instanceof TicketError && error.final) {
      this.stop();
      this.around.signedOut();
      return;
    }
    const slowly = error instanceof TicketError && error.slowly;
    this.lost(error instanceof Error ? error.message : "The server does not answer.", slowly);
  }

  /** The socket is of no use: waits, then opens another. `slowly`: with the longest waits. */
  private lost(problem: string, slowly = false): void {
    if (this.openedAtMs !== null && Date.now() - this.openedAtMs >= GOOD_SOCKET_MS) {
      this.backoff.reset();
    }
    if (slowly) {
      this.backoff.slowDown();
    }
    this.dropSocket(4000);
    this.lostAtMs ??= Date.now();
    this.setState({ is: "waiting", problem, sinceMs: this.lostAtMs });
    this.waitTimer = setTimeout(() => this.open(), this.backoff.next());
  }

  private dropSocket(code: number): void {
    this.attempt += 1;
    this.openedAtMs = null;
    for (const timer of [this.openTimer, this.waitTimer, this.silenceTimer, this.pongTimer, this.pingTimer]) {
      clearTimeout(timer);
    }
    this.silenceTimer = undefined;
    this.pongTimer = undefined;
    const socket = this.socket;
    this.socket = null;
    this.channels.clear();
    if (socket !== null) {
      socket.onopen = null;
      socket.onmessage = null;
      socket.onclose = null;
      socket.close(code);
      for (const session of [...this.sessions]) {
        session.closed();
      }
    }
  }

  private link(): SessionLink {
    const socket = this.socket;
    const attempt = this.attempt;
    const isCurrent = (): boolean => socket !== null && attempt === this.attempt;
    return {
      sendMessage: (message: ClientMessage) => {
        if (isCurrent()) {
          socket?.send(JSON.stringify(message));
        }
      },
      sendFrame: (frame) => {
        if (isCurrent()) {
          socket?.send(frame);
        }
      },
      expectAnswer: () => {
        if (isCurrent()) {
          this.silenceTimer ??= setTimeout(() => this.probe(PONG_MS), SILENCE_MS);
        }
      },
      restart: (reason) => {
        if (isCurrent()) {
          console.warn(`the connection is started again: ${reason}`);
          this.lost("The server moves.");
        }
      },
    };
  }

  /** Asks for a sign of life; without one the socket is dead, whatever the browser believes. */
  private probe(withinMs: number): void {
    if (this.pongTimer === undefined && this.state.is === "open") {
      this.socket?.send(JSON.stringify({ type: "ping", data: null }));
      this.pongTimer = setTimeout(() => this.lost("The connection went silent."), withinMs);
    }
  }

  private alive(): void {
    clearTimeout(this.silenceTimer);
    clearTimeout(this.pongTimer);
    this.silenceTimer = undefined;
    this.pongTimer = undefined;
  }

  private keepAlive(): void {
    this.pingTimer = setTimeout(() => {
      this.probe(PONG_MS);
      this.keepAlive();
    }, PING_EVERY_MS);
  }

  private renewToken(): void {
    const attempt = this.attempt;
    this.around.freshToken().then(
      (token) => {
        if (attempt === this.attempt) {
          this.socket?.send(JSON.stringify({ type: "auth", data: { token } }));
        }
      },
      (error: unknown) => {
        // The socket's end with 4401 follows and leads to another try, or to the sign-in.
        console.warn("no fresh access token for the open socket", error);
      },
    );
  }

  private forgetChannels(session: Session): void {
    for (const [channel, owner] of this.channels) {
      if (owner === session) {
        this.channels.delete(channel);
      }
    }
  }

  private setState(state: ConnectionState): void {
    this.state = state;
    this.around.changed();
  }
}
