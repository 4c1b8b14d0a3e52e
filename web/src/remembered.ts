// The sessions this browser knows of, for servers that do not list them; knows nothing of whether they still live.

import type { ListedSession } from "./account";
import { isRecord, textOf } from "./protocol";

/** Most sessions kept: as many as one socket carries. */
const MOST = 64;

/** A list in the browser's storage, one per account. */
export class RememberedSessions {
  private readonly key: string;

  constructor(
    private readonly storage: Pick<Storage, "getItem" | "setItem">,
    userId: string,
  ) {
    this.key = `devpocket.sessions.${userId}`;
  }

  /** All of them, oldest first. What cannot be read counts as none. */
  all(): ListedSession[] {
    let stored: unknown;
    try {
      stored = JSON.parse(this.storage.getItem(this.key) ?? "[]");
    } catch {
      return [];
    }
    return (Array.isArray(stored) ? stored : []).filter(isRecord).flatMap((session) => {
      const id = textOf(session["id"]);
      return id === null ? [] : [{ id, name: textOf(session["name"]) }];
    });
  }

  /** Adds a session, or gives it another name. */
  remember(session: ListedSession): void {
    const others = this.all();
    const known = others.find((other) => other.id === session.id);
    if (known === undefined) {
      others.push(session);
    } else {
      known.name = session.name ?? known.name;
    }
    this.storage.setItem(this.key, JSON.stringify(others.slice(-MOST)));
  }

  /** Removes a session that is over. */
  forget(id: string): void {
    this.storage.setItem(this.key, JSON.stringify(this.all().filter((session) => session.id !== id)));
  }
}
