// PyTorch's own files (.pth, .pt, .bin) in the zip format: a pickle that says which tensors there are, and a member for
// each storage, uncompressed, so that a tensor is a slice of the file. Only the zip's directory, the pickle and the
// members' headers are read here. TorchScript archives hold the same kind of pickle and are read as well.
import { Failure } from "../failure.ts";
import { blobSource, readZipDirectory } from "../zip_directory.ts";
import { quoted } from "./json.ts";
import { readBytes } from "./safetensors.ts";
import { weightsIn } from "./torch_values.ts";
import type { Weights } from "./types.ts";
import { unpickle } from "./unpickle.ts";

const MAX_MEMBERS = 200_000;
const MAX_PICKLE = 32_000_000;
const AGAIN = "Download or save the file again.";

/**
 * Reads the directory and the pickle of a PyTorch file; `where` names it in a Failure. Every tensor in it is named by the
 * keys that lead to it; those that are found are slices, not yet read, unless they are not stored in rows.
 * @throws Failure `bad-file`: no zip, damaged, a pickle that would run code, members that are compressed, encrypted,
 *   overlapping or too short; `bad-model`: a pickle without named tensors
 */
export async function readTorchZip(file: Blob, where: string): Promise<Weights> {
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
  return weightsIn(unpickle(pickle, where), file.size, where, async ({ key }, tensor) => {
    const entry = members.get(`${root}data/${key}`);
    if (!entry)
      throw bad(`The tensor ${quoted(tensor)} should lie in data/${key}, which is not in the file.`);
    const { begin, end } = await place(entry);
    return file.slice(begin, end);
  });
}

/** Whether these first bytes of a file are those of a zip. */
export const isZip = (start: Uint8Array): boolean =>
  start[0] === 0x50 && start[1] === 0x4b && start[2] === 3 && start[3] === 4;

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
    throw otherZip([...members.keys()], where);
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

/** What a zip is that holds no pickle of torch's. */
function otherZip(names: readonly string[], where: string): Failure {
  const arrays = names.some((name) => name.endsWith(".npy"));
  return new Failure({
    code: "bad-file",
    what: arrays
      ? "This zip holds arrays of numpy (npz), as JAX's and Google's ViTs are published."
      : "This zip is no PyTorch file: it holds no data.pkl.",
    where,
    remedy: arrays
      ? "Load it with timm (timm.create_model(..., checkpoint_path=FILE)) and save its state dict, or choose the same model on the Hub."
      : "Unpack it, and choose the model's own file or folder.",
  });
}
