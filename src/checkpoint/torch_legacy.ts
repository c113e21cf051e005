// PyTorch's files from before its zip format (1.6): pickles one after another, namely a number that marks the format, its
// version, the machine, the value and the storages' keys, and then each storage as a count of 8 bytes and its numbers.
import { Failure } from "../failure.ts";
import { dtypeBytes } from "./dtypes.ts";
import { quoted } from "./json.ts";
import { readBytes } from "./safetensors.ts";
import { weightsIn } from "./torch_values.ts";
import type { Weights } from "./types.ts";
import { unpickleFrom } from "./unpickle.ts";

const MAGIC = 0x1950a86a20f9469cfc6cn;
/** Bytes of all pickles together. */
const MAX_PICKLES = 32_000_000;

/** Whether these first bytes are those of a pickle, hence of what torch.save wrote before its zip format. */
export const isPickle = (start: Uint8Array): boolean => start[0] === 0x80 && start[1]! >= 2 && start[1]! <= 5;

/** Reads a PyTorch file from before the zip format as readTorchZip reads one in it. */
export async function readLegacyTorch(file: Blob, where: string): Promise<Weights> {
  const bad = (what: string, remedy = "Download or save the file again.") =>
    new Failure({ code: "bad-file", what, where, remedy });
  const bytes = new Uint8Array(await readBytes(file.slice(0, MAX_PICKLES), where));
  let at = 0;
  const next = () => {
    const read = unpickleFrom(bytes.subarray(at), where);
    at += read.end;
    return read;
  };
  if (next().value !== MAGIC) {
    throw bad(
      "This is a pickle, but none of PyTorch's files.",
      "Save the model's weights with torch.save(model.state_dict(), ...) or as safetensors.",
    );
  }
  next();
  const machine = next().value;
  if (machine instanceof Map && machine.get("little_endian") === false) {
    throw bad("The file was saved on a big-endian machine.", "Save it again on an ordinary one.");
  }
  const { value, storages } = next();
  const keys = next().value;
  if (!Array.isArray(keys)) throw bad("The file is damaged: it does not list its storages.");

  const places = new Map<string, Blob>();
  for (const key of keys) {
    const storage = typeof key === "string" ? storages.get(key) : undefined;
    const unit = storage && dtypeBytes.get(storage.dtype);
    // What lies behind numbers of an unknown length cannot be found.
    if (!storage || unit === undefined) break;
    if (at + 8 > file.size) break;
    const head = new DataView(await readBytes(file.slice(at, at + 8), where));
    const end = at + 8 + Number(head.getBigUint64(0, true)) * unit;
    if (!(end <= file.size)) break;
    places.set(storage.key, file.slice(at + 8, end));
    at = end;
  }
  return weightsIn(value, file.size, where, async ({ key }, tensor) => {
    const place = places.get(key);
    if (!place) throw bad(`The file is cut off or damaged: the numbers of ${quoted(tensor)} are not in it.`);
    return place;
  });
}
