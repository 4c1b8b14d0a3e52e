import { expect, it } from "vitest";
import { applyModifiers, encodeNamedKey } from "../src/keys";

const none = { ctrl: false, alt: false };
const ctrl = { ctrl: true, alt: false };
const alt = { ctrl: false, alt: true };

it.each([
  ["ArrowUp", none, false, "\x1b[A"],
  ["ArrowUp", none, true, "\x1bOA"],
  ["ArrowLeft", ctrl, true, "\x1b[1;5D"],
  ["ArrowRight", alt, false, "\x1b[1;3C"],
  ["Escape", none, false, "\x1b"],
  ["Tab", alt, false, "\x1b\t"],
] as const)("sends %s with %o, application cursor %s, as xterm does", (key, held, application, expected) => {
  expect(encodeNamedKey(key, held, application)).toBe(expected);
});

it.each([
  ["c", ctrl, "\x03"],
  ["C", ctrl, "\x03"],
  [" ", ctrl, "\0"],
  ["[", ctrl, "\x1b"],
  ["?", ctrl, "\x7f"],
  ["1", ctrl, "1"],
  ["ä", ctrl, "ä"],
  ["b", alt, "\x1bb"],
  ["b", { ctrl: true, alt: true }, "\x1b\x02"],
  ["\x1b[A", ctrl, "\x1b[A"],
  ["😀", alt, "\x1b😀"],
  ["x", none, "x"],
] as const)("turns typed %j with %o into its control character", (text, held, expected) => {
  expect(applyModifiers(text, held)).toBe(expected);
});
