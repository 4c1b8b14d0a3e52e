// Signing in and registering: the forms of the page's first view. Knows nothing of terminals.

import type { Account } from "./account";
import { element } from "./elements";

/** The first view. `signedIn` is called after each success. */
export class Entry {
  private readonly view = element("entry", HTMLElement);
  private readonly message = element("entry-message", HTMLElement);
  private readonly signIn = element("sign-in", HTMLFormElement);
  private readonly register = element("register", HTMLFormElement);

  constructor(account: Account, signedIn: () => void) {
    this.bind(this.signIn, signedIn, (field) => account.login(field("username"), field("password")));
    this.bind(this.register, signedIn, (field) =>
      account.register(field("email"), field("username"), field("password")),
    );
    element("to-register", HTMLButtonElement).addEventListener("click", () => this.choose(this.register));
    element("to-sign-in", HTMLButtonElement).addEventListener("click", () => this.choose(this.signIn));
  }

  /** Shows the view, with a message if there is something to say. */
  show(message = ""): void {
    this.view.hidden = false;
    this.message.textContent = message;
    const form = this.register.hidden ? this.signIn : this.register;
    form.querySelector("input")?.focus();
  }

  /** Hides the view and empties its fields. */
  hide(): void {
    this.view.hidden = true;
    this.message.textContent = "";
    this.signIn.reset();
    this.register.reset();
  }

  private choose(form: HTMLFormElement): void {
    this.signIn.hidden = form !== this.signIn;
    this.register.hidden = form !== this.register;
    this.show();
  }

  private bind(form: HTMLFormElement, signedIn: () => void, act: (field: (name: string) => string) => Promise<void>): void {
    const button = form.querySelector<HTMLButtonElement>("button[type=submit]");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const data = new FormData(form);
      const field = (name: string): string => String(data.get(name) ?? "");
      if (button !== null) {
        button.disabled = true;
      }
      this.message.textContent = "";
      act(field)
        .then(signedIn, (error: unknown) => {
          this.message.textContent = error instanceof Error ? error.message : String(error);
        })
        .finally(() => {
          if (button !== null) {
            button.disabled = false;
          }
        });
    });
  }
}
