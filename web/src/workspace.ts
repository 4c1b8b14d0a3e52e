// The second view: tabs of sessions, the state line, notices and menus of a signed-in user. Knows no protocol.

import type { Account, ListedSession } from "./account";
import { announce, systemNotifier } from "./alerts";
import type { Connection } from "./connection";
import { element } from "./elements";
import { Keybar } from "./keybar";
import { Notices } from "./notices";
import { RememberedSessions } from "./remembered";
import { standing } from "./standing";
import type { Offer } from "./standing";
import { Tab } from "./tab";
import type { TabEvents } from "./tab";

const ACTIVE_KEY = "devpocket.active_session";
const SCREEN_READER_KEY = "devpocket.screen_reader";

const OFFERS: Readonly<Record<Offer, string>> = {
  retry: "Try now",
  take_back: "Take it back",
  new_session: "New terminal",
};

/** Everything a signed-in user sees. */
export class Workspace {
  private readonly view = element("workspace", HTMLElement);
  private readonly tablist = element("tabs", HTMLElement);
  private readonly panels = element("terminals", HTMLElement);
  private readonly stateLine = element("state", HTMLElement);
  private readonly stateText = element("state-text", HTMLElement);
  private readonly stateAction = element("state-action", HTMLButtonElement);
  private readonly sizeLine = element("size", HTMLElement);
  private readonly endDialog = element("end-dialog", HTMLDialogElement);
  private readonly screenReader = element("screen-reader", HTMLInputElement);
  private readonly notices = new Notices(element("notices", HTMLElement));
  private readonly keybar: Keybar;
  private readonly tabs: Tab[] = [];
  private active: Tab | null = null;
  private closing: Tab | null = null;
  private offer: Offer | null = null;
  private remembered: RememberedSessions | null = null;

  constructor(
    private readonly account: Account,
    private readonly connection: Connection,
    private readonly clientId: string,
    signOut: () => void,
  ) {
    this.keybar = new Keybar(element("keys", HTMLElement), () => this.active?.screen ?? null);
    element("new-session", HTMLButtonElement).addEventListener("click", () => this.create());
    element("sign-out", HTMLButtonElement).addEventListener("click", signOut);
    element("claim-size", HTMLButtonElement).addEventListener("click", () => {
      this.active?.session.claimSize();
      this.active?.screen.focus();
    });
    this.stateAction.addEventListener("click", () => this.takeOffer());
    this.endDialog.addEventListener("close", () => this.closeAnswered());
    this.tablist.addEventListener("keydown", (event) => this.moveBetweenTabs(event));
    this.screenReader.checked = localStorage.getItem(SCREEN_READER_KEY) === "on";
    this.screenReader.addEventListener("change", () => {
      localStorage.setItem(SCREEN_READER_KEY, this.screenReader.checked ? "on" : "off");
      this.tabs.forEach((tab) => tab.screen.setScreenReader(this.screenReader.checked));
    });
    const notify = element("notify", HTMLButtonElement);
    notify.hidden = !("Notification" in window) || Notification.permission !== "default";
    notify.addEventListener("click", () => {
      Notification.requestPermission().then(
        (permission) => {
          notify.hidden = permission !== "default";
        },
        (error: unknown) => this.notices.say(`Notifications are not possible: ${String(error)}`),
      );
    });
    const paste = element("paste", HTMLButtonElement);
    paste.hidden = navigator.clipboard?.readText === undefined;
    paste.addEventListener("click", () => this.pasteFromClipboard());
  }

  /** Shows the view: the sessions there are, or a new one. */
  async show(): Promise<void> {
    const { user } = this.account;
    if (user === null) {
      return;
    }
    this.view.hidden = false;
    element("user", HTMLElement).textContent = user.username;
    this.remembered = new RememberedSessions(localStorage, user.id);
    const listed = await this.account.sessions().catch((error: unknown) => {
      console.warn("the list of sessions could not be read", error);
      return null;
    });
    // Signed out while waiting.
    if (this.account.user?.id !== user.id || this.tabs.length > 0) {
      return;
    }
    for (const session of listed ?? this.remembered.all()) {
      this.addTab(session);
    }
    const lastId = sessionStorage.getItem(ACTIVE_KEY);
    const first = this.tabs.find((tab) => tab.session.id === lastId) ?? this.tabs[0];
    if (first === undefined) {
      this.create();
    } else {
      this.activate(first);
    }
  }

  /** Adds tabs for sessions opened elsewhere since. */
  async refreshList(): Promise<void> {
    if (this.view.hidden || this.tabs.length === 0) {
      return;
    }
    const listed = await this.account.sessions().catch(() => null);
    for (const session of listed ?? []) {
      const known = this.tabs.find((tab) => tab.session.id === session.id);
      // A session of this page whose answer is on its way has no id yet, and must not get a second tab.
      if (known === undefined && !this.tabs.some((tab) => tab.session.id === null)) {
        this.addTab(session);
      } else {
        known?.rename(session.name);
      }
    }
  }

  /** Takes everything off the page: signed out. */
  hide(): void {
    this.view.hidden = true;
    this.active = null;
    for (const tab of this.tabs.splice(0)) {
      tab.dispose();
    }
    this.notices.clear();
  }

  /** Draws the state line anew: the connection, or the browser's belief in it, changed. */
  update(): void {
    const { active } = this;
    if (active === null) {
      return;
    }
    const { session } = active;
    const now = standing(this.connection.state, session.phase, session.pendingBytes, navigator.onLine);
    this.offer = now.offer;
    this.stateLine.classList.toggle("calm", now.calm);
    this.stateLine.dataset["phase"] = session.phase.is;
    if (this.stateText.textContent !== now.text) {
      this.stateText.textContent = now.text;
    }
    this.stateAction.hidden = now.offer === null;
    this.stateAction.textContent = now.offer === null ? "" : OFFERS[now.offer];
    this.sizeLine.hidden = !(session.phase.is === "live" && session.sizeDiffers);
    this.panels.classList.toggle("stale", session.phase.is !== "live");
  }

  /** Says something to the user. */
  notice(text: string): void {
    this.notices.say(text);
  }

  /** The shown terminal's text, scrollback included: for tests. */
  get text(): string {
    return this.active?.screen.text ?? "";
  }

  /** How the shown terminal's session stands: for tests. */
  get session(): { id: string; phase: string; rows: number; cols: number } | null {
    const session = this.active?.session;
    return session?.id && session.size ? { id: session.id, phase: session.phase.is, ...session.size } : null;
  }

  private create(): void {
    this.activate(this.addTab(null));
  }

  private addTab(session: ListedSession | null): Tab {
    const events: TabEvents = {
      chosen: (tab) => this.activate(tab),
      closing: (tab) => this.askToEnd(tab),
      changed: (tab) => this.tabChanged(tab),
      notice: (text) => this.notices.say(text),
      notified: (tab, text) =>
        announce(systemNotifier, tab.title, text, tab.session.id ?? "", (words) => this.notices.say(words)),
      clipboard: (tab, text) => this.copy(tab, text),
      modify: (text) => this.keybar.modify(text),
    };
    const screenReader = this.screenReader.checked;
    const tab = new Tab(
      session?.id ?? null,
      session?.name ?? null,
      this.clientId,
      this.connection,
      this.tablist,
      this.panels,
      screenReader,
      events,
    );
    this.tabs.push(tab);
    return tab;
  }

  private activate(tab: Tab): void {
    if (this.active !== tab) {
      this.active?.hide();
      this.active = tab;
    }
    tab.show();
    this.tabChanged(tab);
  }

  private tabChanged(tab: Tab): void {
    const { id, phase } = tab.session;
    if (id !== null && phase.is === "live") {
      this.remembered?.remember({ id, name: tab.title });
    } else if (id !== null && phase.is === "ended") {
      this.remembered?.forget(id);
    }
    if (tab === this.active) {
      if (id !== null) {
        sessionStorage.setItem(ACTIVE_KEY, id);
      }
      document.title = `${tab.title} – DevPocket`;
      this.update();
    }
  }

  private takeOffer(): void {
    switch (this.offer) {
      case "retry":
        this.connection.wake();
        break;
      case "take_back":
        this.active?.session.takeBack();
        break;
      case "new_session": {
        const ended = this.active;
        this.create();
        if (ended !== null) {
          this.removeTab(ended);
        }
        break;
      }
      case null:
        break;
    }
    this.active?.screen.focus();
  }

  private askToEnd(tab: Tab): void {
    if (tab.session.phase.is === "ended") {
      this.removeTab(tab);
      return;
    }
    this.closing = tab;
    element("end-name", HTMLElement).textContent = tab.title;
    this.endDialog.returnValue = "";
    this.endDialog.showModal();
  }

  private closeAnswered(): void {
    const tab = this.closing;
    this.closing = null;
    if (tab !== null && this.endDialog.returnValue === "end") {
      if (tab.session.phase.is === "live") {
        tab.session.terminate();
        this.activate(tab);
      } else {
        this.notices.say("The terminal can be ended once it is connected.");
      }
    }
    this.active?.screen.focus();
  }

  private removeTab(tab: Tab): void {
    const index = this.tabs.indexOf(tab);
    this.tabs.splice(index, 1);
    tab.dispose();
    if (this.active === tab) {
      this.active = null;
      const next = this.tabs[index] ?? this.tabs[index - 1];
      if (next === undefined) {
        this.create();
      } else {
        this.activate(next);
      }
    }
  }

  private moveBetweenTabs(event: KeyboardEvent): void {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (step === 0 || this.active === null || this.tabs.length === 0) {
      return;
    }
    event.preventDefault();
    const index = (this.tabs.indexOf(this.active) + step + this.tabs.length) % this.tabs.length;
    const tab = this.tabs[index];
    if (tab !== undefined) {
      this.activate(tab);
      tab.focusHandle();
    }
  }

  /** Puts a program's text on the clipboard if the browser lets the page, which some do from a click only. */
  private copy(tab: Tab, text: string): void {
    const { clipboard } = navigator;
    if (clipboard === undefined) {
      this.notices.say(`${tab.title} wants to copy text: the browser allows that over HTTPS only.`);
      return;
    }
    const offer = (): void => {
      this.notices.say(`${tab.title} wants to copy text.`, {
        label: "Copy",
        act: () => {
          clipboard.writeText(text).catch((error: unknown) => this.notices.say(`Not copied: ${String(error)}`));
        },
      });
    };
    if (tab === this.active && document.hasFocus()) {
      clipboard.writeText(text).then(() => this.notices.say(`${tab.title} copied text.`), offer);
    } else {
      // Not under the eyes of the user: what another program copied stays until this is wanted.
      offer();
    }
  }

  private pasteFromClipboard(): void {
    navigator.clipboard.readText().then(
      (text) => {
        if (text !== "") {
          this.active?.session.paste(text);
        }
        this.active?.screen.focus();
      },
      () => this.notices.say("The browser did not let the page paste."),
    );
  }
}
