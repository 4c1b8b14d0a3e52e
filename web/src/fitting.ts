// How a terminal fits the place it has: whose doing a change of that place was, and how small the letters of a session
// become whose size another device set. Knows neither the terminal nor the page.

import type { TerminalSize } from "./protocol";

/** Letters below this size are not read any more: then the page is panned instead. In CSS pixels. */
const SMALLEST_FONT_PX = 7;

/** The font, at most `basePx`, with which a session of `size` fits where `room` cells of `basePx` have a place. */
export function fontToFit(basePx: number, room: TerminalSize, size: TerminalSize): number {
  const ratio = Math.min(1, room.cols / size.cols, room.rows / size.rows);
  // In half pixels, and down: a rounded cell must not be what makes it too wide.
  return Math.max(Math.min(SMALLEST_FONT_PX, basePx), Math.floor(basePx * ratio * 2) / 2);
}

/**
 * Tells what the user does to the window, which claims the session's size, from what happens by itself: a terminal that
 * is shown, and on a phone a keyboard that slides in and changes the height alone.
 */
export class PlaceWatch {
  private width = 0;
  private height = 0;

  /** The place has this size now, 0 by 0 while hidden. Answers whether the user changed it by hand. */
  see(width: number, height: number, touch: boolean): boolean {
    const wasShown = this.width > 0;
    const widthChanged = width !== this.width;
    const changed = widthChanged || (height !== this.height && !touch);
    this.width = width;
    this.height = height;
    return wasShown && width > 0 && changed;
  }
}
