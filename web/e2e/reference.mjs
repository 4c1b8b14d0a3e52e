// Opens /docs and /redoc of a running DevPocket in a real browser: node web/e2e/reference.mjs <base-url>
// Exit code 0: both show every operation of /openapi.json, ask nobody else for anything and have nothing to complain of.
// The browser is the installed Chromium (CHROMIUM names another); nothing is downloaded.

import { chromium } from "playwright-core";

const STEP_MS = 30_000;
const METHODS = ["get", "put", "post", "delete"];

const baseUrl = process.argv[2];
if (baseUrl === undefined) {
  console.error("usage: node web/e2e/reference.mjs <base-url>");
  process.exit(1);
}

/** Fails with words. */
function must(condition, message) {
  if (!condition) {
    throw new Error(message);
  }
}

const answer = await fetch(new URL("/openapi.json", baseUrl));
must(answer.ok, `/openapi.json: ${answer.status}`);
const { paths } = await answer.json();
const operations = Object.values(paths).flatMap((item) =>
  METHODS.filter((method) => method in item).map((method) => item[method].operationId),
);
must(operations.length > 0, "the document has no operations");

/** Waits until `selector` matches as many elements as there are operations. */
async function untilAllShown(page, selector) {
  await page
    .waitForFunction(
      ([shown, wanted]) => document.querySelectorAll(shown).length === wanted,
      [selector, operations.length],
      { timeout: STEP_MS, polling: 100 },
    )
    .catch(async (cause) => {
      const shown = await page.locator(selector).count();
      throw new Error(`${page.url()} shows ${shown} of ${operations.length} operations`, { cause });
    });
}

const steps = [
  [
    "/docs",
    async (page) => {
      await untilAllShown(page, ".opblock");
      // A call from the page gets through, and its answer is shown.
      const life = page.locator("#operations-operations-show_life");
      await life.locator(".opblock-summary-control").click();
      await life.getByRole("button", { name: "Try it out" }).click();
      await life.getByRole("button", { name: "Execute" }).click();
      const status = life.locator(".live-responses-table .response .response-col_status");
      await status.waitFor({ timeout: STEP_MS });
      must((await status.innerText()).trim().startsWith("200"), `a call was answered with ${await status.innerText()}`);
    },
  ],
  [
    "/redoc",
    async (page) => {
      await untilAllShown(page, "[data-section-id*='/operation/']");
      for (const id of operations) {
        must((await page.locator(`[data-section-id$='/operation/${id}']`).count()) === 1, `${id} is not shown`);
      }
    },
  ],
];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
});
try {
  for (const [path, look] of steps) {
    const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
    const complaints = [];
    page.on("pageerror", (error) => complaints.push(`exception: ${error.stack ?? error}`));
    page.on("console", (message) => {
      // What the content security policy blocks is an error too.
      if (message.type() === "error") {
        complaints.push(`console: ${message.text()}`);
      }
    });
    page.on("requestfailed", (request) => complaints.push(`failed: ${request.url()}`));
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (url.protocol !== "data:" && url.origin !== new URL(baseUrl).origin) {
        complaints.push(`asked for: ${request.url()}`);
      }
    });
    const opened = await page.goto(new URL(path, baseUrl).href);
    must(opened.ok(), `${path}: ${opened.status()}`);
    await look(page).catch((error) => complaints.push(error.message));
    must(complaints.length === 0, complaints.join("\n"));
    console.log(`ok   ${path}`);
    await page.close();
  }
} catch (error) {
  console.error(`FAIL ${error.message}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
