import { expect, it } from "vitest";
import { PlaceWatch, fontToFit } from "../src/fitting";

it("draws a session that has room in the full size", () => {
  expect(fontToFit(14, { rows: 40, cols: 120 }, { rows: 40, cols: 120 })).toBe(14);
  expect(fontToFit(14, { rows: 60, cols: 200 }, { rows: 24, cols: 80 })).toBe(14);
});

it("draws a larger session smaller, until it could not be read", () => {
  expect(fontToFit(14, { rows: 50, cols: 60 }, { rows: 24, cols: 80 })).toBe(10.5);
  expect(fontToFit(14, { rows: 20, cols: 80 }, { rows: 24, cols: 80 })).toBe(11.5);
  expect(fontToFit(13, { rows: 40, cols: 40 }, { rows: 50, cols: 400 })).toBe(7);
  expect(fontToFit(6, { rows: 40, cols: 40 }, { rows: 50, cols: 400 })).toBe(6);
});

it("never takes the opening of a terminal for a change of the window", () => {
  const place = new PlaceWatch();
  expect(place.see(1000, 700, false)).toBe(false);
  expect(place.see(1000, 700, false)).toBe(false);
  // Another tab was shown meanwhile, and the window made smaller.
  expect(place.see(0, 0, false)).toBe(false);
  expect(place.see(800, 700, false)).toBe(false);
  expect(place.see(800, 600, false)).toBe(true);
});

it("tells a phone's keyboard from a phone that is turned", () => {
  const place = new PlaceWatch();
  expect(place.see(390, 700, true)).toBe(false);
  expect(place.see(390, 380, true)).toBe(false);
  expect(place.see(700, 300, true)).toBe(true);
});
