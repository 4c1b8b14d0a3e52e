import { expect, it } from "vitest";
import { announce } from "../src/alerts";
import type { Notifier } from "../src/alerts";
import { Program } from "../src/program";
import { parseMessage } from "../src/protocol";

/** A program whose effects are kept as words. */
function program(): { program: Program; effects: string[]; say(type: string, data: unknown, more?: object): void } {
  const effects: string[] = [];
  const subject = new Program({
    changed: () => effects.push("changed"),
    notified: (text) => effects.push(`notified ${text}`),
    clipboard: (text) => effects.push(`clipboard ${text}`),
    rang: () => effects.push("rang"),
  });
  const say = (type: string, data: unknown, more: object = {}): void => {
    const message = parseMessage(JSON.stringify({ type, session_id: "s", data, ...more }));
    if (message !== null) {
      subject.handle(message);
    }
  };
  return { program: subject, effects, say };
}

it("keeps title and directory, and passes on what is to be done", () => {
  const { program: subject, effects, say } = program();
  say("title", "vim");
  say("cwd", "/tmp");
  say("bell", "");
  say("notify", "done");
  say("clipboard", "text");
  say("something newer", "x");
  expect(subject).toMatchObject({ title: "vim", directory: "/tmp" });
  expect(effects).toEqual(["changed", "changed", "rang", "notified done", "clipboard text"]);
});

it("takes the title that came last, from the output or by message", () => {
  const { program: subject, say } = program();
  say("title", "by message");
  subject.titled("in the output");
  expect(subject.title).toBe("in the output");
  say("title", "again by message");
  expect(subject.title).toBe("again by message");
});

it("knows what is echoed until the next attachment", () => {
  const { program: subject, say } = program();
  expect(subject.echo).toBeNull();
  const data = { echo: true, canonical: false, alternate_screen: false, input_seq: 7 };
  say("echo", data, { offset: 90 });
  expect(subject.echo).toEqual({ offset: 90, echo: true, canonical: false, alternateScreen: false, inputSeq: 7 });
  say("echo", { ...data, echo: false, input_seq: null }, { offset: 95 });
  expect(subject.echo).toMatchObject({ offset: 95, echo: false, inputSeq: null });
  subject.attached();
  expect(subject.echo).toBeNull();
});

it("predicts nothing from an echo it does not understand", () => {
  const { program: subject, say } = program();
  say("echo", { echo: true, canonical: true, alternate_screen: false, input_seq: null }, { offset: 1 });
  say("echo", { echo: "yes" }, { offset: 2 });
  expect(subject.echo).toBeNull();
});

/** Where a word of a program's goes. */
function told(notifier: Partial<Notifier>, text: string): string[] {
  const words: string[] = [];
  const show = (title: string, body: string, tag: string): void => {
    words.push(`system: ${title} | ${body} | ${tag}`);
  };
  announce({ granted: true, pageHidden: true, show, ...notifier }, "build", text, "s1", (said) => words.push(`page: ${said}`));
  return words;
}

it("shows a notification of the system only if that is allowed and the page is out of sight", () => {
  expect(told({}, "done")).toEqual(["system: build | done | s1"]);
  expect(told({ granted: false }, "done")).toEqual(["page: build: done"]);
  expect(told({ pageHidden: false }, "done")).toEqual(["page: build: done"]);
});

it("says it in the page where the browser shows no notification of a page", () => {
  const show = (): never => {
    throw new TypeError("Illegal constructor");
  };
  expect(told({ show }, "done")).toEqual(["page: build: done"]);
});

it("keeps a program's words short", () => {
  expect(told({}, "x".repeat(5000))[0]?.length).toBeLessThan(300);
  expect(told({}, "")).toEqual([]);
});
