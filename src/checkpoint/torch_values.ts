// The tensors in what a PyTorch file's pickle held, whatever stands around them: each by the keys that lead to it, joined
// with dots, so that a dict within a dict and a prefix within a name are the same thing. Which of them are the network
// is for fit.ts to say.
import { Failure } from "../failure.ts";
import { dtypeBytes } from "./dtypes.ts";
import { quoted } from "./json.ts";
import { readBytes } from "./safetensors.ts";
import { inRows, isContiguous, spanOf } from "./strides.ts";
import type { NamedTensor, TensorHead, Weights } from "./types.ts";
import {
  type PickledMap,
  PickledRecord,
  type PickledStorage,
  PickledTensor,
  PickledTuple,
  type PickledValue,
} from "./unpickle.ts";

const MAX_TENSORS = 50_000;
/** Dicts, lists and objects that are looked into, and how deep. */
const MAX_VISITED = 200_000;
const MAX_DEPTH = 64;
const MAX_NAME = 1000;
/** Bytes of all tensors together that are not stored in rows and must be put in order while the file is opened; also
 *  never much more than the file has, so that one storage cannot be copied over and over. */
const MAX_REORDERED = 512 * 1024 ** 2;
const MIN_REORDERED = 16 * 1024 ** 2;
const AGAIN = "Download or save the file again.";

/** Where a storage's bytes lie in the file; a Failure where they do not. */
export type Locate = (storage: PickledStorage, tensor: string) => Promise<Blob>;

/**
 * The tensors of a file whose pickle held `value`, none of them looked for yet.
 * @param size bytes of the whole file
 * @param where names the file in a Failure: `bad-model` where there are no named tensors, `bad-file` where there are
 *   too many, or where one that is wanted does not fit its storage
 */
export function weightsIn(value: PickledValue, size: number, where: string, locate: Locate): Weights {
  const found = gather(value, where);
  if (found.tensors.size === 0 || [...found.tensors.keys()].every((name) => /^(\d+(\.\d+)*)?$/.test(name))) {
    throw withoutNames(found, value, where);
  }
  const bad = (what: string, remedy = AGAIN) => new Failure({ code: "bad-file", what, where, remedy });
  let reordered = 0;
  return {
    where,
    metadata: {},
    notes: found.scripted ? ["This is a TorchScript file; its weights are read, its program is not."] : [],
    modules: found.modules,
    tensors: [...found.tensors].map(([name, { storage, shape }]) => ({
      name,
      dtype: storage.dtype,
      shape: [...shape],
    })),
    async find(head: TensorHead): Promise<NamedTensor> {
      const { storage, offset, shape, stride } = found.tensors.get(head.name) as PickledTensor;
      const what = (problem: string) => bad(`The tensor ${quoted(head.name)} ${problem}.`);
      const unit = dtypeBytes.get(storage.dtype);
      if (unit === undefined) throw what(`is stored as ${storage.dtype}, which is not read`);
      const whole = await locate(storage, head.name);
      if (BigInt(storage.count) * BigInt(unit) > BigInt(whole.size)) {
        throw what(
          `lies in a storage of ${storage.count} numbers (${storage.dtype}), but the file holds ${whole.size} bytes of it`,
        );
      }
      const span = spanOf(shape, stride);
      if (span === null) throw what("has strides that do not go with its shape");
      if (offset + span > storage.count) throw what("reaches past the end of its storage");
      const slice = whole.slice(offset * unit, (offset + span) * unit);
      if (isContiguous(shape, stride)) return { ...head, bytes: slice };
      reordered += shape.reduce((a, b) => a * b, unit);
      if (reordered > Math.min(MAX_REORDERED, Math.max(size, MIN_REORDERED))) {
        throw bad(
          `${reordered} bytes of its tensors are not stored in rows, more than are put in order here.`,
          "Save them with .contiguous(), or as safetensors.",
        );
      }
      return { ...head, bytes: new Blob([inRows(await readBytes(slice, where), shape, stride, unit)]) };
    },
  };
}

interface Gathered {
  tensors: Map<string, PickledTensor>;
  /** Classes of whole networks, which are objects with code and no dicts of tensors. */
  modules: string[];
  /** Whether any of it is TorchScript's. */
  scripted: boolean;
}

const isScripted = ({ className }: PickledRecord) => className.startsWith("__torch__.");

/** Walks dicts, lists and TorchScript's modules; each of them is looked into once, wherever else it stands. */
function gather(value: PickledValue, where: string): Gathered {
  const found: Gathered = { tensors: new Map(), modules: [], scripted: false };
  const seen = new Set<PickledValue>();
  const bad = (what: string) =>
    new Failure({ code: "bad-file", what, where, remedy: "Choose a model's file." });
  const walk = (inner: PickledValue, name: string, depth: number): void => {
    if (inner instanceof PickledTensor) {
      if (found.tensors.has(name)) throw bad(`Two of its tensors are called ${quoted(name)}.`);
      if (found.tensors.size >= MAX_TENSORS) throw bad(`The file holds more than ${MAX_TENSORS} tensors.`);
      found.tensors.set(name, inner);
      return;
    }
    if (inner instanceof PickledRecord && inner.attributes.has("_modules") && !isScripted(inner)) {
      found.modules.push(inner.className);
      return;
    }
    const entries = entriesOf(inner);
    if (entries === null || seen.has(inner) || depth > MAX_DEPTH) return;
    seen.add(inner);
    if (inner instanceof PickledRecord && isScripted(inner)) found.scripted = true;
    if (seen.size > MAX_VISITED) throw bad("The file nests its dicts and modules too often.");
    for (const [key, entry] of entries) {
      if (typeof key !== "string" && typeof key !== "number") continue;
      const path = name === "" ? String(key) : `${name}.${key}`;
      if (path.length > MAX_NAME) {
        if (entry instanceof PickledTensor)
          throw bad(`A tensor's name is ${path.length} characters long; at most ${MAX_NAME} are read.`);
        continue;
      }
      walk(entry, path, depth + 1);
    }
  };
  walk(value, "", 0);
  return found;
}

/** What is inside a value, by key or place; null where nothing is looked for. */
function entriesOf(value: PickledValue): PickledMap | [number, PickledValue][] | null {
  if (value instanceof Map) return value;
  if (Array.isArray(value)) return [...value.entries()];
  if (value instanceof PickledTuple) return [...value.items.entries()];
  if (value instanceof PickledRecord) return isScripted(value) ? value.attributes : value.items;
  return null;
}

function withoutNames({ tensors, modules }: Gathered, value: PickledValue, where: string): Failure {
  const say = (what: string, remedy: string) => new Failure({ code: "bad-model", what, where, remedy });
  if (modules.length > 0) return wholeModule(modules[0] as string, where);
  const save = "Save the names with them: torch.save(model.state_dict(), ...), or safetensors.";
  if (tensors.size > 0) return say(`The file holds a list of ${tensors.size} tensors without names.`, save);
  const kind =
    value instanceof PickledRecord ? `an object of class ${quoted(value.className)}` : "no tensors";
  return say(
    `The PyTorch file holds no state dict (names and tensors), but ${kind}.`,
    "Choose a file made by torch.save(model.state_dict(), ...).",
  );
}

/** What is said of a network that was pickled as an object. */
export function wholeModule(className: string, where: string): Failure {
  return new Failure({
    code: "bad-model",
    what: `The file holds a whole module, an object of class ${quoted(className)}, which only the code of that class can make use of.`,
    where,
    remedy:
      "Where that code is, save its weights: torch.save(torch.load(path, weights_only=False).state_dict(), new_path).",
  });
}
