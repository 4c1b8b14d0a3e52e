// Drives a real browser against a running DevPocket: node web/e2e/terminal.mjs <base-url> <first-run-link>
// Exit code 0: everything was as it should be. 1: it was not, the message says what, and pictures were taken.
// The browser is the installed Chromium (CHROMIUM names another); nothing is downloaded.

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { startProxy } from "./proxy.mjs";

const STEP_MS = 30_000;
const WHOLE_RUN_MS = 240_000;

const [baseUrl, firstRunLink] = process.argv.slice(2);
if (baseUrl === undefined || firstRunLink === undefined) {
  console.error("usage: node web/e2e/terminal.mjs <base-url> <first-run-link>");
  process.exit(1);
}

/** Fails with words. */
function must(condition, message) {
  if (!condition) {
    throw new Error(message);
  }
}

const text = (page) => page.evaluate(() => window.devpocket.text());
const session = (page) => page.evaluate(() => window.devpocket.session());
const count = (haystack, needle) => haystack.split("\n").filter((line) => line.trimEnd() === needle).length;

/** Waits until the page's `check(arg)` is true, and says what it waited for if it never is. */
async function until(page, what, check, arg) {
  try {
    await page.waitForFunction(check, arg, { timeout: STEP_MS, polling: 50 });
  } catch (error) {
    throw new Error(`waited ${STEP_MS} ms for ${what}`, { cause: error });
  }
}

const untilLine = (page, line) =>
  until(page, `the line "${line}"`, (wanted) => window.devpocket.text().split("\n").some((l) => l.trimEnd() === wanted), line);

/** The shell waits at its prompt: the last line with anything in it ends like one. */
const untilPrompt = (page) =>
  until(page, "a prompt", () => /[$#%>]\s*$/.test(window.devpocket.text().trimEnd()) && window.devpocket.session()?.phase === "live");

async function type(page, command) {
  await page.keyboard.type(command);
  await page.keyboard.press("Enter");
}

const steps = [
  [
    "the link signs in, and a shell answers",
    async ({ page }) => {
      await page.goto(firstRunLink);
      await untilPrompt(page);
      must(!page.url().includes("first-run="), "the used link is still in the address");
      await type(page, "echo $((6*7))");
      await untilLine(page, "42");
      // Bytes that are no UTF-8 take a column, as on the server's screen.
      await type(page, "printf '\\377no-utf8\\n'");
      await untilLine(page, "\uFFFDno-utf8");
    },
  ],
  [
    "what is typed offline is executed once, when the network is back",
    async ({ page, context, proxy }) => {
      await context.setOffline(true);
      proxy.cut();
      await until(page, "the page to notice", () => window.devpocket.connection() !== "open");
      await type(page, "echo typed-offline-$((40+2))");
      must(count(await text(page), "typed-offline-42") === 0, "an offline terminal executed something");
      await until(page, "the page to say that it is offline", () =>
        /offline/i.test(document.getElementById("state-text").textContent),
      );
      proxy.mend();
      await context.setOffline(false);
      await untilLine(page, "typed-offline-42");
      await type(page, "echo again-$((1+1))");
      await untilLine(page, "again-2");
      must(count(await text(page), "typed-offline-42") === 1, "the command typed offline was executed more than once");
    },
  ],
  [
    "output that connections are cut in is complete, in order, and there once",
    async ({ page, proxy }) => {
      const lines = 300;
      await type(page, `for i in $(seq ${lines}); do echo line-$i; sleep 0.01; done; echo all-$((0+${lines}))`);
      for (const shown of [20, 100, 200]) {
        await until(page, `line ${shown}`, (n) => window.devpocket.text().includes(`line-${n}\n`), shown);
        proxy.cut();
        await until(page, "the page to notice", () => window.devpocket.connection() !== "open");
        proxy.mend();
      }
      await untilLine(page, `all-${lines}`);
      const printed = [...(await text(page)).matchAll(/^line-(\d+)\s*$/gm)].map(([, number]) => Number(number));
      const expected = Array.from({ length: lines }, (_, index) => index + 1);
      must(JSON.stringify(printed) === JSON.stringify(expected), `the lines were ${printed.join(" ")}`);
    },
  ],
  [
    "the shell learns the size of the page",
    async ({ page }) => {
      const before = await session(page);
      await page.setViewportSize({ width: 640, height: 420 });
      await until(page, "another size", (was) => window.devpocket.session().cols !== was.cols, before);
      const { rows, cols } = await session(page);
      await page.keyboard.type("stty size");
      await page.keyboard.press("Enter");
      await untilLine(page, `${rows} ${cols}`);
    },
  ],
  [
    "a paste and the row of keys reach the shell",
    async ({ page }) => {
      await page.evaluate(() => {
        const data = new DataTransfer();
        data.setData("text/plain", "echo pasted-$((5*5))");
        const target = document.querySelector(".terminal:not([hidden]) textarea");
        target.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
      });
      await until(page, "the pasted text", () => window.devpocket.text().includes("echo pasted-$((5*5))"));
      await page.keyboard.press("Enter");
      await untilLine(page, "pasted-25");
      await page.keyboard.type("sleep 1000");
      await page.keyboard.press("Enter");
      await page.setViewportSize({ width: 390, height: 700 });
      await page.getByRole("button", { name: "Ctrl", exact: true }).click();
      await page.keyboard.type("c");
      await untilPrompt(page);
      await page.getByRole("button", { name: "Up", exact: true }).click();
      await until(page, "the last command", () => /\^C[\s\S]*sleep 1000\s*$/.test(window.devpocket.text()));
      await page.keyboard.press("Control+c");
      await untilPrompt(page);
      await type(page, "echo free-$((8+1))");
      await untilLine(page, "free-9");
    },
  ],
  [
    "a reloaded page shows the same session and goes on",
    async ({ page }) => {
      const before = await session(page);
      await page.reload();
      await untilPrompt(page);
      const after = await session(page);
      must(after.id === before.id, `session ${before.id} became ${after.id}`);
      await untilLine(page, "free-9");
      await type(page, "echo back-$((3*3))");
      await untilLine(page, "back-9");
    },
  ],
  [
    "a second tab shares the session without taking it away",
    async ({ page, context, watch }) => {
      const second = watch(await context.newPage());
      await second.goto(baseUrl);
      await untilPrompt(second);
      must((await session(second)).id === (await session(page)).id, "the second tab opened another session");
      await type(second, "echo both-$((7+7))");
      await untilLine(second, "both-14");
      await untilLine(page, "both-14");
      must((await session(page)).phase === "live", "the first tab lost its session");
      await second.close();
    },
  ],
  [
    "a smaller page that only looks changes no size, and shows all of the screen",
    async ({ page, context, watch }) => {
      await page.bringToFront();
      const narrow = await session(page);
      await page.setViewportSize({ width: 1000, height: 700 });
      await until(page, "the larger size", (was) => window.devpocket.session().cols > was.cols, narrow);
      const before = await session(page);
      const second = watch(await context.newPage());
      await second.setViewportSize({ width: 700, height: 500 });
      await second.goto(baseUrl);
      await untilPrompt(second);
      const fits = () => {
        const panel = document.querySelector(".terminal:not([hidden])");
        const screen = panel.querySelector(".xterm-screen").getBoundingClientRect();
        return screen.width <= panel.clientWidth && screen.height <= panel.clientHeight;
      };
      await until(second, "the whole screen in the smaller page", fits);
      for (const looker of [page, second]) {
        const { rows, cols } = await session(looker);
        must(rows === before.rows && cols === before.cols, `the size became ${rows} x ${cols}`);
      }
      await second.close();
      await page.bringToFront();
      await type(page, "stty size");
      await untilLine(page, `${before.rows} ${before.cols}`);
    },
  ],
  [
    "the page says that a shell has ended, and opens another",
    async ({ page }) => {
      const before = await session(page);
      await page.bringToFront();
      await page.locator(".terminal:not([hidden]) textarea").focus();
      await type(page, "exit 3");
      await until(page, "the end", () => /code 3/.test(document.getElementById("state-text").textContent));
      await page.getByRole("button", { name: "New terminal" }).last().click();
      await untilPrompt(page);
      must((await session(page)).id !== before.id, "the new terminal has the old one's id");
    },
  ],
];

async function run() {
  const target = new URL(baseUrl);
  const port = target.port === "" ? 80 : Number(target.port);
  const proxy = await startProxy(target.hostname, port);
  // The page keeps its address, and with it its origin; only its connections go through the proxy.
  const hosts = ["localhost", "127.0.0.1", target.hostname].map((host) => `MAP ${host}:${port} 127.0.0.1:${proxy.port}`);
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      `--host-resolver-rules=${hosts.join(", ")}`,
    ],
  });
  const context = await browser.newContext({ viewport: { width: 1000, height: 700 } });
  const pages = [];
  const complaints = [];
  const watch = (page) => {
    pages.push(page);
    page.on("pageerror", (error) => complaints.push(`exception: ${error.stack ?? error}`));
    page.on("console", (message) => {
      // A cut network is reported by the browser itself; that is what this script does to it.
      if (message.type() === "error" && !/net::ERR_|WebSocket connection to/.test(message.text())) {
        complaints.push(`console: ${message.text()}`);
      }
    });
    return page;
  };
  const page = watch(await context.newPage());
  try {
    for (const [name, act] of steps) {
      const startedMs = performance.now();
      await act({ page, context, proxy, watch });
      must(complaints.length === 0, complaints.join("\n"));
      console.log(`ok   ${name} (${((performance.now() - startedMs) / 1000).toFixed(1)} s)`);
    }
    return true;
  } catch (error) {
    const directory = mkdtempSync(join(tmpdir(), "devpocket-e2e-"));
    console.error(`FAIL ${error.message}`);
    complaints.forEach((complaint) => console.error(complaint));
    for (const [index, open] of pages.filter((candidate) => !candidate.isClosed()).entries()) {
      const picture = join(directory, `page-${index}.png`);
      await open.screenshot({ path: picture }).catch(() => undefined);
      const shown = await open
        .evaluate(() => ({
          state: document.getElementById("state-text")?.textContent,
          session: window.devpocket?.session(),
          connection: window.devpocket?.connection(),
          text: window.devpocket?.text().slice(-2000),
        }))
        .catch((reason) => String(reason));
      console.error(`page ${index}: ${picture}\n${JSON.stringify(shown, null, 1)}`);
    }
    return false;
  } finally {
    await browser.close();
    proxy.close();
  }
}

const deadline = setTimeout(() => {
  console.error(`FAIL not done after ${WHOLE_RUN_MS} ms`);
  process.exit(1);
}, WHOLE_RUN_MS);
const passed = await run().catch((error) => {
  console.error(`FAIL ${error.stack ?? error}`);
  return false;
});
clearTimeout(deadline);
process.exit(passed ? 0 : 1);
