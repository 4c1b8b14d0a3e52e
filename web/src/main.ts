// Puts the page together: account, connection and the two views. The only file that knows all of them.

import "@xterm/xterm/css/xterm.css";
import "./style.css";
import { Account } from "./account";
import { Backoff } from "./backoff";
import { claimClientId, thisBrowser } from "./browser";
import { Connection, TicketError } from "./connection";
import type { Socket } from "./connection";
import { Entry } from "./entry";
import { Problem } from "./problem";
import { Workspace } from "./workspace";

const FIRST_RUN = /^#first-run=(.+)$/;

async function main(): Promise<void> {
  const account = new Account(thisBrowser());
  const clientId = await claimClientId();

  const connection = new Connection({
    ticket: (afterRefusal) => ticket(account, afterRefusal),
    freshToken: () => account.refresh(),
    open: (oneTimeTicket, subprotocol) => openSocket(oneTimeTicket, subprotocol),
    changed: () => workspace.update(),
    signedOut: () => signedOut("You are signed out. Please sign in again."),
    notice: (text) => workspace.notice(text),
  });
  const workspace = new Workspace(account, connection, clientId, () => {
    // What the server says changes nothing here: this browser has forgotten the sign-in.
    account.logout().catch((error: unknown) => console.warn("the server did not hear of the sign-out", error));
    signedOut("");
  });
  const entry = new Entry(account, () => signedIn());

  function signedIn(): void {
    entry.hide();
    void workspace.show();
  }

  function signedOut(message: string): void {
    connection.stop();
    workspace.hide();
    entry.show(message);
  }

  for (const name of ["online", "offline"]) {
    addEventListener(name, () => workspace.update());
  }
  addEventListener("online", () => connection.wake());
  addEventListener("pageshow", () => connection.wake());
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") {
      connection.wake();
      void workspace.refreshList();
    }
  });
  addEventListener("storage", (event) => {
    if (account.user !== null && !account.hasStoredSignIn && event.storageArea === localStorage) {
      account.forget();
      signedOut("You signed out in another tab.");
    }
  });
  addEventListener("hashchange", () => {
    if (FIRST_RUN.test(location.hash)) {
      connection.stop();
      workspace.hide();
      void enter(account, entry, signedIn);
    }
  });
  fitToKeyboard();
  Object.defineProperty(window, "devpocket", {
    // For tests and support: what is on the screen, and how it stands. Read-only.
    value: Object.freeze({
      text: () => workspace.text,
      connection: () => connection.state.is,
      session: () => workspace.session,
    }),
  });
  await enter(account, entry, signedIn);
}

/** Signs in by the link the page was opened with, or by what this browser remembers, or shows the forms. */
async function enter(account: Account, entry: Entry, signedIn: () => void): Promise<void> {
  const firstRunToken = FIRST_RUN.exec(location.hash)?.[1];
  let message = "";
  if (firstRunToken !== undefined) {
    // A one-time secret does not belong into the history.
    history.replaceState(null, "", location.pathname + location.search);
    try {
      await account.firstRun(decodeURIComponent(firstRunToken));
      signedIn();
      return;
    } catch (error) {
      message = `This sign-in link does not work: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  const backoff = new Backoff();
  while (account.hasStoredSignIn) {
    try {
      await account.refresh();
      signedIn();
      return;
    } catch (error) {
      if (error instanceof Problem && error.status === 401) {
        break;
      }
      entry.show("The server cannot be reached. Trying again…");
      await woken(backoff.next());
    }
  }
  entry.show(message);
}

async function ticket(account: Account, afterRefusal: boolean): Promise<string> {
  try {
    if (afterRefusal) {
      await account.refresh();
    }
    return await account.ticket();
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const status = error instanceof Problem ? error.status : 0;
    throw new TicketError(text, status === 401, status === 429);
  }
}

function openSocket(oneTimeTicket: string, subprotocol: string): Socket {
  const url = new URL("/ws/terminal", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.searchParams.set("ticket", oneTimeTicket);
  return new WebSocket(url, subprotocol);
}

/** Waits, but no longer than until the network is back. */
function woken(afterMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, afterMs);
    function done(): void {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve();
    }
    addEventListener("online", done);
  });
}

/** Keeps the row of keys above a phone's keyboard, where the browser lays the keyboard over the page. */
function fitToKeyboard(): void {
  const viewport = window.visualViewport;
  if (viewport === null) {
    return;
  }
  const fit = (): void => {
    document.documentElement.style.setProperty("--page-height", `${viewport.height}px`);
    scrollTo(0, 0);
  };
  viewport.addEventListener("resize", fit);
  fit();
}

main().catch((error: unknown) => {
  console.error(error);
  document.body.textContent = `DevPocket could not start: ${String(error)}`;
});
