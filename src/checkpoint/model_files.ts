// What a person dropped, as one model: its weights as named tensors, and the JSON files that stand beside them. Every
// source of weights ends here in the same Weights; what they are is for open_checkpoint.ts to say.
import { Failure } from "../failure.ts";
import type { SourceFile } from "../source_file.ts";
import { chooseFiles, classifierFile, plainName, split } from "./choose_files.ts";
import { parseJsonObject, quoted, wholeFloats } from "./json.ts";
import { weightsEnding } from "./model_store.ts";
import { imageProcessorOf } from "./preprocessing.ts";
import { isSafetensors, readBytes, readSafetensors } from "./safetensors.ts";
import { readShards } from "./sharded.ts";
import { isPickle, readLegacyTorch } from "./torch_legacy.ts";
import { isZip, readTorchZip } from "./torch_zip.ts";
import type { NamedTensor, NamedTensors, OpenQuestion, Weights } from "./types.ts";

// A config with 22,000 labels in four languages is below this.
const MAX_JSON = 8_000_000;

/** A JSON file that was found, parsed. */
export interface JsonFile {
  path: string;
  json: Record<string, unknown>;
  /** Keys whose whole numbers stand with a decimal point in the file. */
  floats: ReadonlySet<string>;
}

/** A model's files, read as far as their headers. */
export interface ModelFiles {
  /** Short name for the person: folder or file. */
  name: string;
  weights: Weights;
  /** Which file was chosen of several, one sentence. */
  notes: string[];
  questions: OpenQuestion[];
  /** Which of the file's networks somebody chose. */
  chosen: string | undefined;
  config: JsonFile | null;
  /** OpenCLIP's, in place of the two that transformers writes. */
  openClipConfig: JsonFile | null;
  /** A classifier in a file of its own. */
  classifier: Weights | null;
  preprocessor: JsonFile | null;
  /** PEFT's, beside an adapter. */
  adapterConfig: JsonFile | null;
}

/** Finds the one model among dropped files and reads its headers and JSON files; a Failure where there is none.
 *  @param chosen which of several, where somebody chose (`ModelAnswers.weights`) */
export async function readModelFiles(files: SourceFile[], chosen?: string): Promise<ModelFiles> {
  const visible = files.filter(
    ({ path }) => !path.split("/").some((part) => part.startsWith(".") || part === "__MACOSX"),
  );
  const { main, index, parts, notes, questions } = chooseFiles(visible, chosen);
  const { folder, base } = split(main.path);
  const beside = (name: string) => findBeside(visible, folder, name);
  const json = async (name: string) => {
    const file = beside(name);
    return file ? readJson(file) : null;
  };
  const classifier = base === classifierFile ? undefined : beside(classifierFile);
  return {
    name: split(folder).base || base.replace(/\.index(\.\w+)?\.json$/i, "").replace(weightsEnding, ""),
    weights: index
      ? await readShards((await readJson(index)).json, index.path, beside, readWeights)
      : joined(await Promise.all(parts.map((part) => readWeights(part)))),
    notes,
    questions,
    chosen: chosen?.startsWith(`${main.path}:`)
      ? chosen.slice(main.path.length + 1)
      : chosen === main.path
        ? undefined
        : chosen,
    config: await json("config.json"),
    openClipConfig: await json("open_clip_config.json"),
    classifier: classifier ? await readWeights(classifier) : null,
    preprocessor: await readProcessor(beside),
    adapterConfig: await json("adapter_config.json"),
  };
}

/** The file of a name in a folder: exactly so, else in other letters or as a second download of it. */
function findBeside(files: readonly SourceFile[], folder: string, name: string): SourceFile | undefined {
  const here = files.filter(({ path }) => split(path).folder === folder);
  const exact = here.filter(({ path }) => split(path).base === name);
  const same = exact.length > 0 ? exact : here.filter(({ path }) => plainName(split(path).base) === name);
  if (same.length > 1) {
    throw new Failure({
      code: "bad-model",
      what: `There are ${same.length} files of this name.`,
      where: name,
      remedy: "Choose the one that belongs to the model.",
    });
  }
  return same[0];
}

/** Reads one file of weights as what its first bytes say it is, whatever its ending. */
async function readWeights({ path, blob }: SourceFile): Promise<Weights> {
  const start = new Uint8Array(await readBytes(blob.slice(0, 9), path));
  if (!isSafetensors(start, blob.size)) {
    if (isZip(start)) return readTorchZip(blob, path);
    if (isPickle(start)) return readLegacyTorch(blob, path);
  }
  return found(await readSafetensors(blob, path));
}

/** Tensors whose bytes are known already. */
function found({ tensors, ...rest }: NamedTensors): Weights {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  return { ...rest, tensors, find: async ({ name }) => byName.get(name) as NamedTensor };
}

/** Shards as one file of weights. */
function joined(shards: readonly Weights[]): Weights {
  const [first] = shards as [Weights, ...Weights[]];
  if (shards.length === 1) return first;
  const owners = new Map<string, Weights>();
  for (const shard of shards) {
    for (const { name } of shard.tensors) {
      if (owners.has(name)) {
        throw new Failure({
          code: "bad-file",
          what: `The tensor ${quoted(name)} stands in two files, ${quoted((owners.get(name) as Weights).where)} and ${quoted(shard.where)}.`,
          where: first.where,
          remedy: "The files are not from one save; download all of them again.",
        });
      }
      owners.set(name, shard);
    }
  }
  return {
    ...first,
    notes: [...new Set(shards.flatMap(({ notes }) => notes))],
    modules: shards.flatMap(({ modules }) => modules ?? []),
    tensors: shards.flatMap(({ tensors }) => tensors),
    find: (tensor) => (owners.get(tensor.name) as Weights).find(tensor),
  };
}

/** How images are prepared: transformers 5 writes one file for all parts of a processor, which stands above the older one
 *  that has images alone. */
async function readProcessor(beside: (name: string) => SourceFile | undefined): Promise<JsonFile | null> {
  for (const name of ["processor_config.json", "preprocessor_config.json"]) {
    const file = beside(name);
    const whole = file && (await readJson(file));
    const json = whole && imageProcessorOf(whole.json);
    if (json) return { ...whole, json };
  }
  return null;
}

async function readJson({ path, blob }: SourceFile): Promise<JsonFile> {
  if (blob.size > MAX_JSON) {
    throw new Failure({
      code: "bad-file",
      what: `The file has ${blob.size} bytes; a configuration has at most ${MAX_JSON}.`,
      where: path,
      remedy: "Choose the file that was saved with the model.",
    });
  }
  const text = new TextDecoder().decode(await readBytes(blob, path));
  return { path, json: parseJsonObject(text, path), floats: wholeFloats(text) };
}
