import { expect, test } from "vitest";
import { appendBounded } from "./bounded.ts";

test("a long history stays within its bound, in order, with its first and last entries", () => {
  let history: number[] = [];
  for (let i = 0; i < 5000; i += 7) {
    const added = Array.from({ length: 7 }, (_, k) => i + k);
    history = appendBounded(history, added, 100);
    expect(history.length).toBeLessThanOrEqual(100);
    expect(history[0]).toBe(0);
    expect(history.at(-1)).toBe(i + 6);
  }
  expect(history).toEqual(history.toSorted((a, b) => a - b));
  expect(history.length).toBeGreaterThan(40);
});

test("nothing added, nothing new", () => {
  const history = [1, 2, 3];
  expect(appendBounded(history, [], 10)).toBe(history);
});
