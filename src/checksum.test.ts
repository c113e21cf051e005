// One sum tells any two values apart that differ in a bit, and is the same for the same value however it came.
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { checksumOf } from "./checksum.ts";

afterEach(() => vi.unstubAllGlobals());

describe.each(["sha256", "crc32"])("%s", (name) => {
  const begin = () => name === "crc32" && vi.stubGlobal("crypto", {});

  test("is the same for the same value, and another for what JSON writes alike", async () => {
    begin();
    const alike: unknown[] = [null, Number.NaN, Number.POSITIVE_INFINITY, 0, -0, "NaN", undefined];
    alike.push([], {}, new Uint8Array(0), new Float32Array(0), new Blob([]));
    const sums = await Promise.all(alike.map((one) => checksumOf({ one })));
    expect(new Set(sums).size).toBe(alike.length);
    expect(sums.every((sum) => sum.startsWith(`${name}:`))).toBe(true);
    expect(await checksumOf(structuredClone({ a: [1, -0, Number.NaN], b: Float32Array.of(1, 2) }))).toBe(
      await checksumOf({ a: [1, -0, Number.NaN], b: Float32Array.of(1, 2) }),
    );
  });

  test("tells of any byte of an array or a Blob, however long", async () => {
    begin();
    const bytes = new Uint8Array(9 * 1024 * 1024).map((_, i) => i);
    const of = (all: Uint8Array<ArrayBuffer>) => checksumOf({ blob: new Blob([all]) });
    const whole = await of(bytes);
    for (const at of [0, 8 * 1024 * 1024 - 1, 8 * 1024 * 1024, bytes.length - 1]) {
      bytes[at]! ^= 1;
      expect(await of(bytes)).not.toBe(whole);
      bytes[at]! ^= 1;
    }
    expect(await of(bytes)).toBe(whole);
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 50 }),
        fc.nat(),
        fc.nat(7),
        async (array, at, bit) => {
          const flipped = array.slice();
          flipped[at % array.length]! ^= 1 << bit;
          expect(await checksumOf({ array })).not.toBe(await checksumOf({ array: flipped }));
        },
      ),
    );
  });
});

test("CRC-32 is that of every other program", async () => {
  vi.stubGlobal("crypto", {});
  // Python: struct.pack("<I", zlib.crc32(b'"123"')).hex()
  expect(await checksumOf("123")).toBe("crc32:97015033");
});
