// PyTorch's own files (.pth, .pt, .bin) in the zip format: a pickle that says which tensors there are, and a member for
// each storage, uncompressed, so that a tensor is a slice of the file. Only the zip's directory, the pickle and the
// members' headers are read here. TorchScript archives hold the same kind of pickle and are read as well.
import { Failure } from "../failure.ts";
import { blobSource, readZipDirectory } from "../zip_directory.ts";
import { dtypeBytes } from "./dtypes.ts";
import { quoted } from "./json.ts";
import { readBytes } from "./safetensors.ts";
import type { NamedTensor, NamedTensors } from "./types.ts";
import { PickledRecord, PickledTensor, type PickledValue, unpickle } from "./unpickle.ts";

const MAX_MEMBERS = 200_000;
const MAX_PICKLE = 32_000_000;
const MAX_TENSORS = 50_000;
/** Modules within modules. */
const MAX_DEPTH = 64;
/** Bytes of all tensors together that are not stored in rows and must be put in order while the file is opened; also
 *  never more than the file has, so that one storage cannot be copied over and over. */
const MAX_REORDERED = 512 * 1024 ** 2;
/** Where a training script keeps the network, the best choice first. */
const containers = ["teacher", "state_dict", "model", "student"];
const AGAIN = "Download or save the file again.";

/**
 * Reads the directory and the pickle of a PyTorch file; `where` names it in a Failure. The network is looked for in
 * `teacher`, `state_dict`, `model` and `student`; `module.` and `backbone.` before its names are dropped, and what
 * stands beside a backbone with it. Tensors, in the order of the state dict, are slices, not yet read, unless they are
 * not stored in rows.
 * @throws Failure `bad-file`: no zip, damaged, a pickle that wants more than tensors, members that are compressed,
 *   encrypted, overlapping or too short; `bad-model`: a pickle without a state dict
 */
export async function readTorchZip(file: Blob, where: string): Promise<NamedTensors> {
  const bad = (what: string, remedy = AGAIN) => new Failure({ code: "bad-file", what, where, remedy });
  const { root, members, place } = await listMembers(file, where);
  const member = async (name: string, most: number): Promise<Uint8Array<ArrayBuffer> | null> => {
    const entry = members.get(root + name);
    if (!entry) return null;
    if (entry.size > most) {
      throw bad(`Its part ${quoted(name)} has ${entry.size} bytes; at most ${most} are read.`);
    }
    const { begin, end } = await place(entry);
    return new Uint8Array(await readBytes(file.slice(begin, end), where));
  };

  const order = await member("byteorder", 100);
  if (order && new TextDecoder().decode(order).trim() !== "little") {
    throw bad("The file was saved on a big-endian machine.", "Save it again on an ordinary one.");
  }
  const pickle = await member("data.pkl", MAX_PICKLE);
  if (!pickle) throw bad("The PyTorch file has no data.pkl.");
  const { tensors: chosen, notes, container } = stateDict(unpickle(pickle, where), where);

  let reordered = 0;
  const tensors: NamedTensor[] = [];
  for (const [name, { storage, offset, shape, stride }] of chosen) {
    const what = (problem: string) => bad(`The tensor ${quoted(name)} ${problem}.`);
    const size = dtypeBytes.get(storage.dtype) as number;
    const entry = members.get(`${root}data/${storage.key}`);
    if (!entry) throw what(`should lie in data/${storage.key}, which is not in the file`);
    const { begin, end } = await place(entry);
    if (BigInt(storage.count) * BigInt(size) > BigInt(end - begin)) {
      throw what(
        `lies in a storage of ${storage.count} numbers (${storage.dtype}), but the file holds ${end - begin} bytes of it`,
      );
    }
    const span = spanOf(shape, stride);
    if (span === null) throw what("is stored with overlapping strides");
    if (offset + span > storage.count) throw what("reaches past the end of its storage");
    const slice = file.slice(begin + offset * size, begin + (offset + span) * size);
    const common = { name, dtype: storage.dtype, shape: [...shape] };
    if (isContiguous(shape, stride)) {
      tensors.push({ ...common, bytes: slice });
      continue;
    }
    reordered += slice.size;
    if (reordered > Math.min(MAX_REORDERED, file.size)) {
      throw bad(
        `${reordered} bytes of its tensors are not stored in rows, more than are put in order here.`,
        "Save them with .contiguous(), or as safetensors.",
      );
    }
    tensors.push({
      ...common,
      bytes: new Blob([inRows(await readBytes(slice, where), shape, stride, size)]),
    });
  }
  return { where, tensors, metadata: {}, notes, ...(container && { container }) };
}

/** Whether these first bytes of a file are those of a zip. */
export const isZip = (start: Uint8Array): boolean =>
  start[0] === 0x50 && start[1] === 0x4b && start[2] === 3 && start[3] === 4;

/** Whether these first bytes are those of a pickle, hence of what torch.save wrote before its zip format. */
export const isPickle = (start: Uint8Array): boolean => start[0] === 0x80 && start[1]! >= 2 && start[1]! <= 5;

/** What to do with a PyTorch file from before the zip format. */
export const legacyTorch = (where: string): Failure =>
  new Failure({
    code: "bad-file",
    what: "This PyTorch file is in the format from before version 1.6.",
    where,
    remedy: 'Save it anew: torch.save(torch.load(path, map_location="cpu", weights_only=True), path).',
  });

/** A part of the archive: its number in the directory, its name there and its size. */
interface Member {
  index: number;
  name: string;
  size: number;
}

/** The parts by name, the folder that all of them lie in, and what finds the bytes of one. */
async function listMembers(file: Blob, where: string) {
  const bad = (what: string, remedy = AGAIN) => new Failure({ code: "bad-file", what, where, remedy });
  const directory = await readZipDirectory(blobSource(file, where), {
    where,
    remedy: AGAIN,
    maxEntries: MAX_MEMBERS,
  });
  const members = new Map<string, Member>();
  const roots: string[] = [];
  // The folder is named after the file, in whatever encoding; the parts that are read have names of ASCII.
  const decoder = new TextDecoder();
  for (let index = 0; index < directory.count; index++) {
    const entry = directory.entry(index);
    if (entry.kind !== "file") continue;
    const name = decoder.decode(entry.name);
    if (members.has(name)) throw bad(`Its part ${quoted(name)} stands twice.`);
    members.set(name, { index, name, size: entry.size });
    const root = /^([^/]{0,500}\/)?data\.pkl$/.exec(name);
    if (root) roots.push(root[1] ?? "");
  }
  if (roots.length > 1) throw bad("The file holds more than one pickle.");
  const [root] = roots;
  if (root === undefined) {
    throw bad(
      "This zip is no PyTorch file: it holds no data.pkl.",
      "Unpack it, and choose the model's own file or folder.",
    );
  }
  const place = async ({ index, name }: Member): Promise<{ begin: number; end: number }> => {
    const { encrypted, stored, size, compressedSize } = directory.entry(index);
    const part = (problem: string) => bad(`Its part ${quoted(name)} ${problem}.`);
    if (encrypted) throw part("is encrypted");
    if (!stored || compressedSize !== size)
      throw part("is compressed, which torch.save never does to tensors");
    return directory.place(index, where, `Its part ${quoted(name)}`);
  };
  return { root, members, place };
}

/** The named tensors of the network in what the pickle held. */
function stateDict(value: PickledValue, where: string) {
  const notes: string[] = [];
  let container: string | undefined;
  let dict = value;
  for (let i = 0; i < containers.length && dict instanceof Map; i++) {
    const here: Map<unknown, PickledValue> = dict;
    const found = containers.filter((key) => holdsTensors(here.get(key)));
    const [key, other] = found;
    if (key === undefined) break;
    if (other !== undefined) container = key;
    notes.push(
      `The weights are those under ${quoted(key)}${other ? `, not those under ${quoted(other)}` : ""}.`,
    );
    dict = here.get(key) as PickledValue;
  }

  let tensors = new Map<string, PickledTensor>();
  if (dict instanceof Map) {
    for (const [name, entry] of dict) {
      if (entry instanceof PickledTensor) tensors.set(String(name), entry);
    }
  } else if (dict instanceof PickledRecord) {
    gather(dict, tensors, where);
    notes.push("This is a TorchScript file; its weights are read, its program is not.");
  }
  if (tensors.size === 0) {
    throw new Failure({
      code: "bad-model",
      what: "The PyTorch file holds no state dict (names and tensors).",
      where,
      remedy: "Choose a file made by torch.save(model.state_dict(), ...).",
    });
  }
  if (tensors.size > MAX_TENSORS) {
    throw new Failure({
      code: "bad-file",
      what: `The file holds more than ${MAX_TENSORS} tensors.`,
      where,
      remedy: "Choose a model's file.",
    });
  }
  for (const [name] of tensors) {
    if (name.length > 10_000) {
      throw new Failure({
        code: "bad-file",
        what: `A tensor's name is ${name.length} characters long; at most 10000 are read.`,
        where,
        remedy: AGAIN,
      });
    }
  }

  tensors = inside(tensors, "module.") ?? tensors;
  const backbone = inside(tensors, "backbone.");
  if (backbone) {
    const left = tensors.size - backbone.size;
    if (left > 0) {
      notes.push(`The backbone is used; ${left === 1 ? "one tensor" : `${left} tensors`} beside it are not.`);
    }
    tensors = backbone;
  }
  return { tensors, notes, container };
}

function holdsTensors(value: PickledValue | undefined): boolean {
  if (value instanceof PickledRecord) return true;
  if (!(value instanceof Map)) return false;
  for (const entry of value.values()) if (entry instanceof PickledTensor) return true;
  return containers.some((key) => value.get(key) instanceof Map);
}

/** Tensors whose names begin with `prefix`, without it; null when there are none. */
function inside(tensors: Map<string, PickledTensor>, prefix: string): Map<string, PickledTensor> | null {
  const some = [...tensors].filter(([name]) => name.startsWith(prefix));
  return some.length === 0
    ? null
    : new Map(some.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

/** Walks a TorchScript module; a tensor's name is the path to it, as in its state dict. */
function gather(module: PickledRecord, into: Map<string, PickledTensor>, where: string): void {
  let visited = 0;
  const walk = (record: PickledRecord, prefix: string, depth: number): void => {
    for (const [key, value] of record.attributes) {
      // The same module may stand in many places, and those places in many others.
      if (++visited > MAX_MEMBERS || depth > MAX_DEPTH) {
        throw new Failure({
          code: "bad-file",
          what: `The TorchScript file nests its modules too deeply or too often.`,
          where,
          remedy: "Save the model's state dict instead.",
        });
      }
      if (value instanceof PickledTensor) into.set(prefix + String(key), value);
      else if (value instanceof PickledRecord) walk(value, `${prefix}${String(key)}.`, depth + 1);
    }
  };
  walk(module, "", 0);
}

/** Numbers from the first to the last one, or null where two indices share a number. */
function spanOf(shape: readonly number[], stride: readonly number[]): number | null {
  if (shape.length !== stride.length) return null;
  if (shape.includes(0)) return 0;
  const axes = shape
    .map((side, i) => ({ side, step: stride[i]! }))
    .filter(({ side }) => side > 1)
    .sort((a, b) => a.step - b.step);
  let span = 1;
  for (const { side, step } of axes) {
    if (step < span) return null;
    span += (side - 1) * step;
    if (!Number.isSafeInteger(span)) return null;
  }
  return span;
}

function isContiguous(shape: readonly number[], stride: readonly number[]): boolean {
  if (shape.includes(0)) return true;
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i]! > 1 && stride[i] !== expected) return false;
    expected *= shape[i]!;
  }
  return true;
}

/** The tensor's numbers row by row; `size` is the bytes of one. */
function inRows(
  bytes: ArrayBuffer,
  shape: readonly number[],
  stride: readonly number[],
  size: number,
): ArrayBuffer {
  // A number is copied as bits, 8 bytes as two halves, so that no NaN changes.
  const unit = Math.min(size, 4);
  const units = size / unit;
  const make = (buffer: ArrayBuffer) =>
    unit === 1 ? new Uint8Array(buffer) : unit === 2 ? new Uint16Array(buffer) : new Uint32Array(buffer);
  const count = shape.reduce((a, b) => a * b, 1);
  const result = new ArrayBuffer(count * size);
  const from = make(bytes);
  const to = make(result);
  const index = new Array<number>(shape.length).fill(0);
  let source = 0;
  for (let i = 0; i < count; i++) {
    for (let u = 0; u < units; u++) to[i * units + u] = from[source * units + u]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      source += stride[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      source -= stride[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return result;
}
