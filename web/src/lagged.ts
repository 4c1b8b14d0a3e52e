// What is written before a snapshot that redraws the screen alone; knows nothing of when.

/** Ends whatever the skipped output had begun, and every mode a snapshot sets again. */
const PLAIN =
  "\x1b\\" + // an unfinished string
  "\x1b[?1049l\x1b[!p" + // alternate screen; soft reset
  "\x1b[?1;6;9;1000;1002;1003;1004;1005;1006;1015;1016;2004l\x1b[?7;25h\x1b[4;20l" + // modes
  "\x1b>\x1b(B\x1b)B\x0f\x1b[r\x1b[m\x1b]8;;\x1b\\"; // keypad, character sets, region, pen, link

const MARK = "\x1b[7m some output was left out here \x1b[m";

/**
 * Clears the screen and its modes for a snapshot with reason `lagged`: what was on the screen moves into the scrollback
 * of `rows` lines' screen, followed by a mark where output is missing (docs/protocol.md, section 6).
 */
export function clearForLaggedSnapshot(rows: number): string {
  return `${PLAIN}\x1b[${rows};1H\r\n${MARK}${"\r\n".repeat(rows)}\x1b[H\x1b[2J`;
}
