// Another emulator's opinion: xterm.js, fed what the tests feed ours. Reads a JSON line of cases, writes one of states.
// A case: {rows, cols, scrollback, steps: [{feed: base64} | {resize: [rows, cols]} | {state: true}]}.

import { createInterface } from "node:readline";
import xterm from "@xterm/headless";
import unicode from "@xterm/addon-unicode11";

const write = (terminal, bytes) => new Promise((done) => terminal.write(bytes, done));

const modeNames = [
  "applicationCursorKeysMode", "applicationKeypadMode", "bracketedPasteMode", "insertMode", "mouseTrackingMode",
  "originMode", "reverseWraparoundMode", "sendFocusMode", "wraparoundMode",
];

function color(cell, which) {
  const value = which === "fg" ? cell.getFgColor() : cell.getBgColor();
  if (which === "fg" ? cell.isFgDefault() : cell.isBgDefault()) return "d";
  const rgb = which === "fg" ? cell.isFgRGB() : cell.isBgRGB();
  return rgb ? `#${value.toString(16).padStart(6, "0")}` : `p${value}`;
}

// A row as text: each cell's text, width and looks, blank ones at the end left out.
function row(line, cols) {
  if (!line) return { wrapped: false, cells: [] };
  const cells = [];
  for (let x = 0; x < cols; x++) {
    const cell = line.getCell(x);
    if (!cell) break;
    const chars = cell.getChars();
    const flags =
      (cell.isBold() ? 1 : 0) | (cell.isDim() ? 2 : 0) | (cell.isItalic() ? 4 : 0) | (cell.isBlink() ? 8 : 0) |
      (cell.isInverse() ? 16 : 0) | (cell.isInvisible() ? 32 : 0) | (cell.isStrikethrough() ? 64 : 0) |
      (cell.isOverline() ? 128 : 0);
    const underline = cell.isUnderline() ? 1 : 0;
    const empty = chars === "" && cell.getWidth() !== 0;
    cells.push(empty ? ["", 1, "d", color(cell, "bg"), 0, 0] : [chars, cell.getWidth(), color(cell, "fg"), color(cell, "bg"), flags, underline]);
  }
  const blank = (cell) => cell[0] === "" && cell[1] === 1 && cell[3] === "d";
  while (cells.length && blank(cells[cells.length - 1])) cells.pop();
  return { wrapped: line.isWrapped, cells };
}

function state(terminal) {
  const active = terminal.buffer.active;
  const primary = terminal.buffer.normal;
  const rows = [];
  for (let y = 0; y < terminal.rows; y++) rows.push(row(active.getLine(active.baseY + y), terminal.cols));
  const hidden = [];
  if (active.type === "alternate") {
    for (let y = 0; y < terminal.rows; y++) hidden.push(row(primary.getLine(primary.baseY + y), terminal.cols));
  }
  // Lines above the screen, wrapped rows joined; one that goes on on the screen is there only as far as it is above.
  const scrollback = [];
  for (let y = 0; y < primary.baseY; y++) {
    const line = primary.getLine(y);
    const text = line.translateToString(false);
    if (line.isWrapped && scrollback.length) scrollback[scrollback.length - 1] += text;
    else scrollback.push(text);
  }
  const modes = Object.fromEntries(modeNames.map((name) => [name, terminal.modes[name]]));
  return {
    alternate: active.type === "alternate", rows, hidden, cursor: [active.cursorX, active.cursorY], modes,
    scrollback: scrollback.map((line) => line.trimEnd()),
  };
}

async function run({ rows, cols, scrollback, steps }) {
  const terminal = new xterm.Terminal({ rows, cols, scrollback, allowProposedApi: true, logLevel: "off" });
  terminal.loadAddon(new unicode.Unicode11Addon());
  terminal.unicode.activeVersion = "11";
  const states = [];
  for (const step of steps) {
    if (step.feed !== undefined) await write(terminal, Buffer.from(step.feed, "base64"));
    else if (step.resize) terminal.resize(step.resize[1], step.resize[0]);
    else states.push(state(terminal));
  }
  terminal.dispose();
  return states;
}

for await (const line of createInterface({ input: process.stdin })) {
  const answers = [];
  for (const one of JSON.parse(line)) answers.push(await run(one));
  process.stdout.write(`${JSON.stringify(answers)}\n`);
}
