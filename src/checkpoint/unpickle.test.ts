// Pickles that Python wrote, in every protocol: what is harmless beside weights is passed over without losing the place,
// and what would run something is refused by its name. pickles.json is made by interop/make_fixtures_pickles.py.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Failure } from "../failure.ts";
import { type PickledMap, PickledOther, PickledRecord, PickledTuple, unpickle } from "./unpickle.ts";

type Pickles = Record<"harmless" | "hostile", Record<string, Record<string, string>>>;
const { harmless, hostile }: Pickles = JSON.parse(
  readFileSync(new URL("fixtures_torch/pickles.json", import.meta.url), "utf8"),
);
const bytesOf = (base64: string) => new Uint8Array(Buffer.from(base64, "base64"));
const every = (pickles: typeof harmless) =>
  Object.entries(pickles).flatMap(([name, made]) =>
    Object.entries(made).map(([protocol, base64]) => [name, protocol, base64] as const),
  );
const kept = (name: string, protocol: string) =>
  (unpickle(bytesOf(harmless[name]?.[protocol] as string), "f") as PickledMap).get("value");

test.each(every(harmless))("%s in protocol %s is passed over", (_, __, base64) => {
  const value = unpickle(bytesOf(base64), "f.pth") as PickledMap;
  expect([...value.keys()]).toEqual(["before", "value", "after"]);
  expect(value.get("before")).toBe(1);
  expect(value.get("after")).toEqual([2, "three"]);
});

test.each(every(hostile))("%s in protocol %s is refused by name, with the warning", (name, _, base64) => {
  let error: unknown;
  try {
    unpickle(bytesOf(base64), "f.pth");
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(Failure);
  const { what, remedy } = (error as Failure).parts;
  const [, last] = /([\w]+)$/.exec(name) as RegExpExecArray;
  expect(what).toMatch(new RegExp(`asks for "[\\w.]*\\b${last}"`));
  expect(remedy).toMatch(/do not trust it/);
});

test.each(["0", "1", "2", "3", "4", "5"])("values of protocol %s are what Python has", (protocol) => {
  expect(kept("none, truths, numbers", protocol)).toEqual([
    ...[null, true, false, 0, -1, 255, 65535, 2 ** 31 - 1, -(2 ** 31), 2n ** 62n, 0.5, Number.NaN],
  ]);
  expect(kept("texts", protocol)).toEqual([
    ...["", "plain", "line\nbreak", "é猫", "😀", `quote's "here"`, "\\u0041"],
  ]);
  expect(kept("ordered dict", protocol)).toEqual(new Map([["a", 1]]));
  expect(kept("tuples", protocol)).toEqual(
    [[], [1], [1, 2], [1, 2, 3], [1, 2, 3, 4]].map((items) => new PickledTuple(items)),
  );
  expect((kept("an object", protocol) as PickledRecord).className).toBe("__main__.Settings");
});

test("an object is never made, and its attributes are kept apart from its items", () => {
  const record = kept("a dict of another class", "2");
  expect(record).toBeInstanceOf(PickledRecord);
  expect((record as PickledRecord).items).toEqual(new Map([["a", 1]]));
  expect(kept("bytes", "4")).toBeInstanceOf(PickledOther);
});

test("pickles with bytes replaced, left out or doubled: a value or a Failure, quickly", () => {
  const pickles = [...every(harmless), ...every(hostile)].map(([, , base64]) => bytesOf(base64));
  const seen = { value: 0, failed: 0 };
  fc.assert(
    fc.property(
      fc.constantFrom(...pickles),
      fc.array(fc.tuple(fc.nat(999_999), fc.nat(255), fc.nat(3)), { minLength: 1, maxLength: 4 }),
      (pickle, edits) => {
        let bytes = pickle;
        for (const [part, value, kind] of edits) {
          const at = Math.floor((part / 1_000_000) * bytes.length);
          const [before, after] = [bytes.subarray(0, at), bytes.subarray(at + (kind === 0 ? 0 : 1))];
          const put = kind === 1 ? [] : kind === 3 ? [...bytes.subarray(at, at + 9)] : [value];
          bytes = Uint8Array.from([...before, ...put, ...after]);
        }
        try {
          unpickle(bytes, "f");
          seen.value++;
        } catch (error) {
          expect(error).toBeInstanceOf(Failure);
          seen.failed++;
        }
      },
    ),
    { numRuns: 2000 },
  );
  expect(Math.min(seen.value, seen.failed)).toBeGreaterThan(100);
}, 30_000);

test("any bytes at all: a value or a Failure", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        unpickle(Uint8Array.from([0x80, 4, ...bytes, 0x2e]), "f");
      } catch (error) {
        expect(error).toBeInstanceOf(Failure);
      }
    }),
    { numRuns: 2000 },
  );
});
