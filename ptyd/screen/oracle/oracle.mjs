// Another emulator's opinion: xterm.js, fed what the tests feed ours. Reads JSON lines of cases, writes for each a JSON line
// of their states. A case: {rows, cols, scrollback, steps: [base64 | [rows, cols] | null | n]}: bytes, a resize, "say your
// state", "say it with n rows of scrollback". Or {widths: true}: how many columns each character takes.
//
// Its faults are mended, unless it is started with the word "as-it-is": some mends are of whole classes, so that one process
// cannot have both.

import { createInterface } from "node:readline";
import xterm from "@xterm/headless";
import unicode from "@xterm/addon-unicode11";
import { mend } from "./faults.mjs";
import { state } from "./state.mjs";

const mended = process.argv[2] !== "as-it-is";

function make(rows, cols, scrollback) {
  const windowOptions = { pushTitle: true, popTitle: true };
  const terminal = new xterm.Terminal({ rows, cols, scrollback, windowOptions, allowProposedApi: true, logLevel: "off" });
  terminal.loadAddon(new unicode.Unicode11Addon());
  terminal.unicode.activeVersion = "11";
  if (mended) mend(terminal);
  terminal._core.oracleColors = {};
  terminal._core._inputHandler.onColor((changes) => {
    const colors = terminal._core.oracleColors;
    for (const { type, index, color } of changes) {
      if (type === 1) colors[index] = color.map((part) => part.toString(16).padStart(2, "0")).join("");
      else if (type === 2 && index === undefined) for (const known of Object.keys(colors)) if (known < 256) delete colors[known];
      if (type === 2 && index !== undefined) delete colors[index];
    }
  });
  return terminal;
}

// Charsets are objects inside: they are told by asking a terminal for them.
const names = new Map([[undefined, "B"]]);
function charsetName(set) {
  return names.get(set) ?? "?";
}
{
  const terminal = make(2, 2, 0);
  for (const name of ["0", "A", "B"]) {
    terminal._core.writeSync(`\x1b(${name}`);
    const set = terminal._core._charsetService._charsets[0];
    if (set) names.set(set, name);
  }
  terminal.dispose();
}

function run({ rows, cols, scrollback, steps }) {
  const terminal = make(rows, cols, scrollback);
  const states = [];
  try {
    for (const step of steps) {
      if (typeof step === "string") terminal._core.writeSync(Buffer.from(step, "base64"));
      else if (Array.isArray(step)) terminal.resize(step[1], step[0]);
      else states.push(state(terminal, charsetName, step ?? 0));
    }
  } catch (error) {
    // One of its faults: it has no more to say.
    if (mended) throw error;
  }
  terminal.dispose();
  return states;
}

// Runs of characters of the same width: [first, last, width].
function widths() {
  const terminal = make(2, 10, 0);
  const runs = [];
  for (let code = 0x20; code < 0x110000; code++) {
    if ((code >= 0x7f && code < 0xa0) || (code >= 0xd800 && code < 0xe000)) continue;
    const width = terminal._core.unicodeService.wcwidth(code);
    const last = runs.at(-1);
    if (last && last[2] === width && last[1] === code - 1) last[1] = code;
    else runs.push([code, code, width]);
  }
  terminal.dispose();
  return runs;
}

for await (const line of createInterface({ input: process.stdin })) {
  const question = JSON.parse(line);
  const answer = Array.isArray(question) ? question.map(run) : widths();
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
