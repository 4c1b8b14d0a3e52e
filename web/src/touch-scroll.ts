// Scrolling a terminal with a finger, which xterm.js leaves to the page; knows nothing of what is on the screen.

import type { Terminal } from "@xterm/xterm";

/** How far a finger moves before it scrolls rather than taps, in CSS pixels. */
const SLOP_PX = 8;

/**
 * Turns vertical drags into wheel events, so that they do what a wheel does there: scroll back, or reach a program that
 * asked for the mouse.
 */
export function enableTouchScroll(terminal: Terminal, host: HTMLElement): void {
  let lastY: number | null = null;
  let moved = 0;
  host.addEventListener(
    "touchstart",
    (event) => {
      lastY = event.touches.length === 1 ? (event.touches[0]?.clientY ?? null) : null;
      moved = 0;
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
      moved += Math.abs(deltaY);
      lastY = touch.clientY;
      if (moved < SLOP_PX) {
        return;
      }
      const target = terminal.element?.querySelector(".xterm-screen");
      target?.dispatchEvent(
        new WheelEvent("wheel", {
          deltaY,
          clientX: touch.clientX,
          clientY: touch.clientY,
          bubbles: true,
          cancelable: true,
        }),
      );
      event.preventDefault();
    },
    { passive: false },
  );
}
