// The table of signs: what folders and files are called when their name says what they are for, and not what the images
// show. Everything that a layout is read by is written here, once.
import type { Split } from "./types.ts";

/** evaluation: validation where there is a test folder too, or else test · unlabelled: images to be predicted. */
type Part = Split | "evaluation" | "unlabelled";

/** Words for parts of a data set, each also inside a longer name (`seg_train`, `training_set`, `Test Images`). */
const partWords: Record<Part, string> = {
  train:
    "train training trainset trainingset trn trainingsdaten entrainement entraînement apprentissage entrenamiento treino " +
    "treinamento addestramento обучение обучающая тренировка 训练 训练集 訓練 学習 학습 훈련",
  val:
    "val valid validation validate valset valids dev devel development validierung validación validacion validação " +
    "validacao validazione crossval валидация валидационная 验证 验证集 驗證 検証 검증",
  test: "test testing tests testset tst holdout heldout testdaten prueba teste тест тестовая 测试 测试集 測試 テスト 시험 테스트",
  evaluation: "eval evaluation evaluate evaluating evaluierung évaluation 评估 評価 평가",
  unlabelled: "pred predict prediction predictions unlabeled unlabelled inference submission",
};
const partOf = new Map<string, Part>(
  Object.entries(partWords).flatMap(([part, words]) =>
    words.split(" ").map((word) => [word.normalize("NFKC"), part as Part] as const),
  ),
);

const setOf = (words: string) => new Set(words.split(" "));

/** Words that say nothing of what images show. */
const fillers = setOf(
  "set sets image images img imgs imgset data dataset datasets split splits folder folders dir picture pictures pics photo " +
    "photos jpg jpeg jpegs png jpegimages sample samples file files final new resized cropped raw original originals " +
    "full small all labeled labelled subset session batch part shard the of and",
);
/** Folders that hold the pictures, where another beside them holds what was drawn over them. */
const pictureFolders = setOf(
  "image images img imgs jpegimages photo photos picture pictures original originals input inputs rgb color raw",
);
const maskFolders = setOf(
  "mask masks segmentation segmentations seg segs trimap trimaps gt groundtruth ground-truth annotation annotations " +
    "label labels segmentationclass segmentationobject segmentationmask matte mattes",
);
const maskEnding = /[ _.-](mask|seg|segmentation|gt|matte|trimap)([ _.-]?\d+)?$/i;

/** Prefixes that cameras and programs give: no label. */
const cameraWords = setOf(
  "img image images imag dsc dscn dscf dscp pxl p mvimg vid video screenshot screen shot photo photos pic picture pict " +
    "frame scan sample file page whatsapp fb wp snapchat gopr dji cam camera capture untitled train training test testing " +
    "val valid validation eval id no nr num number unknown item crop patch tile view",
);

/** Words of a name: at spaces, punctuation, changes between letters and digits, and `camelCase`. */
function wordsOf(name: string): string[] {
  return name
    .normalize("NFKC")
    .replace(/(\p{Ll})(\p{Lu})/gu, "$1 $2")
    .toLowerCase()
    .split(/[^\p{L}\p{M}\p{N}]+|(?<=\p{L}|\p{M})(?=\p{N})|(?<=\p{N})(?=\p{L})/u)
    .filter((word) => word !== "");
}

const bare = (name: string) =>
  name
    .normalize("NFKC")
    .toLowerCase()
    .replace(/[\s_\p{Pd}]+/gu, "");
const isFiller = (word: string) => fillers.has(word) || /^\p{N}+$/u.test(word);

/** Whether a name is made of nothing but fillers and numbers: `images`, `batch_2`, `2021-04-03`, but not `7`. */
export function saysNothing(name: string): boolean {
  const words = wordsOf(name);
  // What cameras call their folders (DCF): `100CANON`, `101_PANA`.
  if (/^DCIM$|^\d{3}[A-Z0-9_]{5}$/.test(name)) return true;
  const date = /^\d{4}[ _.-]?\d{2}[ _.-]?\d{2}\b/.test(name);
  return date || (words.some((word) => fillers.has(word)) && words.every(isFiller));
}

/** Whether a folder's name alone makes it a part of a set. */
export const isPartWord = (name: string): boolean => partIn(name)?.rest === "";

/** Whether names speak of several parts, in whatever other words: `trainA`, `trainB`, `testA`. */
export function speakOfParts(names: readonly string[]): boolean {
  const parts = names.map((name) => partIn(name)?.part);
  return !parts.includes(undefined) && new Set(parts).size > 1;
}

export const isPictureFolder = (name: string): boolean => pictureFolders.has(bare(name));
export const isMaskFolder = (name: string): boolean => maskFolders.has(bare(name));
export const isCameraWord = (word: string): boolean => cameraWords.has(bare(word));
/** The stem of the picture that a mask's stem names; null for what is no mask by its name. */
export function pictureOfMask(stem: string): string | null {
  return maskEnding.test(stem) ? stem.replace(maskEnding, "") : null;
}
/** `fold_0`, `Fold 3`, `cv2`, `kfold-1`. */
export const isFold = (name: string): boolean =>
  /^(k?-?fold|cv|split|partition)s?[ _.-]?\d{1,2}$/i.test(name);

/** The one part that a name speaks of, and what else it says; null where it speaks of none, or of several. */
function partIn(name: string): { part: Part; rest: string } | null {
  const whole = partOf.get(bare(name));
  if (whole) return { part: whole, rest: "" };
  const words = wordsOf(name);
  // `hold-out` is one word to whoever reads it.
  const joined = words.flatMap((word, i) => (partOf.has(word + (words[i + 1] ?? "")) ? [i] : []));
  for (const at of joined.reverse()) words.splice(at, 2, (words[at] as string) + (words[at + 1] ?? ""));
  const parts = new Set(words.flatMap((word) => partOf.get(word) ?? []));
  const [part] = parts;
  if (part === undefined || parts.size > 1) return null;
  return { part, rest: words.filter((word) => !partOf.has(word) && !isFiller(word)).join(" ") };
}

/**
 * Which of the folders beside each other are parts of a set. What a name says beyond its part must be said by all of
 * them (`asl_alphabet_train`, `asl_alphabet_test`): `bullet_train` beside `freight_train` are trains.
 */
export function partsAmong(names: readonly string[]): Map<string, Split | "unlabelled"> {
  const speaking = names.flatMap((name) => {
    const found = partIn(name);
    return found ? [{ name, ...found }] : [];
  });
  const rests = new Set(speaking.map(({ rest }) => rest));
  const [first = ""] = rests;
  const distinct = new Set(speaking.map(({ part }) => part)).size;
  const shared = (rest: string) =>
    rest === "" ||
    (rests.size === 1 && first === rest && distinct >= 2) ||
    (speaking.length === names.length && distinct === names.length);
  const accepted = speaking.filter(({ rest }) => shared(rest));
  const hasTest = accepted.some(({ part }) => part === "test");
  const splitFor = (part: Part): Split | "unlabelled" =>
    part === "evaluation" ? (hasTest ? "val" : "test") : part;
  return new Map(accepted.map(({ name, part }) => [name, splitFor(part)]));
}

/** The split that a cell of a table names; null when it names none. */
export function splitInCell(text: string): Split | null {
  const found = partIn(text);
  if (found?.rest !== "" || found.part === "unlabelled") return null;
  return found.part === "evaluation" ? "val" : found.part;
}

/** Extensions of files that hold many images, by how such a file is called. */
const containers: Record<string, string> = {
  tgz: "a tar archive",
  tar: "a tar archive",
  gz: "a gzip file",
  bz2: "a bzip2 file",
  xz: "an xz file",
  zst: "a zstd file",
  "7z": "a 7z archive",
  rar: "a RAR archive",
  zip: "a zip inside a zip",
  parquet: "a parquet table",
  arrow: "an Arrow table",
  tfrecord: "a TFRecord file",
  tfrecords: "a TFRecord file",
  h5: "an HDF5 file",
  hdf5: "an HDF5 file",
  npz: "a NumPy archive",
  npy: "a NumPy array",
  mat: "a MATLAB file",
  pkl: "a pickle",
  pickle: "a pickle",
  lmdb: "an LMDB database",
  mdb: "an LMDB database",
  beton: "an FFCV file",
};

/** What a file that may hold many images is, and whether unpacking gives them; null for any other file. */
export function containerOf(path: string): { what: string; unpack: boolean } | null {
  const name = path.slice(path.lastIndexOf("/") + 1).toLowerCase();
  if (/-ubyte(\.gz)?$/.test(name)) return { what: "an MNIST file", unpack: false };
  if (/\.tfrecord-\d+-of-\d+$/.test(name)) return { what: "a TFRecord file", unpack: false };
  const ending = name.slice(name.lastIndexOf(".") + 1);
  const what = name.includes(".") && Object.hasOwn(containers, ending) ? containers[ending] : undefined;
  if (what === undefined) return null;
  return { what, unpack: ["tgz", "tar", "gz", "bz2", "xz", "zst", "7z", "rar", "zip"].includes(ending) };
}

/** How boxes are written down, and the files that tell it. */
const boxFiles: { what: string; test: (path: string) => boolean }[] = [
  { what: "YOLO's text files", test: (path) => /(^|\/)labels\/(.*\/)?[^/]+\.txt$/i.test(path) },
  { what: "YOLO's text files", test: (path) => /(^|\/)(data|dataset)\.ya?ml$/i.test(path) },
  { what: "Pascal VOC's XML files", test: (path) => /\.xml$/i.test(path) },
  {
    what: "COCO's JSON",
    test: (path) => /(_annotations\.coco|(^|\/)(instances|annotations|coco|via)[^/]*)\.json$/i.test(path),
  },
  { what: "a table of boxes", test: (path) => /(^|\/)_annotations\.(csv|txt)$/i.test(path) },
];

/** How the boxes of an object detection set are written down beside its images; null where none are. */
export function boxesAmong(others: readonly string[]): string | null {
  return boxFiles.find(({ test }) => others.some(test))?.what ?? null;
}

/** Columns of a table, by what they are called. */
const columnWords = {
  label:
    "label labels class classes classname class_name category categories categoryname label_name labelname target y species breed diagnosis dx " +
    "disease variety cultivar type tag annotation etiqueta clase classe klasse étiquette 标签 类别 ラベル",
  split: "split set subset partition dataset data_set usage fold_name phase splits",
  ignored: "width height xmin ymin xmax ymax x1 y1 x2 y2 bbox boxes area size bytes md5 sha1 hash url",
};
const columns = Object.fromEntries(
  Object.entries(columnWords).map(([kind, words]) => [kind, new Set(words.split(" ").map(bare))]),
) as Record<keyof typeof columnWords, Set<string>>;

/** What a column is for by its name; null where the name does not say. */
export function columnRole(name: string): keyof typeof columnWords | null {
  const key = bare(name);
  for (const role of ["label", "split", "ignored"] as const) if (columns[role].has(key)) return role;
  return null;
}
