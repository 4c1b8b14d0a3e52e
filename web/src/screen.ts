// The terminal on the page: xterm.js drawn on in order, its keys turned into bytes. Knows nothing of sessions or sockets.

import { FitAddon } from "@xterm/addon-fit";
import { Unicode11Addon } from "@xterm/addon-unicode11";
import { Terminal } from "@xterm/xterm";
import { DrawQueue } from "./draw-queue";
import { PlaceWatch, fontToFit } from "./fitting";
import { clearForLaggedSnapshot } from "./lagged";
import type { Snapshot } from "./output";
import type { TerminalSize } from "./protocol";
import { swallowQueries } from "./queries";
import type { Picture } from "./session";
import { enableTouchScroll } from "./touch-scroll";

/** Lines kept above the screen. */
const SCROLLBACK_LINES = 5000;

/** Pause after which a changed page counts as settled, in milliseconds. */
const SETTLED_MS = 120;

const RESET = "\x1bc";

/** What the user does at the terminal. */
export interface ScreenEvents {
  /** Text typed, or what stands for keys. */
  typed(text: string): void;
  /** Bytes that are not text (old mouse reports), one per UTF-16 unit. */
  typedBinary(bytes: Uint8Array): void;
  pasted(text: string): void;
  /** The page has room for this size. `byHand`: the user changed the window, not a keyboard that slid in. */
  fits(size: TerminalSize, byHand: boolean): void;
  titled(title: string): void;
}

/** One xterm.js terminal in `host`, which it fills as far as the session's size allows. */
export class Screen implements Picture {
  private readonly terminal: Terminal;
  private readonly fit = new FitAddon();
  private readonly queue: DrawQueue;
  private readonly observer: ResizeObserver;
  private readonly place = new PlaceWatch();
  private readonly basePx = matchMedia("(max-width: 40rem)").matches ? 13 : 14;
  private settleTimer: ReturnType<typeof setTimeout> | undefined;
  /** The size once everything in the queue is drawn. */
  private size: TerminalSize;

  constructor(
    private readonly host: HTMLElement,
    private readonly events: ScreenEvents,
    screenReader: boolean,
  ) {
    const terminal = new Terminal({
      allowProposedApi: true, // the width tables of Unicode 11 need it
      cursorBlink: false,
      fontFamily: 'ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace',
      // At 1.0 some fonts' underscores fall below their row and are cut off.
      lineHeight: 1.15,
      fontSize: this.basePx,
      screenReaderMode: screenReader,
      scrollback: SCROLLBACK_LINES,
      windowOptions: { pushTitle: true, popTitle: true },
      theme: { background: "#0d1117", foreground: "#d9e0e8", cursor: "#7ee2b8", selectionBackground: "#31507a" },
    });
    this.terminal = terminal;
    terminal.loadAddon(this.fit);
    terminal.loadAddon(new Unicode11Addon());
    terminal.unicode.activeVersion = "11";
    const queries = swallowQueries(terminal);
    terminal.onData((text) => {
      if (!queries.terminalSpeaks) {
        this.events.typed(text);
      }
    });
    terminal.onBinary((units) => this.events.typedBinary(Uint8Array.from(units, (unit) => unit.charCodeAt(0))));
    terminal.onTitleChange((title) => this.events.titled(title));
    terminal.open(host);
    this.takePaste();
    this.offerCopy();
    enableTouchScroll(terminal, host);
    this.size = { rows: terminal.rows, cols: terminal.cols };
    // xterm.js drops bytes that are no UTF-8; the server's picture, and other terminals, show U+FFFD in their place.
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    this.queue = new DrawQueue({
      write: (bytes, parsed) => terminal.write(decoder.decode(bytes, { stream: true }), parsed),
      resize: (cols, rows) => {
        terminal.resize(cols, rows);
        this.fitFont(this.room);
      },
    });
    this.observer = new ResizeObserver(() => {
      if (host.clientWidth === 0) {
        this.place.see(0, 0, false);
      }
      this.settle();
    });
    this.observer.observe(host);
  }

  write(bytes: Uint8Array, done: () => void): void {
    this.queue.write(bytes, done);
  }

  restore(snapshot: Snapshot, done: () => void): void {
    const clear = snapshot.reason === "lagged" ? clearForLaggedSnapshot(this.size) : RESET;
    this.queue.write(new TextEncoder().encode(clear), () => undefined);
    this.resize(snapshot.size);
    this.queue.write(snapshot.bytes, done);
  }

  resize(size: TerminalSize): void {
    this.size = size;
    this.queue.resize(size.cols, size.rows);
  }

  /** Acts as if `text` had been typed. */
  input(text: string): void {
    this.terminal.input(text, true);
  }

  /** Does the program want the application's cursor keys (DECCKM)? */
  get applicationCursor(): boolean {
    return this.terminal.modes.applicationCursorKeysMode;
  }

  /** Puts the keyboard's focus into the terminal. */
  focus(): void {
    this.terminal.focus();
  }

  /** Turns the accessible copy of the screen on or off. */
  setScreenReader(on: boolean): void {
    this.terminal.options.screenReaderMode = on;
  }

  /** The size there is room for with letters of full size; null while hidden. */
  get room(): TerminalSize | null {
    if (this.host.clientWidth === 0) {
      return null;
    }
    const { options } = this.terminal;
    const shownPx = options.fontSize ?? this.basePx;
    // The font is measured at once and nothing is drawn before the next frame, so this is not seen.
    options.fontSize = this.basePx;
    const proposed = this.fit.proposeDimensions();
    options.fontSize = shownPx;
    if (proposed === undefined || !(proposed.cols > 1) || !(proposed.rows > 0)) {
      return null;
    }
    return { rows: Math.min(proposed.rows, 1000), cols: Math.min(proposed.cols, 1000) };
  }

  /** All lines, scrollback included, wrapped ones joined: for tests. */
  get text(): string {
    const { active } = this.terminal.buffer;
    let text = "";
    for (let index = 0; index < active.length; index += 1) {
      const line = active.getLine(index);
      text += `${index > 0 && line?.isWrapped !== true ? "\n" : ""}${line?.translateToString(true) ?? ""}`;
    }
    return text;
  }

  /** Takes the terminal off the page. */
  dispose(): void {
    clearTimeout(this.settleTimer);
    this.observer.disconnect();
    this.terminal.dispose();
  }

  private settle(): void {
    clearTimeout(this.settleTimer);
    this.settleTimer = setTimeout(() => {
      const { room } = this;
      if (room !== null) {
        const { clientWidth, clientHeight } = this.host;
        const byHand = this.place.see(clientWidth, clientHeight, matchMedia("(pointer: coarse)").matches);
        this.fitFont(room);
        this.events.fits(room, byHand);
      }
    }, SETTLED_MS);
  }

  /** A session that is larger than the page has room for gets smaller letters, so that all of it is seen. */
  private fitFont(room: TerminalSize | null): void {
    if (room !== null) {
      const { rows, cols } = this.terminal;
      this.terminal.options.fontSize = fontToFit(this.basePx, room, { rows, cols });
    }
  }

  /** The daemon frames pastes, so xterm.js must not: its own handlers never see the event. */
  private takePaste(): void {
    this.host.addEventListener(
      "paste",
      (event) => {
        event.preventDefault();
        event.stopImmediatePropagation();
        const text = event.clipboardData?.getData("text/plain") ?? "";
        if (text !== "") {
          this.events.pasted(text);
        }
      },
      { capture: true },
    );
  }

  /** Ctrl+Shift+C copies, as in other terminals; Ctrl+C alone belongs to the program. */
  private offerCopy(): void {
    this.terminal.attachCustomKeyEventHandler((event) => {
      if (!event.ctrlKey || !event.shiftKey || event.code !== "KeyC" || !this.terminal.hasSelection()) {
        return true;
      }
      if (event.type === "keydown") {
        event.preventDefault();
        navigator.clipboard?.writeText(this.terminal.getSelection()).catch((error: unknown) => {
          console.warn("the browser did not let the page copy", error);
        });
      }
      return false;
    });
  }
}
