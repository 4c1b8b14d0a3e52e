import { beforeEach, describe, expect, it } from "vitest";
import { Account } from "../src/account";
import type { Browser } from "../src/account";
import { Problem, Unreachable } from "../src/problem";

const REFRESH_TOKEN_KEY = "devpocket.refresh_token";

/** A server with rotating refresh tokens, one use each, and the browser tabs that share a storage. */
class FakeServer {
  readonly stored = new Map<string, string>();
  readonly calls: string[] = [];
  now = 0;
  valid = "refresh-0";
  private issued = 0;
  private tail: Promise<unknown> = Promise.resolve();
  answer: ((path: string, body: Record<string, unknown>, token: string | null) => Response | null) | null = null;

  tab(): Account {
    const browser: Browser = {
      storage: {
        getItem: (key) => this.stored.get(key) ?? null,
        setItem: (key, value) => void this.stored.set(key, value),
        removeItem: (key) => void this.stored.delete(key),
      },
      fetch: (path, init) => this.handle(path, init),
      exclusively: (_, act) => {
        const turn = this.tail.then(act);
        this.tail = turn.catch(() => undefined);
        return turn;
      },
      now: () => this.now,
      deviceName: "Test",
    };
    return new Account(browser);
  }

  private async handle(path: string, init: RequestInit): Promise<Response> {
    this.calls.push(path);
    const body = JSON.parse(String(init.body ?? "{}")) as Record<string, unknown>;
    const token = new Headers(init.headers).get("Authorization");
    const own = this.answer?.(path, body, token);
    if (own) {
      return own;
    }
    if (path === "/api/auth/refresh" && body["refresh_token"] !== this.valid) {
      return Response.json({ code: "token_reused", detail: "Signed out." }, { status: 401 });
    }
    return this.tokens();
  }

  tokens(): Response {
    this.issued += 1;
    this.valid = `refresh-${this.issued}`;
    return Response.json({
      access_token: `access-${this.issued}`,
      refresh_token: this.valid,
      expires_in: 3600,
      user: { id: "u1", username: "owner" },
    });
  }
}

let server: FakeServer;

beforeEach(() => {
  server = new FakeServer();
});

describe("tokens", () => {
  it("keeps the refresh token in the storage and the access token out of it", async () => {
    const tab = server.tab();
    await tab.login("owner", "secret");
    expect(tab.user).toEqual({ id: "u1", username: "owner" });
    expect([...server.stored]).toEqual([[REFRESH_TOKEN_KEY, "refresh-1"]]);
  });

  it("renews an access token a minute before its end", async () => {
    const tab = server.tab();
    await tab.login("owner", "secret");
    server.now = 3_530_000;
    expect(await tab.token()).toBe("access-1");
    server.now = 3_541_000;
    expect(await tab.token()).toBe("access-2");
  });

  it("lets tabs take turns, so that none spends a token another has spent", async () => {
    server.stored.set(REFRESH_TOKEN_KEY, "refresh-0");
    const tokens = await Promise.all(Array.from({ length: 5 }, () => server.tab().token()));
    expect(new Set(tokens).size).toBe(5);
    expect(server.stored.get(REFRESH_TOKEN_KEY)).toBe(server.valid);
  });

  it("forgets a sign-in the server does not know any more", async () => {
    server.stored.set(REFRESH_TOKEN_KEY, "spent");
    const tab = server.tab();
    await expect(tab.refresh()).rejects.toMatchObject({ status: 401, code: "token_reused" });
    expect(tab.hasStoredSignIn).toBe(false);
    expect(tab.user).toBeNull();
  });

  it("keeps the sign-in when the server cannot be reached or is in trouble", async () => {
    server.stored.set(REFRESH_TOKEN_KEY, "refresh-0");
    const tab = server.tab();
    server.answer = () => {
      throw new TypeError("network");
    };
    await expect(tab.refresh()).rejects.toBeInstanceOf(Unreachable);
    server.answer = () => new Response("<h1>Bad gateway</h1>", { status: 502 });
    await expect(tab.refresh()).rejects.toMatchObject({ status: 502 });
    expect(tab.hasStoredSignIn).toBe(true);
  });

  it("signs out here even if the server does not answer", async () => {
    const tab = server.tab();
    await tab.login("owner", "secret");
    server.answer = () => {
      throw new TypeError("network");
    };
    await expect(tab.logout()).rejects.toBeInstanceOf(Unreachable);
    expect(tab.hasStoredSignIn).toBe(false);
    expect(tab.user).toBeNull();
  });
});

describe("calls", () => {
  it("asks once more with a fresh token when the first was refused", async () => {
    const tab = server.tab();
    await tab.login("owner", "secret");
    server.answer = (path, _, token) => {
      if (path !== "/api/auth/ws-ticket") {
        return null;
      }
      return token === "Bearer access-2" ? Response.json({ ticket: "t" }) : new Response("{}", { status: 401 });
    };
    expect(await tab.ticket()).toBe("t");
    expect(server.calls).toEqual(["/api/auth/login", "/api/auth/ws-ticket", "/api/auth/refresh", "/api/auth/ws-ticket"]);
  });

  it("tells a server without a list of sessions from an empty list", async () => {
    const tab = server.tab();
    await tab.login("owner", "secret");
    server.answer = () => new Response("{}", { status: 404 });
    expect(await tab.sessions()).toBeNull();
    server.answer = () => Response.json({ sessions: [], total: 0 });
    expect(await tab.sessions()).toEqual([]);
  });

  it("lists sessions oldest first", async () => {
    const tab = server.tab();
    await tab.login("owner", "secret");
    const sessions = [
      { id: "new", created_at: "2026-02-01T10:00:00.5Z" },
      { id: "old", created_at: "2026-02-01T10:00:00Z", name: "build" },
      { name: "no id" },
    ];
    server.answer = () => Response.json({ sessions, total: 3 });
    expect(await tab.sessions()).toEqual([
      { id: "old", name: "build" },
      { id: "new", name: null },
    ]);
  });

  it("says what the server said, field errors included", async () => {
    server.answer = () =>
      Response.json(
        { code: "validation", title: "Invalid", errors: [{ field: "password", message: "Too long." }] },
        { status: 422, headers: { "Retry-After": "7" } },
      );
    const failed = server.tab().register("a@example.org", "owner", "x");
    await expect(failed).rejects.toBeInstanceOf(Problem);
    await expect(failed).rejects.toMatchObject({ message: "Invalid Too long.", retryAfterSeconds: 7, code: "validation" });
  });
});
