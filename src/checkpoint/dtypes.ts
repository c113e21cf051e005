// Weights as the files store them to f32 and back. Widening is exact; narrowing rounds to nearest, ties to even (IEEE
// 754), with subnormals and infinities kept. Typed arrays are little-endian on every platform there is, and so is safetensors.
import { Failure } from "../failure.ts";
import { quoted } from "./json.ts";
import type { Dtype } from "./types.ts";

/** Bits of one element, for every dtype of the safetensors format. */
export const dtypeBits: ReadonlyMap<string, number> = new Map([
  ["F4", 4],
  ["F6_E2M3", 6],
  ["F6_E3M2", 6],
  ["BOOL", 8],
  ["U8", 8],
  ["I8", 8],
  ["F8_E4M3", 8],
  ["F8_E5M2", 8],
  ["F8_E4M3FNUZ", 8],
  ["F8_E5M2FNUZ", 8],
  ["F8_E8M0", 8],
  ["I16", 16],
  ["U16", 16],
  ["F16", 16],
  ["BF16", 16],
  ["I32", 32],
  ["U32", 32],
  ["F32", 32],
  ["I64", 64],
  ["U64", 64],
  ["F64", 64],
  ["C64", 64],
]);

/** Bytes of one element, where they are whole. */
export const dtypeBytes: ReadonlyMap<string, number> = new Map(
  [...dtypeBits].flatMap(([dtype, bits]) => (bits % 8 === 0 ? [[dtype, bits / 8]] : [])),
);

const weightDtypes: ReadonlySet<string> = new Set<Dtype>(["F64", "F32", "F16", "BF16"]);

/** Which dtypes weights may have, for a sentence. */
export const readable = "F64, F32, F16 and BF16 can be read";

/** Whether weights of this dtype can be read. */
export function isWeightDtype(dtype: string): dtype is Dtype {
  return weightDtypes.has(dtype);
}

/** The dtype of a weight, or a Failure that names the tensor. */
export function requireWeightDtype(dtype: string, tensor: string): Dtype {
  if (isWeightDtype(dtype)) return dtype;
  throw new Failure({
    code: "bad-model",
    what: `The weights are stored as ${quoted(dtype)}; ${readable}.`,
    where: tensor,
    remedy: "Save the model again in one of these, e.g. model.half().save_pretrained(...).",
  });
}

// Bits of the f32 that each of the 65,536 halves stands for.
let halves: Uint32Array | undefined;

function halfTable(): Uint32Array {
  if (halves) return halves;
  halves = new Uint32Array(65536);
  for (let h = 0; h < 65536; h++) halves[h] = f16ToF32Bits(h);
  return halves;
}

function f16ToF32Bits(h: number): number {
  const sign = (h & 0x8000) << 16;
  const exponent = (h >>> 10) & 0x1f;
  const mantissa = h & 0x3ff;
  if (exponent === 0x1f) return (sign | 0x7f800000 | (mantissa << 13)) >>> 0;
  if (exponent !== 0) return (sign | ((exponent + 112) << 23) | (mantissa << 13)) >>> 0;
  if (mantissa === 0) return sign >>> 0;
  // Subnormal: mantissa * 2^-24, normal as an f32. The leading one moves to bit 10, then becomes the hidden one.
  const shift = Math.clz32(mantissa) - 21;
  return (sign | ((113 - shift) << 23) | (((mantissa << shift) & 0x3ff) << 13)) >>> 0;
}

function f32BitsToF16(x: number): number {
  const sign = (x >>> 16) & 0x8000;
  const a = x & 0x7fffffff;
  if (a > 0x7f800000) return sign | 0x7e00;
  // 65520 lies half-way between the largest half and what would be the next; the tie goes to infinity.
  if (a >= 0x477ff000) return sign | 0x7c00;
  if (a >= 0x38800000) return sign | ((a - 0x38000000 + 0xfff + ((a >>> 13) & 1)) >>> 13);
  // 2^-25 is half of the smallest subnormal; the tie goes to zero.
  if (a <= 0x33000000) return sign;
  const shift = 126 - (a >>> 23);
  const mantissa = (a & 0x7fffff) | 0x800000;
  const rest = mantissa & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  const whole = mantissa >>> shift;
  return sign | (rest > half || (rest === half && (whole & 1) === 1) ? whole + 1 : whole);
}

function f32BitsToBf16(x: number): number {
  if ((x & 0x7fffffff) > 0x7f800000) return ((x >>> 16) | 0x40) & 0xffff;
  return ((x + 0x7fff + ((x >>> 16) & 1)) >>> 16) & 0xffff;
}

/** The values of `bytes` as f32: exact, but for F64, which is rounded. F32 shares the buffer. */
export function toF32(bytes: ArrayBuffer, dtype: Dtype): Float32Array<ArrayBuffer> {
  if (dtype === "F32") return new Float32Array(bytes);
  if (dtype === "F64") return Float32Array.from(new Float64Array(bytes));
  const source = new Uint16Array(bytes);
  const bits = new Uint32Array(source.length);
  if (dtype === "BF16") {
    for (let i = 0; i < source.length; i++) bits[i] = source[i]! << 16;
  } else {
    const table = halfTable();
    for (let i = 0; i < source.length; i++) bits[i] = table[source[i]!]!;
  }
  return new Float32Array(bits.buffer);
}

/** `values` as the bytes of `dtype`, rounded to nearest even. F32 shares the buffer. */
export function fromF32(values: Float32Array<ArrayBuffer>, dtype: Dtype): Uint8Array<ArrayBuffer> {
  if (dtype === "F32") return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  if (dtype === "F64") return new Uint8Array(Float64Array.from(values).buffer);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const narrow = dtype === "F16" ? f32BitsToF16 : f32BitsToBf16;
  const result = new Uint16Array(bits.length);
  for (let i = 0; i < bits.length; i++) result[i] = narrow(bits[i]!);
  return new Uint8Array(result.buffer);
}

/** Index of the first NaN or infinity, or -1. */
export function firstNonFinite(values: Float32Array): number {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < bits.length; i++) if ((bits[i]! & 0x7f800000) === 0x7f800000) return i;
  return -1;
}
