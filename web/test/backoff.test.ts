import { expect, it } from "vitest";
import { Backoff } from "../src/backoff";

it("doubles its bound from a quarter second to ten seconds", () => {
  const backoff = new Backoff(() => 1);
  const waits = Array.from({ length: 8 }, () => backoff.next());
  expect(waits).toEqual([250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
  backoff.reset();
  expect(backoff.next()).toBe(250);
  backoff.slowDown();
  expect(backoff.next()).toBe(10_000);
});

it("draws every wait from zero to its bound", () => {
  expect(new Backoff(() => 0).next()).toBe(0);
  expect(new Backoff(() => 0.5).next()).toBe(125);
});
