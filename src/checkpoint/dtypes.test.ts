// Every half and bfloat, and every rounding border, against what numpy and torch make of them.
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { dtypeBytes, firstNonFinite, fromF32, requireWeightDtype, toF32 } from "./dtypes.ts";
import { fixtureJson } from "./fixtures/load.ts";

const facts = fixtureJson<Record<string, string> & { rounding_count: number }>("dtypes.json");
const sha = (array: ArrayBufferView) =>
  createHash("sha256")
    .update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength))
    .digest("hex");

test.each([
  ["F16", "f16_to_f32"],
  ["BF16", "bf16_to_f32"],
] as const)("all 65,536 patterns of %s widen as numpy and torch widen them, and come back", (dtype, fact) => {
  const patterns = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const wide = toF32(patterns.slice().buffer, dtype);
  const bits = new Uint32Array(wide.buffer.slice(0));
  for (let i = 0; i < bits.length; i++) if ((bits[i]! & 0x7fffffff) > 0x7f800000) bits[i] = 0x7fc00000;
  expect(sha(bits)).toBe(facts[fact]);

  const back = new Uint16Array(fromF32(wide, dtype).buffer);
  const wrong = [...patterns.keys()].filter((i) => back[i] !== i && !Number.isNaN(wide[i]!));
  expect(wrong).toEqual([]);
  const nan = [...patterns.keys()].filter((i) => Number.isNaN(wide[i]!));
  expect(nan.length).toBeGreaterThan(100);
  expect(nan.every((i) => Number.isNaN(toF32(new Uint16Array([back[i]!]).buffer, dtype)[0]!))).toBe(true);
});

function roundingInputs(): Float32Array<ArrayBuffer> {
  const patterns = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const halves = new Uint32Array(toF32(patterns.buffer, "F16").buffer);
  const bits: number[] = [];
  for (const list of [halves, Uint32Array.from(patterns, (p) => p << 16)]) {
    for (const base of list) {
      for (const offset of [0, 1, 0xfff, 0x1000, 0x1001, 0x7fff, 0x8000, 0x8001]) {
        bits.push((base + offset) >>> 0);
      }
    }
  }
  let state = 1;
  for (let i = 0; i < 100_000; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bits.push(state);
  }
  for (let i = 0x32ffff00; i < 0x33000100; i++) bits.push(i);
  const kept = bits.filter((b) => (b & 0x7f800000) !== 0x7f800000 || (b & 0x7fffff) === 0);
  return new Float32Array(Uint32Array.from(kept).buffer);
}

test("narrowing rounds to nearest even at every border, as numpy and torch do", () => {
  const inputs = roundingInputs();
  expect(inputs.length).toBe(facts.rounding_count);
  expect(sha(inputs)).toBe(facts.rounding_inputs);
  expect(sha(fromF32(inputs, "F16"))).toBe(facts.f32_to_f16);
  expect(sha(fromF32(inputs, "BF16"))).toBe(facts.f32_to_bf16);
});

test("a view into a larger buffer narrows its own part only", () => {
  const values = new Float32Array([9, 1, -2, 9]).subarray(1, 3);
  expect([...toF32(fromF32(values, "F16").slice().buffer, "F16")]).toEqual([1, -2]);
  expect([...toF32(fromF32(values, "F32").slice().buffer, "F32")]).toEqual([1, -2]);
});

test("NaN and infinity are found where they are", () => {
  expect(firstNonFinite(new Float32Array([1, -3e38, 0]))).toBe(-1);
  expect(firstNonFinite(new Float32Array([1, 2, Number.NEGATIVE_INFINITY, Number.NaN]))).toBe(2);
  expect(firstNonFinite(new Float32Array([Number.NaN]))).toBe(0);
});

test("another dtype is refused by a sentence that names the tensor", () => {
  expect(() => requireWeightDtype("F8_E4M3", "vit.embeddings.cls_token")).toThrow(
    /^vit\.embeddings\.cls_token: .*"F8_E4M3".*F64, F32, F16 and BF16/,
  );
});

test("F64 is rounded to the nearest f32, and f32 comes back from it to the bit", () => {
  const wide = new Float64Array([0.1, 1 + 2 ** -24, 1 + 3 * 2 ** -24, 1e-46, -1e300, Number.NaN]);
  const narrow = toF32(wide.buffer, "F64");
  // Ties go to even.
  expect([...narrow]).toEqual([Math.fround(0.1), 1, 1 + 2 ** -22, 0, Number.NEGATIVE_INFINITY, Number.NaN]);
  const again = toF32(fromF32(narrow.slice(0, 4), "F64").buffer, "F64");
  expect([...again]).toEqual([...narrow.slice(0, 4)]);
  expect(dtypeBytes.get("F64")).toBe(8);
  expect(dtypeBytes.has("F4")).toBe(false);
});
