// What the program in a terminal says to the world around it, as the server passes it on (docs/protocol.md, section 4).
// Knows neither the page nor the socket.

import { isRecord, numberOf, textOf } from "./protocol";
import type { ServerMessage } from "./protocol";

/** What the terminal does with typed text from `offset` on. */
export interface EchoState {
  offset: number;
  echo: boolean;
  canonical: boolean;
  alternateScreen: boolean;
  /** The last input of this client that had been applied then. */
  inputSeq: number | null;
}

/** What the page does about it. */
export interface ProgramEvents {
  /** Title or directory changed. */
  changed(): void;
  /** Something to tell the user, in the program's words. */
  notified(text: string): void;
  /** The program wants text on the clipboard. Reading it is never possible. */
  clipboard(text: string): void;
  rang(): void;
}

/** The state that such messages leave. */
export class Program {
  title: string | null = null;
  /** The shell's directory. */
  directory: string | null = null;
  /** Null: not told yet, so nothing may be drawn ahead. */
  echo: EchoState | null = null;

  constructor(private readonly events: ProgramEvents) {}

  /** A new attachment begins, for which nothing was said about echo yet. */
  attached(): void {
    this.echo = null;
  }

  /** The terminal found a title in the output. It is the same that a message brings, whichever comes first. */
  titled(title: string): void {
    this.title = title;
    this.events.changed();
  }

  /** Takes a message; other ones than these are ignored (protocol, section 2). */
  handle(message: ServerMessage): void {
    const text = textOf(message.data) ?? "";
    switch (message.type) {
      case "title":
        this.titled(text);
        return;
      case "cwd":
        this.directory = text;
        this.events.changed();
        return;
      case "notify":
        this.events.notified(text);
        return;
      case "clipboard":
        this.events.clipboard(text);
        return;
      case "bell":
        this.events.rang();
        return;
      case "echo":
        this.echo = parseEcho(message);
        return;
    }
  }
}

function parseEcho(message: ServerMessage): EchoState | null {
  const offset = numberOf(message.envelope["offset"]);
  if (!isRecord(message.data) || offset === null) {
    return null;
  }
  const { echo, canonical, alternate_screen: alternateScreen, input_seq: inputSeq } = message.data;
  if (typeof echo !== "boolean" || typeof canonical !== "boolean" || typeof alternateScreen !== "boolean") {
    return null;
  }
  return { offset, echo, canonical, alternateScreen, inputSeq: numberOf(inputSeq) };
}
