// Scrolling a terminal with a finger, which xterm.js leaves to the page; knows nothing of what is on the screen.

import type { Terminal } from "@xterm/xterm";

/** How far a finger moves before it scrolls rather than taps, in CSS pixels. */
const SLOP_PX = 8;

/**
 * Turns vertical drags into what a wheel would do: scroll back through the lines, or reach the program where it has the
 * mouse or the alternate screen.
 */
export function enableTouchScroll(terminal: Terminal, host: HTMLElement): void {
  let lastY: number | null = null;
  let movedPx = 0;
  let restPx = 0;
  host.addEventListener(
    "touchstart",
    (event) => {
      lastY = event.touches.length === 1 ? (event.touches[0]?.clientY ?? null) : null;
      movedPx = 0;
      restPx = 0;
    },
    { passive: true },
  );
  host.addEventListener(
    "touchmove",
    (event) => {
      const touch = event.touches[0];
      if (lastY === null || touch === undefined || event.touches.length !== 1) {
        return;
      }
      const deltaY = lastY - touch.clientY;
      lastY = touch.clientY;
      movedPx += Math.abs(deltaY);
      if (movedPx < SLOP_PX) {
        return;
      }
      event.preventDefault();
      const screen = terminal.element?.querySelector<HTMLElement>(".xterm-screen");
      if (!screen) {
        return;
      }
      if (terminal.modes.mouseTrackingMode !== "none" || terminal.buffer.active.type === "alternate") {
        const { clientX, clientY } = touch;
        screen.dispatchEvent(new WheelEvent("wheel", { deltaY, clientX, clientY, bubbles: true, cancelable: true }));
        return;
      }
      // Not as wheel events: browsers disagree on their direction when a script makes them.
      const linePx = screen.clientHeight / terminal.rows;
      restPx += deltaY;
      const lines = Math.trunc(restPx / linePx);
      restPx -= lines * linePx;
      terminal.scrollLines(lines);
    },
    { passive: false },
  );
}
