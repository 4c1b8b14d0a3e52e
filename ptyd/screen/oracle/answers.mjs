// What a terminal that is fed bytes says by itself: xterm.js, with all it may be asked allowed. Reads lines of bytes in hex, each for
// a terminal of its own, and writes for each a line with its answers in hex.

import { createInterface } from "node:readline";
import xterm from "@xterm/headless";

const asked = [
  "getWinState", "getWinPosition", "getWinSizePixels", "getScreenSizePixels", "getCellSizePixels", "getWinSizeChars",
  "getScreenSizeChars", "getIconTitle", "getWinTitle",
];
const windowOptions = Object.fromEntries(asked.map((name) => [name, true]));

for await (const line of createInterface({ input: process.stdin })) {
  const terminal = new xterm.Terminal({ rows: 24, cols: 80, windowOptions, allowProposedApi: true, logLevel: "off" });
  let answers = "";
  terminal.onData((data) => (answers += data));
  terminal.onBinary((data) => (answers += data));
  terminal._core.writeSync(Buffer.from(line, "hex"));
  terminal.dispose();
  process.stdout.write(Buffer.from(answers, "utf8").toString("hex") + "\n");
}
