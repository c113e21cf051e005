// The safetensors format: 8 bytes little-endian header length, a JSON header, then the tensors' bytes without holes.
// The reader believes nothing in the header before it is checked and reads no tensor; each is a slice of the file.
// The writer joins slices, so that a tensor nobody touched is never in memory.
import { Failure } from "../failure.ts";
import { KIND_BYTES } from "../file_kind.ts";
import { joinBlobs } from "../joined_blob.ts";
import { dtypeBits } from "./dtypes.ts";
import { knownOther } from "./file_kinds.ts";
import { parseJsonObject, quoted } from "./json.ts";
import type { NamedTensor, NamedTensors } from "./types.ts";

const MAX_HEADER = 25_000_000;
const MAX_TENSORS = 50_000;
const MAX_RANK = 8;
const AGAIN = "Download or save the file again.";

/**
 * Whether a file of `size` bytes that begins with `start` has a header of this format. Its length may be any number, and
 * then begin as files of other formats do: 640 like a pickle, 41,096 like Flax's, 35,615 like gzip.
 */
export function isSafetensors(start: Uint8Array, size: number): boolean {
  if (start.length < 9 || start[8] !== 0x7b) return false;
  const length = new DataView(start.buffer, start.byteOffset).getBigUint64(0, true);
  return length <= Math.min(MAX_HEADER, size - 8);
}

/** Reads and checks the header of `file`; `where` names it in a Failure. Tensors are slices, not yet read,
 *  in the order of their bytes. */
export async function readSafetensors(file: Blob, where: string): Promise<NamedTensors> {
  const bad = (what: string, remedy = AGAIN) => new Failure({ code: "bad-file", what, where, remedy });

  const start = new Uint8Array(await readBytes(file.slice(0, KIND_BYTES), where));
  const other = isSafetensors(start, file.size) ? null : knownOther(start, where);
  if (other) throw other;
  // Whoever read on would take any first bytes for a length.
  if (start.length < 8 || (start.length > 8 && start[8] !== 0x7b)) {
    throw bad(
      "This is no file of weights that is known: neither safetensors nor one of PyTorch's.",
      "Choose a .safetensors, or a .pth, .pt, .ckpt or .bin of PyTorch; if it should be one, download it again.",
    );
  }
  const headerLength = Number(new DataView(start.buffer).getBigUint64(0, true));
  if (headerLength > MAX_HEADER) {
    throw bad(
      `This is no safetensors file, or a damaged one: its header should be longer than the ${MAX_HEADER} bytes that are read at most.`,
    );
  }
  if (headerLength > file.size - 8) {
    throw bad(
      `The file is cut off: its header should be ${headerLength} bytes, but only ${file.size - 8} are there.`,
    );
  }

  const header = new Uint8Array(await readBytes(file.slice(8, 8 + headerLength), where));
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(header);
  } catch {
    throw bad("The header is not valid UTF-8.");
  }
  const entries = Object.entries(parseJsonObject(text, where));
  if (entries.length > MAX_TENSORS) throw bad(`The header lists more than ${MAX_TENSORS} tensors.`);

  const dataLength = file.size - 8 - headerLength;
  let metadata: Record<string, string> = {};
  const notes: string[] = [];
  const placed: { name: string; dtype: string; shape: number[]; begin: number; end: number }[] = [];
  for (const [name, value] of entries) {
    if (name === "__metadata__") {
      metadata = readMetadata(value, bad, notes);
      continue;
    }
    placed.push(checkEntry(name, value, dataLength, bad));
  }

  // The format allows neither overlap nor hole, so the tensors in order of place must tile the data exactly.
  placed.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let expected = 0;
  for (const { name, begin, end } of placed) {
    if (begin !== expected) {
      throw bad(
        `The tensor ${quoted(name)} begins at byte ${begin}, but the one before it ends at ${expected}: ${
          begin < expected ? "they overlap" : "there is a hole between them"
        }.`,
      );
    }
    expected = end;
  }
  if (expected !== dataLength) {
    throw bad(
      `The tensors end at byte ${expected} of ${dataLength}: the header does not describe this file.`,
    );
  }

  const base = 8 + headerLength;
  return {
    where,
    metadata,
    notes,
    tensors: placed.map(({ name, dtype, shape, begin, end }) => ({
      name,
      dtype,
      shape,
      bytes: file.slice(base + begin, base + end),
    })),
  };
}

/**
 * A safetensors file of these tensors, in this order. `bytes` are joined, not copied; their size must be that of
 * shape and dtype. The header is padded with spaces so that the data begins at a multiple of 8.
 */
export function writeSafetensors(tensors: readonly NamedTensor[], metadata: Record<string, string>): Blob {
  const entries: string[] = [];
  if (Object.keys(metadata).length > 0) entries.push(`"__metadata__":${JSON.stringify(metadata)}`);
  let offset = 0;
  for (const { name, dtype, shape, bytes } of tensors) {
    const end = offset + bytes.size;
    entries.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [offset, end] })}`);
    offset = end;
  }
  // Written by hand because an object would move names that look like numbers to its front.
  const json = new TextEncoder().encode(`{${entries.join(",")}}`);
  const length = Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(8 + length).fill(0x20, 8);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, 8);
  return joinBlobs([header, ...tensors.map((tensor) => tensor.bytes)]);
}

/** Reads a slice; a file that vanished or changed since it was chosen is a Failure. */
export async function readBytes(slice: Blob, where: string): Promise<ArrayBuffer> {
  let bytes: ArrayBuffer | undefined;
  try {
    bytes = await slice.arrayBuffer();
  } catch (cause) {
    throw unreadable(where, cause);
  }
  if (bytes.byteLength !== slice.size) throw unreadable(where);
  return bytes;
}

function unreadable(where: string, cause?: unknown): Failure {
  return new Failure(
    {
      code: "bad-file",
      what: "The file could not be read; it may have been moved or changed since it was chosen.",
      where,
      remedy: "Choose it again.",
    },
    { cause },
  );
}

/** The header's remarks, which the format wants to be texts. Some scripts write numbers or lists there; no tensor hangs
 *  on them, so they are left out, and told. */
function readMetadata(
  value: unknown,
  bad: (what: string) => Failure,
  notes: string[],
): Record<string, string> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw bad("The header's __metadata__ is not an object.");
  }
  const entries = Object.entries(value);
  const odd = entries.filter(([, entry]) => typeof entry !== "string").map(([key]) => quoted(key));
  if (odd.length > 0) {
    const some = `${odd.slice(0, 4).join(", ")}${odd.length > 4 ? ", ..." : ""}`;
    notes.push(
      `The header's __metadata__ holds what is no text (${some}), which the format does not allow; it is left out.`,
    );
  }
  return Object.fromEntries(entries.filter(([, entry]) => typeof entry === "string")) as Record<
    string,
    string
  >;
}

function checkEntry(name: string, value: unknown, dataLength: number, bad: (what: string) => Failure) {
  const what = (problem: string) => bad(`The tensor ${quoted(name)} ${problem}.`);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw what("has no description");
  const { dtype, shape, data_offsets: offsets } = value as Record<string, unknown>;
  if (typeof dtype !== "string") throw what("has no dtype");
  const bits = dtypeBits.get(dtype);
  if (bits === undefined) throw what(`has the unknown dtype ${quoted(dtype)}`);
  if (!Array.isArray(shape) || shape.length > MAX_RANK || !shape.every(isCount)) {
    throw what(`has no usable shape (a list of at most ${MAX_RANK} whole numbers)`);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    throw what("has no usable data_offsets");
  }
  const [begin, end] = offsets as [number, number];
  if (begin > end) throw what(`ends at byte ${end}, before it begins at ${begin}`);
  if (end > dataLength) {
    throw what(`should end at byte ${end} of the data, but the file holds only ${dataLength}; it is cut off`);
  }
  let needed = BigInt(bits);
  for (const side of shape as number[]) needed *= BigInt(side);
  if (needed !== 8n * BigInt(end - begin)) {
    const bytes = needed % 8n === 0n ? needed / 8n : `${needed / 8n} and a part`;
    throw what(
      `is ${dtype} [${shape.join(", ")}], which needs ${bytes} bytes, but its data_offsets give ${end - begin}`,
    );
  }
  return { name, dtype, shape: shape as number[], begin, end };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
