// Where a program's words to its user go: the system's notifications or the page. Knows nothing of sessions.

/** Longest text shown, in UTF-16 units: a program may say anything, and as much as it likes. */
const LONGEST = 200;

/** The system's notifications, as far as they are used. */
export interface Notifier {
  /** Did the user allow them? */
  readonly granted: boolean;
  /** Is the page out of sight? */
  readonly pageHidden: boolean;
  /** Shows one in place of an earlier one with the same tag. Throws where a page may not. */
  show(title: string, body: string, tag: string): void;
}

/** Tells the user what a program says: outside of the page if that is out of sight and allowed to, else in it by `say`. */
export function announce(notifier: Notifier, source: string, text: string, tag: string, say: (text: string) => void): void {
  const body = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
  if (body === "") {
    return;
  }
  if (notifier.granted && notifier.pageHidden) {
    try {
      notifier.show(source, body, tag);
      return;
    } catch (error) {
      // Chrome on Android takes them from a service worker alone.
      console.warn("the browser shows no notification of a page", error);
    }
  }
  // With its source in front, so that a program's words are not taken for the page's.
  say(`${source}: ${body}`);
}

/** This browser's notifications. */
export const systemNotifier: Notifier = {
  get granted() {
    return "Notification" in window && Notification.permission === "granted";
  },
  get pageHidden() {
    return document.hidden;
  },
  show(title, body, tag) {
    new Notification(title, { body, tag });
  },
};
