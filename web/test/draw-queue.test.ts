import { expect, it } from "vitest";
import { DrawQueue } from "../src/draw-queue";

it("resizes between the bytes before and the bytes after, though parsing takes its time", () => {
  const log: string[] = [];
  const parse: (() => void)[] = [];
  const queue = new DrawQueue({
    write: (bytes, parsed) => {
      const text = new TextDecoder().decode(bytes);
      log.push(`given ${text}`);
      parse.push(() => {
        log.push(`parsed ${text}`);
        parsed();
      });
    },
    resize: (cols, rows) => log.push(`resized ${cols}x${rows}`),
  });
  const write = (text: string): void => queue.write(new TextEncoder().encode(text), () => log.push(`done ${text}`));

  write("a");
  write("b");
  queue.resize(10, 5);
  write("c");
  queue.resize(20, 6);
  while (parse.length > 0) {
    parse.shift()?.();
  }

  expect(log).toEqual([
    "given a",
    "given b",
    "parsed a",
    "done a",
    "parsed b",
    "done b",
    "resized 10x5",
    "given c",
    "parsed c",
    "done c",
    "resized 20x6",
  ]);
});
