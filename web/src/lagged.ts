// What is written before a snapshot that redraws the screen alone; knows nothing of when.

import type { TerminalSize } from "./protocol";

/** Ends whatever the skipped output had begun, and every mode a snapshot sets again. */
const PLAIN =
  "\x1b\\" + // an unfinished string
  "\x1b[?1049l\x1b[!p" + // alternate screen; soft reset
  "\x1b[?1;5;6;9;12;45;1000;1002;1003;1004;1005;1006;1015;1016;2004;2026l\x1b[?7;25h\x1b[4;20l" + // modes
  "\x1b[0 q" + // cursor shape
  "\x1b]104\x1b\\\x1b]110\x1b\\\x1b]111\x1b\\\x1b]112\x1b\\" + // colours
  "\x1b>\x1b(B\x1b)B\x0f\x1b[r\x1b[m\x1b]8;;\x1b\\"; // keypad, character sets, region, pen, link

const MARK = "\x1b[7m some output was left out here \x1b[m";

/** Cells from one tab stop to the next. */
const TAB_CELLS = 8;

/**
 * Clears the screen and its modes for a snapshot with reason `lagged`: what was on the screen of `size` moves into the
 * scrollback, followed by a mark where output is missing (docs/protocol.md, section 6).
 */
export function clearForLaggedSnapshot(size: TerminalSize): string {
  let tabs = "\x1b[3g";
  for (let column = TAB_CELLS; column < size.cols; column += TAB_CELLS) {
    tabs += `\x1b[${column + 1}G\x1bH`;
  }
  return `${PLAIN}${tabs}\x1b[${size.rows};1H\r\n${MARK}${"\r\n".repeat(size.rows)}\x1b[H\x1b[2J\x1b7`;
}
