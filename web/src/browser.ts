// What the page takes from the browser: locks, random ids, this tab's client id. Knows nothing of terminals.

import type { Browser } from "./account";

const CLIENT_ID_KEY = "devpocket.client_id";

/** The browser as the account sees it. */
export function thisBrowser(): Browser {
  return {
    storage: localStorage,
    fetch: (path, init) => fetch(path, init),
    exclusively,
    now: () => Date.now(),
    deviceName: deviceName(navigator.userAgent),
  };
}

/** A random id. `crypto.randomUUID` exists on secure origins only, and a phone may come by plain HTTP. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * The client id of this tab: kept over reloads, never shared with another tab, since two of one id take every session
 * from each other. A duplicated tab starts with a copy of the storage, so the id counts only for who holds its lock.
 * Without locks (plain HTTP) every load is a new client.
 */
export async function claimClientId(): Promise<string> {
  const stored = sessionStorage.getItem(CLIENT_ID_KEY);
  if (stored !== null && (await holdForLife(`devpocket.client.${stored}`))) {
    return stored;
  }
  const fresh = `web-${randomId()}`;
  await holdForLife(`devpocket.client.${fresh}`);
  sessionStorage.setItem(CLIENT_ID_KEY, fresh);
  return fresh;
}

/** "Chrome on Android" and the like, from a user agent. */
export function deviceName(userAgent: string): string {
  const first = (names: readonly (readonly [RegExp, string])[]): string =>
    names.find(([pattern]) => pattern.test(userAgent))?.[1] ?? "Browser";
  const browser = first([
    [/Edg\//, "Edge"],
    [/Firefox\/|FxiOS\//, "Firefox"],
    [/Chrome\/|CriOS\//, "Chrome"],
    [/Safari\//, "Safari"],
  ]);
  const system = first([
    [/Android/, "Android"],
    [/iPhone/, "iPhone"],
    [/iPad/, "iPad"],
    [/Mac OS X/, "macOS"],
    [/Windows/, "Windows"],
    [/Linux/, "Linux"],
  ]);
  return system === "Browser" ? browser : `${browser} on ${system}`;
}

async function exclusively<T>(name: string, act: () => Promise<T>): Promise<T> {
  // Without locks two tabs may spend one refresh token at once: the server gives both the same successor for a minute.
  return navigator.locks === undefined ? act() : navigator.locks.request(name, act);
}

async function holdForLife(name: string): Promise<boolean> {
  const { locks } = navigator;
  if (locks === undefined) {
    return false;
  }
  return new Promise((resolve, reject) => {
    locks
      .request(name, { ifAvailable: true }, async (lock) => {
        resolve(lock !== null);
        if (lock !== null) {
          await new Promise<never>(() => undefined);
        }
      })
      .catch(reject);
  });
}
