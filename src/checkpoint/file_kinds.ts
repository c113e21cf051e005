// What a file is that was saved or taken for weights and holds none that can be read here: told by its first bytes, else
// by its ending, with a step that leads to weights.
import { Failure } from "../failure.ts";
import { type FileKind, fileKind, kindName } from "../file_kind.ts";
import { quoted } from "./json.ts";

const DOWNLOAD = "Download the file itself: on the Hub by the arrow beside its name, or with `hf download`.";
const SIGNED_IN = `${DOWNLOAD} A model behind a licence needs you to be signed in.`;
const FROM_TRANSFORMERS =
  'Where that library is, load it with transformers (from_pretrained(..., from_tf=True or from_flax=True) up to version 4) and save it: model.save_pretrained("folder").';
const ORIGINAL = "Choose the model that it was made from: model.safetensors, or a .pth of its state dict.";
const UNPACK = "Unpack it, and choose the folder.";
const MEANT = "Choose the file of weights.";

/** What leads from each kind to weights. */
const remedies: Record<FileKind, string> = {
  lfs: "Run `git lfs pull` in the folder, or download the file itself.",
  annex: "Run `git annex get` on it, or download the file itself.",
  page: SIGNED_IN,
  openvino: ORIGINAL,
  xml: `${DOWNLOAD} Check that you may have it; its text says what was wrong.`,
  refusal: SIGNED_IN,
  json: MEANT,
  gzip: "Unpack it (`gunzip`, or for .tar.gz `tar xzf`), and choose what is inside.",
  bzip2: UNPACK,
  xz: UNPACK,
  zstd: UNPACK,
  lz4: UNPACK,
  sevenZip: UNPACK,
  rar: UNPACK,
  cabinet: UNPACK,
  unixArchive: UNPACK,
  tar: UNPACK,
  zip: "Save the model as safetensors, or choose the PyTorch file alone.",
  gguf: ORIGINAL,
  hdf5: FROM_TRANSFORMERS,
  onnx: ORIGINAL,
  tflite: ORIGINAL,
  npy: ORIGINAL,
  flax: FROM_TRANSFORMERS,
  parquet: MEANT,
  sqlite: MEANT,
  pdf: MEANT,
  image: "Choose the file of weights here; images belong to the data.",
  zeros: "Download it again.",
};

/** Endings of files in place of weights: kinds as above, and some whose first bytes tell nothing. */
const endings: readonly [ending: RegExp, kind: FileKind | { is: string; remedy: string }][] = [
  [/(^|[/_])openvino\w*\.(xml|bin)$|\.xml$/i, "openvino"],
  [/\.(gz|tgz)$/i, "gzip"],
  [/\.t?bz2?$/i, "bzip2"],
  [/\.(xz|txz)$/i, "xz"],
  [/\.zst$/i, "zstd"],
  [/\.7z$/i, "sevenZip"],
  [/\.rar$/i, "rar"],
  [/(?<!pth?)\.tar$/i, "tar"],
  [/\.(gguf|ggml)$/i, "gguf"],
  [/\.(h5|hdf5|keras)$/i, "hdf5"],
  [/\.onnx(_data)?$/i, "onnx"],
  [/\.tflite$/i, "tflite"],
  [/\.npy$/i, "npy"],
  [
    /\.npz$/i,
    {
      is: "arrays of numpy (npz), as JAX's and Google's ViTs are published",
      remedy:
        'Load it with timm (timm.create_model(..., checkpoint_path="file.npz")) and save its state dict, or choose the same model on the Hub.',
    },
  ],
  [/\.msgpack$/i, "flax"],
  [
    /(^|\/)data\.pkl$/i,
    {
      is: "one of PyTorch's files that was unpacked",
      remedy: "Choose the .pth itself, or put the folder back into one: zip -0 -r model.pth FOLDER.",
    },
  ],
  [
    /\.(data-\d{5}-of-\d{5}|index|pb|ckpt\.meta)$/i,
    { is: "a checkpoint of TensorFlow", remedy: FROM_TRANSFORMERS },
  ],
  [
    /\.distcp$/i,
    {
      is: "a distributed checkpoint, in pieces that no single one of is a network",
      remedy:
        "Merge it: `accelerate merge-weights`, or torch.distributed.checkpoint.format_utils.dcp_to_torch_save.",
    },
  ],
  [/\.(mlmodel|mlpackage|mlmodelc)(\/|$)/i, { is: "a network of Core ML", remedy: ORIGINAL }],
  [/\.ot$/i, { is: "weights for Rust's tch (.ot)", remedy: ORIGINAL }],
  [
    /\.(crdownload|part|partial|download|incomplete|opdownload|!ut|aria2)$/i,
    {
      is: "a download that has not ended",
      remedy: "Wait until it has, or download the file again; its name then ends in .safetensors or .pth.",
    },
  ],
  [
    /\.zip$/i,
    { is: "a zip", remedy: "Unpack what it lies in, and choose the zip alone, or the model's folder." },
  ],
  [/\.(png|jpe?g|webp|gif|bmp|tiff?)$/i, "image"],
];

/** A Failure that says what a file is, by its first bytes; null where nothing is known to start so. */
export function knownOther(start: Uint8Array, where: string): Failure | null {
  const other = (what: string, remedy: string) => new Failure({ code: "bad-file", what, where, remedy });
  if (start.length === 0) return other("The file is empty (0 bytes).", "Download or save it again.");
  const kind = fileKind(start);
  return kind && other(`This is ${kindName(kind)}.`, remedies[kind]);
}

/** A Failure where an ending says that there is something in place of weights; null where none does. */
export function knownByName(paths: readonly string[]): Failure | null {
  for (const [ending, kind] of endings) {
    const where = paths.find((path) => ending.test(path));
    if (where === undefined) continue;
    const { is, remedy } = typeof kind === "string" ? { is: kindName(kind), remedy: remedies[kind] } : kind;
    const what = `There are no weights that can be read; this is ${is}.`;
    return new Failure({ code: "bad-model", what, where, remedy });
  }
  return null;
}

/** What is said where none of the files has a weight's ending: what there is instead. */
export function noWeights(paths: readonly string[]): Failure {
  const known = knownByName(paths);
  if (known) return known;
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
