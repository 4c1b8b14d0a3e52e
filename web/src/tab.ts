// One terminal of the workspace: its tab, its panel, its screen and its session. Knows nothing of the other tabs.

import type { Connection } from "./connection";
import { randomId } from "./browser";
import { Screen } from "./screen";
import { Session } from "./session";

/** How long the bell lights the terminal up, in milliseconds. */
const FLASH_MS = 150;

/** What a tab tells the workspace. */
export interface TabEvents {
  chosen(tab: Tab): void;
  closing(tab: Tab): void;
  /** State, name or id changed. */
  changed(tab: Tab): void;
  notice(text: string): void;
  /** The program has something to say to its user. */
  notified(tab: Tab, text: string): void;
  clipboard(tab: Tab, text: string): void;
  /** Passes typed text through the row of keys' modifiers. */
  modify(text: string): string;
}

/** A tab; attached to its session from the first time it is shown. */
export class Tab {
  readonly session: Session;
  readonly screen: Screen;
  private readonly handle = document.createElement("div");
  private readonly button = document.createElement("button");
  private readonly panel = document.createElement("div");
  private joined = false;
  private flashTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    id: string | null,
    private name: string | null,
    clientId: string,
    private readonly connection: Connection,
    tablist: HTMLElement,
    panels: HTMLElement,
    screenReader: boolean,
    private readonly events: TabEvents,
  ) {
    const key = randomId();
    this.panel.className = "terminal";
    this.panel.id = `panel-${key}`;
    this.panel.setAttribute("role", "tabpanel");
    this.panel.setAttribute("aria-labelledby", `tab-${key}`);
    this.panel.hidden = true;
    panels.append(this.panel);
    this.makeHandle(key, tablist);

    this.screen = new Screen(
      this.panel,
      {
        typed: (text) => this.session.type(new TextEncoder().encode(events.modify(text))),
        typedBinary: (bytes) => this.session.type(bytes),
        pasted: (text) => this.session.paste(text),
        fits: (size, byHand) => this.session.setViewSize(size, byHand && document.hasFocus()),
        titled: (title) => this.session.program.titled(title),
      },
      screenReader,
    );
    this.session = new Session(id, clientId, randomId, this.screen, {
      changed: () => this.changed(),
      notice: events.notice,
      notified: (text) => events.notified(this, text),
      clipboard: (text) => events.clipboard(this, text),
      rang: () => this.flash(),
    });
    this.label();
  }

  /** Shows the terminal, and attaches it if it never was. */
  show(): void {
    this.panel.hidden = false;
    this.button.setAttribute("aria-selected", "true");
    this.button.tabIndex = 0;
    this.handle.classList.remove("rang");
    this.handle.scrollIntoView({ block: "nearest", inline: "nearest" });
    if (!this.joined) {
      this.joined = true;
      const room = this.screen.room;
      if (room !== null) {
        this.session.setViewSize(room, false);
      }
      this.connection.add(this.session);
    }
    this.screen.focus();
  }

  /** Hides the terminal, which goes on. */
  hide(): void {
    this.panel.hidden = true;
    this.button.setAttribute("aria-selected", "false");
    this.button.tabIndex = -1;
  }

  /** Gives the tab the name the server knows. */
  rename(name: string | null): void {
    this.name = name ?? this.name;
    this.label();
  }

  /** Puts the keyboard's focus on the tab itself. */
  focusHandle(): void {
    this.button.focus();
  }

  /** Takes the tab off the page. The session lives on unless it was terminated. */
  dispose(): void {
    clearTimeout(this.flashTimer);
    if (this.joined) {
      this.connection.remove(this.session);
    }
    this.screen.dispose();
    this.handle.remove();
    this.panel.remove();
  }

  /** What the tab is called. */
  get title(): string {
    return this.session.program.title || this.name || "Terminal";
  }

  private makeHandle(key: string, tablist: HTMLElement): void {
    this.handle.className = "tab";
    this.handle.setAttribute("role", "presentation");
    this.button.id = `tab-${key}`;
    this.button.type = "button";
    this.button.tabIndex = -1;
    this.button.setAttribute("role", "tab");
    this.button.setAttribute("aria-controls", this.panel.id);
    this.button.setAttribute("aria-selected", "false");
    this.button.addEventListener("click", () => this.events.chosen(this));
    const close = document.createElement("button");
    close.type = "button";
    close.className = "close";
    close.textContent = "×";
    close.setAttribute("aria-label", "Close this terminal");
    close.addEventListener("click", () => this.events.closing(this));
    this.handle.append(this.button, close);
    tablist.append(this.handle);
  }

  /** The bell, for the eyes: the terminal lights up, or its tab until it is looked at. */
  private flash(): void {
    if (this.panel.hidden) {
      this.handle.classList.add("rang");
      return;
    }
    this.panel.classList.add("rang");
    clearTimeout(this.flashTimer);
    this.flashTimer = setTimeout(() => this.panel.classList.remove("rang"), FLASH_MS);
  }

  private changed(): void {
    this.label();
    this.events.changed(this);
  }

  private label(): void {
    if (this.button.textContent !== this.title) {
      this.button.textContent = this.title;
    }
    const { directory } = this.session.program;
    this.button.title = directory ? `${this.title}\n${directory}` : this.title;
    this.handle.classList.toggle("ended", this.session.phase.is === "ended");
  }
}
