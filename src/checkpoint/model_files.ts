// What a person dropped, as one model: its weights as named tensors, and the JSON files that stand beside them. Every
// source of weights ends here in the same NamedTensors; what they are is for open_checkpoint.ts to say.
import { Failure } from "../failure.ts";
import type { SourceFile } from "../source_file.ts";
import { parseJsonObject, quoted, wholeFloats } from "./json.ts";
import { weightsEnding } from "./model_store.ts";
import { imageProcessorOf } from "./preprocessing.ts";
import { readBytes, readSafetensors } from "./safetensors.ts";
import { readShards } from "./sharded.ts";
import { isPickle, isZip, legacyTorch, readTorchZip } from "./torch_zip.ts";
import type { NamedTensors } from "./types.ts";

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
  weights: NamedTensors;
  config: JsonFile | null;
  /** OpenCLIP's, in place of the two that transformers writes. */
  openClipConfig: JsonFile | null;
  /** A classifier in a file of its own. */
  classifier: NamedTensors | null;
  preprocessor: JsonFile | null;
  /** PEFT's, beside an adapter. */
  adapterConfig: JsonFile | null;
}

/** Finds the one model among dropped files and reads its headers and JSON files; a Failure where there is none, or
 *  more than one. */
export async function readModelFiles(files: SourceFile[]): Promise<ModelFiles> {
  const found = findFiles(files);
  const weights = found.index
    ? await readShards((await readJson(found.index)).json, found.index.path, found.beside)
    : await readWeights(found.weights);
  const json = async (file: SourceFile | undefined) => (file ? readJson(file) : null);
  return {
    name: found.name,
    weights,
    config: await json(found.config),
    openClipConfig: await json(found.beside("open_clip_config.json")),
    classifier: found.classifier ? await readWeights(found.classifier) : null,
    preprocessor: await readProcessor(found.beside),
    adapterConfig: await json(found.adapterConfig),
  };
}

/** Reads one file of weights as what its first bytes say it is, whatever its ending. */
async function readWeights({ path, blob }: SourceFile): Promise<NamedTensors> {
  const start = new Uint8Array(await readBytes(blob.slice(0, 4), path));
  if (isZip(start)) return readTorchZip(blob, path);
  if (isPickle(start)) throw legacyTorch(path);
  return readSafetensors(blob, path);
}

interface Found {
  name: string;
  /** The file of weights, or the first of several. */
  weights: SourceFile;
  /** Of weights in several files. */
  index: SourceFile | undefined;
  /** A classifier in a file of its own, which an export writes for networks that have no place for one. */
  classifier: SourceFile | undefined;
  config: SourceFile | undefined;
  adapterConfig: SourceFile | undefined;
  /** The file of a name in the weights' folder. */
  beside(name: string): SourceFile | undefined;
}

/** Name of a classifier that stands beside its backbone. */
export const classifierFile = "classifier.safetensors";

/** What training scripts of transformers leave beside the weights. */
const notWeights = /^(training_args|optimizer|scheduler|scaler|rng_state\w*|random_states\w*)\.(bin|pth?)$/i;

function split(path: string): { folder: string; base: string } {
  const cut = path.lastIndexOf("/");
  return { folder: path.slice(0, Math.max(cut, 0)), base: path.slice(cut + 1) };
}

function findFiles(files: SourceFile[]): Found {
  const visible = files.filter(
    ({ path }) => !path.split("/").some((part) => part.startsWith(".") || part === "__MACOSX"),
  );
  const { weights, index } = findWeights(visible);
  const { folder, base } = split((index ?? weights).path);
  const beside = (name: string): SourceFile | undefined => {
    const same = visible.filter(({ path }) => path === (folder ? `${folder}/${name}` : name));
    if (same.length > 1) {
      throw new Failure({
        code: "bad-model",
        what: `There are ${same.length} files of this name.`,
        where: name,
        remedy: "Choose the one that belongs to the model.",
      });
    }
    return same[0];
  };
  return {
    name: split(folder).base || base.replace(/\.index\.json$/i, "").replace(weightsEnding, ""),
    weights,
    index,
    classifier: weights.path.endsWith(classifierFile) ? undefined : beside(classifierFile),
    config: beside("config.json"),
    adapterConfig: beside("adapter_config.json"),
    beside,
  };
}

/** One file of weights, or several with their index; safetensors before PyTorch's own. */
function findWeights(files: SourceFile[]): Pick<Found, "weights" | "index"> {
  const indexes = files.filter(({ path }) => /\.safetensors\.index\.json$/i.test(path));
  const safetensors = files.filter(
    ({ path }) => /\.safetensors$/i.test(path) && split(path).base !== classifierFile,
  );
  const isShard = ({ path }: SourceFile) => /-\d{5}-of-\d{5}\.\w+$/.test(path);
  const whole = safetensors.filter((file) => !isShard(file));
  const [first] = whole.length > 0 ? whole : safetensors;
  const [index] = indexes;
  if (index && whole.length !== 1) {
    if (indexes.length > 1) throw several(indexes, "indexes of safetensors files");
    return { weights: first ?? index, index };
  }
  if (first && isShard(first)) {
    throw new Failure({
      code: "bad-model",
      what: "The model is split over several safetensors files, and their index is not here.",
      where: first.path,
      remedy: "Choose model.safetensors.index.json and all the files it names together, or their folder.",
    });
  }
  if (whole.length > 1) throw several(whole, "safetensors files");
  if (first) return { weights: first, index: undefined };

  const torch = files.filter(({ path }) => weightsEnding.test(path) && !notWeights.test(split(path).base));
  const [file] = torch;
  if (!file) throw noWeights(files);
  if (torch.some(isShard)) {
    throw new Failure({
      code: "bad-model",
      what: "The model is split over several PyTorch files.",
      where: file.path,
      remedy: "Save it as safetensors, which can be split, or as one file.",
    });
  }
  if (torch.length > 1) throw several(torch, "PyTorch files");
  return { weights: file, index: undefined };
}

function several(files: SourceFile[], kind: string): Failure {
  const some = files.slice(0, 4).map(({ path }) => quoted(path));
  return new Failure({
    code: "bad-model",
    what: `There are ${files.length} ${kind}: ${some.join(", ")}${files.length > 4 ? ", ..." : ""}.`,
    remedy: "Choose one model: a folder with a single file of weights, or that file with its config.json.",
  });
}

function noWeights(files: SourceFile[]): Failure {
  return new Failure({
    code: "bad-model",
    what:
      files.length === 0
        ? "There are no files."
        : `None of the ${files.length} files holds weights (.safetensors, .pth, .pt or .bin).`,
    remedy: "Choose model.safetensors with its config.json and preprocessor_config.json, or their folder.",
  });
}

/** How images are prepared: transformers 5 writes one file for all parts of a processor, which stands above the older one
 *  that has images alone. */
async function readProcessor(beside: Found["beside"]): Promise<JsonFile | null> {
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
