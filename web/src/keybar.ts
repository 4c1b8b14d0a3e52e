// The row of keys a phone's keyboard lacks; knows the terminal only through what it calls.

import { applyModifiers, encodeNamedKey } from "./keys";
import type { Modifiers, NamedKey } from "./keys";

/** What the row acts on: the terminal that is shown. */
export interface KeyTarget {
  input(text: string): void;
  readonly applicationCursor: boolean;
  focus(): void;
}

/** The buttons of `bar`: `data-key` names a key, `data-modifier` a modifier that holds for the next key only. */
export class Keybar {
  private readonly held: Modifiers = { ctrl: false, alt: false };

  constructor(
    private readonly bar: HTMLElement,
    private readonly target: () => KeyTarget | null,
  ) {
    // A button that took the focus would close the phone's keyboard.
    bar.addEventListener("pointerdown", (event) => event.preventDefault());
    bar.addEventListener("click", (event) => {
      const button = event.target instanceof Element ? event.target.closest("button") : null;
      const { key, modifier } = button?.dataset ?? {};
      if (modifier === "ctrl" || modifier === "alt") {
        this.held[modifier] = !this.held[modifier];
        this.show();
      } else if (key !== undefined) {
        this.press(key as NamedKey);
      }
    });
  }

  /** Applies the held modifiers to a typed character, and lets go of them. Reports and whole words pass as they are. */
  modify(text: string): string {
    const modified = applyModifiers(text, this.held);
    if (modified !== text) {
      this.release();
    }
    return modified;
  }

  private press(key: NamedKey): void {
    const target = this.target();
    if (target === null) {
      return;
    }
    const text = encodeNamedKey(key, this.held, target.applicationCursor);
    this.release();
    target.input(text);
  }

  private release(): void {
    this.held.ctrl = false;
    this.held.alt = false;
    this.show();
  }

  private show(): void {
    for (const button of this.bar.querySelectorAll<HTMLButtonElement>("button[data-modifier]")) {
      button.setAttribute("aria-pressed", String(this.held[button.dataset["modifier"] as keyof Modifiers]));
    }
  }
}
