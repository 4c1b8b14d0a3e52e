// What the keys of the touch row and its sticky modifiers send; knows nothing of buttons.

/** Keys that are not text. */
export type NamedKey = "Escape" | "Tab" | "ArrowUp" | "ArrowDown" | "ArrowLeft" | "ArrowRight";

/** Modifiers held for the next key. */
export interface Modifiers {
  ctrl: boolean;
  alt: boolean;
}

const ARROWS: Readonly<Record<string, string>> = {
  ArrowUp: "A",
  ArrowDown: "B",
  ArrowRight: "C",
  ArrowLeft: "D",
};

/** The bytes of a named key, as xterm sends them. `applicationCursor` is the mode DECCKM. */
export function encodeNamedKey(key: NamedKey, held: Modifiers, applicationCursor: boolean): string {
  const arrow = ARROWS[key];
  if (arrow !== undefined) {
    const modifier = 1 + (held.alt ? 2 : 0) + (held.ctrl ? 4 : 0);
    if (modifier > 1) {
      return `\x1b[1;${modifier}${arrow}`;
    }
    return applicationCursor ? `\x1bO${arrow}` : `\x1b[${arrow}`;
  }
  const plain = key === "Escape" ? "\x1b" : "\t";
  return held.alt ? `\x1b${plain}` : plain;
}

/** What typed text becomes under held modifiers; more than one character stays as it is. */
export function applyModifiers(text: string, held: Modifiers): string {
  if ([...text].length !== 1) {
    return text;
  }
  const control = held.ctrl ? controlCharacter(text) : text;
  return held.alt ? `\x1b${control}` : control;
}

function controlCharacter(text: string): string {
  if (text === " ") {
    return "\0";
  }
  if (text === "?") {
    return "\x7f";
  }
  const code = text.toUpperCase().charCodeAt(0);
  return code >= 0x40 && code <= 0x5f ? String.fromCharCode(code & 0x1f) : text;
}
