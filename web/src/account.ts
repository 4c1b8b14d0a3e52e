// Who is signed in: tokens, their rotation between tabs, and the calls of the HTTP API the page needs. Knows no page.

import { Problem, Unreachable, problemOf } from "./problem";
import { isRecord, numberOf, textOf } from "./protocol";

const REFRESH_TOKEN_KEY = "devpocket.refresh_token";
const LOCK_NAME = "devpocket.refresh";

/** An access token is renewed this long before its end, in milliseconds. */
const RENEW_BEFORE_MS = 60_000;

/** Longest wait for an answer, in milliseconds. */
const ANSWER_MS = 15_000;

/** The signed-in user, as far as the page shows it. */
export interface User {
  id: string;
  username: string;
}

/** A session in the account's list. */
export interface ListedSession {
  id: string;
  name: string | null;
}

/** What the account needs from the browser; tests hand in their own. */
export interface Browser {
  storage: Pick<Storage, "getItem" | "setItem" | "removeItem">;
  fetch(path: string, init: RequestInit): Promise<Response>;
  /** Runs `act` while no other tab of this origin does. */
  exclusively<T>(name: string, act: () => Promise<T>): Promise<T>;
  now(): number;
  /** Shown in the account's list of devices. */
  deviceName: string;
}

/** The page's account. The access token lives in memory only, the refresh token in this browser's storage. */
export class Account {
  user: User | null = null;
  private access: { token: string; expiresAtMs: number } | null = null;

  constructor(private readonly browser: Browser) {}

  /** Is there something to sign in with again? */
  get hasStoredSignIn(): boolean {
    return this.browser.storage.getItem(REFRESH_TOKEN_KEY) !== null;
  }

  /** Signs in with a name or email and a password. Throws {@link Problem} or {@link Unreachable}. */
  async login(username: string, password: string): Promise<void> {
    this.keep(await this.post("/api/auth/login", { username, password, ...this.device() }));
  }

  /** Makes an account and signs in. Throws {@link Problem} or {@link Unreachable}. */
  async register(email: string, username: string, password: string): Promise<void> {
    this.keep(await this.post("/api/auth/register", { email, username, password, ...this.device() }));
  }

  /** Signs in with the token of a first-run link. Throws {@link Problem} or {@link Unreachable}. */
  async firstRun(token: string): Promise<void> {
    this.keep(await this.post("/api/auth/first-run", { token, ...this.device() }));
  }

  /** Signs this browser out. What the server says to it changes nothing here. */
  async logout(): Promise<void> {
    const token = this.access?.token;
    this.forget();
    this.browser.storage.removeItem(REFRESH_TOKEN_KEY);
    if (token !== undefined) {
      await this.post("/api/auth/logout", {}, token);
    }
  }

  /** Forgets the sign-in in memory, after another tab signed out. */
  forget(): void {
    this.user = null;
    this.access = null;
  }

  /** An access token with some life left, renewed if need be. Throws as {@link refresh}. */
  async token(): Promise<string> {
    if (this.access !== null && this.access.expiresAtMs - RENEW_BEFORE_MS > this.browser.now()) {
      return this.access.token;
    }
    return this.refresh();
  }

  /**
   * Gets a new pair of tokens. Tabs share one refresh token and take turns: a token is spent by its use, and the next
   * tab must see its successor. Throws {@link Problem} with status 401 when the sign-in is gone, and forgets it then.
   */
  async refresh(): Promise<string> {
    return this.browser.exclusively(LOCK_NAME, async () => {
      const refreshToken = this.browser.storage.getItem(REFRESH_TOKEN_KEY);
      if (refreshToken === null) {
        this.forget();
        throw new Problem(401, "signed_out", "Please sign in.", null);
      }
      try {
        return this.keep(await this.post("/api/auth/refresh", { refresh_token: refreshToken }));
      } catch (error) {
        if (error instanceof Problem && error.status === 401) {
          this.forget();
          if (this.browser.storage.getItem(REFRESH_TOKEN_KEY) === refreshToken) {
            this.browser.storage.removeItem(REFRESH_TOKEN_KEY);
          }
        }
        throw error;
      }
    });
  }

  /** A one-time ticket for the WebSocket. */
  async ticket(): Promise<string> {
    const answer = await this.authorized((token) => this.post("/api/auth/ws-ticket", {}, token));
    const ticket = textOf(answer["ticket"]);
    if (ticket === null) {
      throw new Unreachable("The server gave no ticket.");
    }
    return ticket;
  }

  /** The account's live sessions, oldest first; null when this server has no such list. */
  async sessions(): Promise<ListedSession[] | null> {
    try {
      const answer = await this.authorized((token) =>
        this.call("/api/sessions?active_only=true&limit=64", "GET", undefined, token),
      );
      const listed = answer["sessions"];
      if (!Array.isArray(listed)) {
        return null;
      }
      const createdAt = (session: Record<string, unknown>): number => Date.parse(textOf(session["created_at"]) ?? "") || 0;
      return listed
        .filter(isRecord)
        .sort((one, other) => createdAt(one) - createdAt(other))
        .flatMap((session) => {
          const id = textOf(session["id"]);
          return id === null ? [] : [{ id, name: textOf(session["name"]) }];
        });
    } catch (error) {
      if (error instanceof Problem && (error.status === 404 || error.status === 405)) {
        return null;
      }
      throw error;
    }
  }

  /** Calls with the access token, once more with a fresh one if it was refused. */
  private async authorized<T>(act: (token: string) => Promise<T>): Promise<T> {
    try {
      return await act(await this.token());
    } catch (error) {
      if (error instanceof Problem && error.status === 401 && this.access !== null) {
        return act(await this.refresh());
      }
      throw error;
    }
  }

  private keep(tokens: Record<string, unknown>): string {
    const access = textOf(tokens["access_token"]);
    const refresh = textOf(tokens["refresh_token"]);
    const user = isRecord(tokens["user"]) ? tokens["user"] : {};
    const id = textOf(user["id"]);
    if (access === null || refresh === null || id === null) {
      throw new Unreachable("The server's answer has no tokens.");
    }
    const livesSeconds = numberOf(tokens["expires_in"]) ?? 300;
    this.browser.storage.setItem(REFRESH_TOKEN_KEY, refresh);
    this.access = { token: access, expiresAtMs: this.browser.now() + livesSeconds * 1000 };
    this.user = { id, username: textOf(user["username"]) ?? "" };
    return access;
  }

  private device(): Record<string, string> {
    return { device_name: this.browser.deviceName, device_type: "web" };
  }

  private post(path: string, body: unknown, token?: string): Promise<Record<string, unknown>> {
    return this.call(path, "POST", body, token);
  }

  private async call(
    path: string,
    method: string,
    body: unknown,
    token: string | undefined,
  ): Promise<Record<string, unknown>> {
    const headers: Record<string, string> = { Accept: "application/json" };
    if (body !== undefined) {
      headers["Content-Type"] = "application/json";
    }
    if (token !== undefined) {
      headers["Authorization"] = `Bearer ${token}`;
    }
    let response: Response;
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), ANSWER_MS);
    let answer: unknown;
    try {
      response = await this.browser.fetch(path, {
        method,
        headers,
        body: body === undefined ? null : JSON.stringify(body),
        cache: "no-store",
        signal: abort.signal,
      });
      const text = await response.text();
      answer = text === "" ? {} : parseJson(text);
    } catch (error) {
      throw new Unreachable("The server cannot be reached.", { cause: error });
    } finally {
      clearTimeout(timer);
    }
    if (!response.ok) {
      throw problemOf(response.status, answer, response.headers.get("Retry-After"));
    }
    return isRecord(answer) ? answer : {};
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
