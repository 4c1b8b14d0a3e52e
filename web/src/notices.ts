// Short messages that go away by themselves; knows nothing of what they are about.

/** How long a message stays, in milliseconds. */
const STAYS_MS = 8_000;

/** Most messages shown at once; the oldest gives way. */
const MOST = 4;

/** A list of messages, read out by screen readers (`role="log"` on the host). */
export class Notices {
  constructor(private readonly host: HTMLElement) {}

  /** Shows a message, with a button if there is something to do. The same message twice is shown once. */
  say(text: string, action?: { label: string; act: () => void }): void {
    const entries = [...this.host.children];
    if (text === "" || entries.some((entry) => entry.firstChild?.textContent === text)) {
      return;
    }
    if (entries.length >= MOST) {
      entries[0]?.remove();
    }
    const entry = document.createElement("p");
    entry.append(Object.assign(document.createElement("span"), { textContent: text }));
    if (action !== undefined) {
      entry.append(
        this.button(action.label, action.label, () => {
          action.act();
          entry.remove();
        }),
      );
    }
    entry.append(this.button("×", "Dismiss", () => entry.remove()));
    this.host.append(entry);
    setTimeout(() => entry.remove(), STAYS_MS);
  }

  /** Takes all messages away. */
  clear(): void {
    this.host.replaceChildren();
  }

  private button(text: string, label: string, act: () => void): HTMLButtonElement {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.setAttribute("aria-label", label);
    button.addEventListener("click", act);
    return button;
  }
}
