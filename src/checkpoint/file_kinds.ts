// What a file is that was saved or taken for weights and holds none that can be read here: told by its first bytes, else
// by its ending, with a step that leads to weights.
import { Failure } from "../failure.ts";
import { quoted } from "./json.ts";

interface Kind {
  /** In a sentence, with its article. */
  is: string;
  remedy: string;
  /** Whether these first bytes, as they are and as text, are such a file's. */
  starts?: (bytes: Uint8Array, text: string) => boolean;
  ending?: RegExp;
}

const DOWNLOAD = "Download the file itself: on the Hub by the arrow beside its name, or with `hf download`.";
const FROM_TRANSFORMERS =
  'Where that library is, load it with transformers (from_pretrained(..., from_tf=True or from_flax=True) up to version 4) and save it: model.save_pretrained("folder").';
const ORIGINAL = "Choose the model that it was made from: model.safetensors, or a .pth of its state dict.";
const UNPACK = "Unpack it, and choose the folder.";

const magic =
  (...start: (number | string)[]) =>
  (bytes: Uint8Array): boolean => {
    const expected = start.flatMap((part) =>
      typeof part === "number" ? [part] : [...part].map((letter) => letter.charCodeAt(0)),
    );
    return bytes.length >= expected.length && expected.every((byte, i) => bytes[i] === byte);
  };

const kinds: readonly Kind[] = [
  {
    is: "a Git LFS pointer, not the weights themselves",
    remedy: "Run `git lfs pull` in the folder, or download the file itself.",
    starts: magic("version https://git-lfs"),
  },
  {
    is: "a pointer of git-annex, not the weights themselves",
    remedy: "Run `git annex get` on it, or download the file itself.",
    starts: (_, text) => /^(\.\.\/)*(\.git)?\/annex\/objects\//.test(text),
  },
  {
    is: "a web page, not a file of weights",
    remedy: `${DOWNLOAD} A model behind a licence needs you to be signed in.`,
    starts: (_, text) => /^\s*(<!doctype html|<html|<head|<!--)/i.test(text),
  },
  {
    is: "an answer of a server in XML, not a file of weights",
    remedy: `${DOWNLOAD} Check that you may have it; its text says what was wrong.`,
    starts: (_, text) => /^\s*<(\?xml|Error>)/.test(text) && !/<net\b/.test(text),
  },
  {
    is: "a network of OpenVINO",
    remedy: ORIGINAL,
    starts: (_, text) => /<net\b/.test(text),
    ending: /(^|[/_])openvino\w*\.(xml|bin)$|\.xml$/i,
  },
  {
    is: "the answer of a server that refused the download",
    remedy: `${DOWNLOAD} A model behind a licence needs you to be signed in.`,
    starts: (_, text) =>
      /^\s*\{\s*"(error|message|detail)"|^(Invalid username|Access to model|Entry not found|Repository not found|Not Found|Unauthorized|Forbidden|404)/i.test(
        text,
      ),
  },
  {
    is: "packed by gzip",
    remedy: "Unpack it (`gunzip`, or for .tar.gz `tar xzf`), and choose what is inside.",
    starts: magic(0x1f, 0x8b),
    ending: /\.(gz|tgz)$/i,
  },
  { is: "packed by bzip2", remedy: UNPACK, starts: magic("BZh"), ending: /\.t?bz2?$/i },
  { is: "packed by xz", remedy: UNPACK, starts: magic(0xfd, "7zXZ"), ending: /\.(xz|txz)$/i },
  { is: "packed by zstd", remedy: UNPACK, starts: magic(0x28, 0xb5, 0x2f, 0xfd), ending: /\.zst$/i },
  { is: "a 7z archive", remedy: UNPACK, starts: magic("7z", 0xbc, 0xaf), ending: /\.7z$/i },
  { is: "a RAR archive", remedy: UNPACK, starts: magic("Rar!"), ending: /\.rar$/i },
  {
    is: "a tar archive",
    remedy: UNPACK,
    starts: (_, text) => text.slice(257, 262) === "ustar",
    ending: /(?<!pth?)\.tar$/i,
  },
  {
    is: "a GGUF file, whose weights are packed for llama.cpp",
    remedy: ORIGINAL,
    starts: magic("GGUF"),
    ending: /\.(gguf|ggml)$/i,
  },
  {
    is: "an HDF5 file, as Keras and TensorFlow save weights",
    remedy: FROM_TRANSFORMERS,
    starts: magic(0x89, "HDF"),
    ending: /\.(h5|hdf5|keras)$/i,
  },
  {
    is: "a network in ONNX",
    remedy: ORIGINAL,
    // The format's version, then who wrote it.
    starts: (bytes, text) =>
      bytes[0] === 0x08 &&
      bytes[1]! <= 20 &&
      /^.{2,6}(pytorch|onnx|tf2onnx|skl2onnx|keras2onnx|paddle|CNTK)/s.test(text),
    ending: /\.onnx(_data)?$/i,
  },
  {
    is: "a TensorFlow Lite network",
    remedy: ORIGINAL,
    starts: (_, text) => text.slice(4, 8) === "TFL3",
    ending: /\.tflite$/i,
  },
  {
    is: "an array of numpy, without names",
    remedy: ORIGINAL,
    starts: magic(0x93, "NUMPY"),
    ending: /\.npy$/i,
  },
  {
    is: "arrays of numpy (npz), as JAX's and Google's ViTs are published",
    remedy:
      'Load it with timm (timm.create_model(..., checkpoint_path="file.npz")) and save its state dict, or choose the same model on the Hub.',
    ending: /\.npz$/i,
  },
  {
    is: "weights of Flax (msgpack)",
    remedy: FROM_TRANSFORMERS,
    starts: (bytes) =>
      (bytes[0]! >> 4 === 8 && bytes[1]! >> 5 === 5) || (bytes[0] === 0xde && bytes[3]! >> 5 === 5),
    ending: /\.msgpack$/i,
  },
  {
    is: "a checkpoint of TensorFlow",
    remedy: FROM_TRANSFORMERS,
    ending: /\.(data-\d{5}-of-\d{5}|index|pb|ckpt\.meta)$/i,
  },
  {
    is: "a distributed checkpoint, in pieces that no single one of is a network",
    remedy:
      "Merge it: `accelerate merge-weights`, or torch.distributed.checkpoint.format_utils.dcp_to_torch_save.",
    ending: /\.distcp$/i,
  },
  { is: "a network of Core ML", remedy: ORIGINAL, ending: /\.(mlmodel|mlpackage|mlmodelc)(\/|$)/i },
  { is: "weights for Rust's tch (.ot)", remedy: ORIGINAL, ending: /\.ot$/i },
  {
    is: "a zip or one of PyTorch's files, and no safetensors",
    remedy: "Save the model as safetensors, or choose the PyTorch file alone.",
    starts: magic("PK", 3, 4),
  },
  { is: "a PDF", remedy: "Choose the file of weights.", starts: magic("%PDF") },
  {
    is: "an image",
    remedy: "Choose the file of weights here; images belong to the data.",
    starts: (bytes) => magic(0x89, "PNG")(bytes) || magic(0xff, 0xd8, 0xff)(bytes),
    ending: /\.(png|jpe?g|webp|gif|bmp|tiff?)$/i,
  },
  {
    is: "full of zeros at its start, as a download that never finished",
    remedy: "Download it again.",
    starts: (bytes) => bytes.length >= 64 && bytes.every((byte) => byte === 0),
  },
];

/** First bytes that are enough to tell. */
export const SNIFFED = 1024;

/** A Failure that says what a file is, by its first bytes; null where nothing is known to start so. */
export function knownOther(start: Uint8Array, where: string): Failure | null {
  if (start.length === 0) {
    return new Failure({
      code: "bad-file",
      what: "The file is empty (0 bytes).",
      where,
      remedy: "Download or save it again.",
    });
  }
  const text = new TextDecoder("latin1").decode(start).replace(/^\u00ef\u00bb\u00bf/, "");
  const kind = kinds.find(({ starts }) => starts?.(start, text));
  return kind
    ? new Failure({ code: "bad-file", what: `This is ${kind.is}.`, where, remedy: kind.remedy })
    : null;
}

/** What is said where none of the files has a weight's ending: what there is instead. */
export function noWeights(paths: readonly string[]): Failure {
  for (const { ending, is, remedy } of kinds) {
    const path = ending && paths.find((path) => ending.test(path));
    if (path === undefined) continue;
    return new Failure({
      code: "bad-model",
      what: `There are no weights that can be read; this is ${is}.`,
      where: path,
      remedy,
    });
  }
  const some = paths.slice(0, 3).map(quoted);
  return new Failure({
    code: "bad-model",
    what:
      paths.length === 0
        ? "There are no files."
        : `There are no weights (.safetensors, .pth, .pt, .ckpt or .bin), only ${some.join(", ")}${paths.length > 3 ? `, and ${paths.length - 3} more` : ""}.`,
    remedy: "Choose model.safetensors with its config.json and preprocessor_config.json, or their folder.",
  });
}
