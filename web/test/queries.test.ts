import { Terminal as Headless } from "@xterm/headless";
import type { Terminal } from "@xterm/xterm";
import { expect, it } from "vitest";
import { clearForLaggedSnapshot } from "../src/lagged";
import { swallowQueries } from "../src/queries";

function terminal(): Headless {
  return new Headless({ allowProposedApi: true, cols: 20, rows: 4, windowOptions: { getWinSizeChars: true, pushTitle: true, popTitle: true } });
}

/** Feeds `text` to a terminal, with or without the filter; says what the terminal itself sent. */
async function answersTo(text: string, filtered: boolean): Promise<string> {
  const headless = terminal();
  // The headless build has the same parser and core; it lacks the parts of the page only.
  const filter = filtered ? swallowQueries(headless as unknown as Terminal) : null;
  let answers = "";
  headless.onData((data) => {
    if (filter?.terminalSpeaks !== true) {
      answers += data;
    }
  });
  await new Promise<void>((resolve) => headless.write(text, resolve));
  return answers;
}

it.each([
  ["DA1", "\x1b[c"],
  ["DA2", "\x1b[>c"],
  ["DSR", "\x1b[5n"],
  ["CPR", "\x1b[6n"],
  ["DEC CPR", "\x1b[?6n"],
  ["DECRQM", "\x1b[?25$p"],
  ["DECRQM, ANSI", "\x1b[4$p"],
  ["DECRQSS", '\x1bP$q"p\x1b\\'],
  ["XTWINOPS size", "\x1b[18t"],
])("never answers %s, which xterm.js would", async (_, query) => {
  expect(await answersTo(query, false)).not.toBe("");
  expect(await answersTo(query, true)).toBe("");
});

it.each([
  ["colours", "\x1b]10;?\x07\x1b]11;?\x07\x1b]4;1;?\x1b\\"],
  ["versions and keyboard flags", "\x1b[>q\x1b[?u\x1b[=c\x1bP+q544e\x1b\\\x05\x1bZ\x1b[x"],
  ["focus reports asked for in a replay", "\x1b[?1004h"],
])("never answers %s", async (_, query) => {
  expect(await answersTo(query, true)).toBe("");
});

it("still takes what is no query: colours set, the title stack, modes", async () => {
  const headless = terminal();
  swallowQueries(headless as unknown as Terminal);
  const titles: string[] = [];
  headless.onTitleChange((title) => titles.push(title));
  await new Promise<void>((resolve) => headless.write("\x1b]2;one\x07\x1b[22;2t\x1b]2;two\x07\x1b[23;2t\x1b[?2004h", resolve));
  expect(titles).toEqual(["one", "two", "one"]);
  expect(headless.modes.bracketedPasteMode).toBe(true);
});

it("clears screen and modes for a lagged snapshot, but keeps the scrollback and marks the gap", async () => {
  const headless = terminal();
  const write = (text: string): Promise<void> => new Promise((resolve) => headless.write(text, resolve));
  await write("1\r\n2\r\n3\r\n4\r\n5\x1b[?2004h\x1b[?1h\x1b[?2026h\x1b[31m\x1b[3g\x1b[2;3r\x1b]2;unfinished");
  await write(clearForLaggedSnapshot({ rows: 4, cols: 20 }));
  await write("new");
  const { active } = headless.buffer;
  const lines = Array.from({ length: active.length }, (_, row) => active.getLine(row)?.translateToString(true) ?? "");
  expect(lines.slice(0, 5)).toEqual(["1", "2", "3", "4", "5"]);
  expect(lines.join("")).toContain("left out");
  expect(lines.slice(-4)).toEqual(["new", "", "", ""]);
  // Tab stops are back where they are after a reset.
  await write("\r\n\tx\ty");
  expect(active.getLine(active.baseY + 1)?.translateToString(true)).toBe("        x       y");
  expect(headless.modes).toMatchObject({ bracketedPasteMode: false, applicationCursorKeysMode: false });
});

it("leaves no mode of what was skipped on for a lagged snapshot", async () => {
  const headless = terminal();
  const modes = "1;5;6;9;12;45;1000;1002;1003;1004;1005;1006;1015;1016;2004;2026";
  await new Promise<void>((resolve) => headless.write(`\x1b[?${modes}h\x1b[4;20h\x1b[?7;25l\x1b=\x1b[3 q`, resolve));
  expect(headless.options.cursorBlink).toBe(true);
  await new Promise<void>((resolve) => headless.write(clearForLaggedSnapshot({ cols: 20, rows: 4 }), resolve));
  expect(headless.options.cursorBlink).toBe(false);
  expect(headless.modes).toEqual(terminal().modes);
});
