// What a data set is to the rest of the house: a list of labelled image files with a report of what was found,
// and 8-bit pixels on demand.

export type Split = "train" | "val" | "test";

/** What a person says of a drop, above what its names say. */
export interface DataAnswers {
  /** How it is laid out: a `LayoutReading.layout`. */
  layout?: string;
  /** Of a drop of several domains, the folder of the one that is taken. */
  domain?: string;
  /** The encoding that names inside zips are written in. */
  encoding?: string;
}

/**
 * How folders say what an image shows.
 * classes: the topmost folders are classes · leaves: the innermost folders are · splits, split-leaves: the same, inside
 * split folders · classes-of-splits: each class folder holds split folders · domains: each top folder holds the same
 * classes, and one is taken · folds: parts of one set, taken together · table: a file of labels · names: file names
 */
export type LayoutKind =
  | "classes"
  | "leaves"
  | "splits"
  | "split-leaves"
  | "classes-of-splits"
  | "domains"
  | "folds"
  | "table"
  | "names";

/** One way to read a drop, in numbers and names; `layout_words.ts` says it in a sentence. */
export interface LayoutReading {
  /** What a person calls it by: the kind, of a table its column too, below another folder that folder's name. */
  layout: string;
  kind: LayoutKind;
  /** Classes, and the first few of them. */
  classes: number;
  examples: string[];
  /** Images with a class, and without. */
  images: number;
  left: number;
  /** Split folders and what each is taken for; null: nothing says what is in it, and it is left out. */
  splits: { folder: string; split: Split | null }[];
  /** One of which is taken. */
  domains: string[];
  /** Files and column that hold the labels. */
  table: { paths: string[]; column: string } | null;
}

/** Why a reading is in doubt. */
export type Doubt =
  | "same-classes" // every top folder holds the same folders: domains, or classes with parts
  | "nested" // folders with images lie in folders of different names
  | "some-splits" // some folders are named like splits, beside others that hold the same classes
  | "only-splits" // the only class folders are named like splits
  | "different-splits" // split folders share no class
  | "folds"
  | "masks" // images and masks lie side by side
  | "beside" // another folder lies beside the one that holds nearly everything
  | "table" // more columns than one could be the label, or rows are missing
  | "names"; // nothing but file names says it

/** How a drop was read, and how else it could be. */
export interface DataReading {
  taken: LayoutReading;
  domain: string | null;
  others: LayoutReading[];
}

/** What only the person knows: which reading is right, or which domain. */
export interface DataQuestion {
  doubt: Doubt;
  /** The likeliest first. */
  readings: LayoutReading[];
}

/** An encoding, and one of the names in a zip read by it. */
export interface NameChoice {
  /** A label, as `DataAnswers.encoding` takes it. */
  encoding: string;
  /** The encoding for people. */
  name: string;
  example: string;
}

/** How names in a zip were read that do not say their encoding. */
export interface NameReading extends NameChoice {
  sure: boolean;
  /** What else the names could be, the likeliest first. */
  others: NameChoice[];
}

export interface ImageItem {
  /** Path inside the drop, unique in the set. */
  path: string;
  /** Index into `classes`. */
  label: number;
  split: Split;
  /** The encoded file. Asked for when it is decoded, because a file inside a zip is inflated only then. */
  read(): Promise<Blob>;
}

/** A found thing the person should know of before training. */
export interface DataIssue {
  severity: "error" | "warning" | "note";
  /** One sentence: what, and what happens because of it. */
  text: string;
  /** Files it is about, at most 20. */
  paths: string[];
}

/** The part of a checkpoint's preprocessing that is done on 8-bit pixels; mean and std are applied on the device. */
export interface ResizeSpec {
  /** Exactly this size, or the shorter edge to this length (aspect kept). */
  resize: { mode: "exact"; height: number; width: number } | { mode: "shortest"; edge: number };
  crop: { height: number; width: number } | null;
  interpolation: "nearest" | "bilinear" | "bicubic" | "lanczos";
}

/** Classes and images of one drop, after hidden files, nesting and splits are sorted out. */
export interface ImageSet {
  name: string;
  classes: string[];
  items: ImageItem[];
  /** How the splits came about, for the person: from folders, or drawn with a seed. */
  splitOrigin: "folders" | "drawn" | "none";
  issues: DataIssue[];
  /** Null where classes do not matter, or images are made and not found. */
  reading: DataReading | null;
  /** How names in its zips were read; absent where they say how themselves. */
  names?: NameReading;
}

/** A set's images as the network's input. */
export interface Pixels {
  /** [n, H, W, 3] bytes of the images asked for, in their order. */
  pixels(
    indices: readonly number[],
    augmentation?: { kind: "none" | "flip" | "crop-flip"; seed: number; epoch: number },
  ): Promise<Uint8Array<ArrayBuffer>>;
  /** Whether an image can be read; decodes it where nothing is known of it yet. */
  readable(index: number): Promise<boolean>;
  /** Images known by now to be unreadable, in the set's order. */
  readonly unreadable: readonly Unreadable[];
  /** What there is to say of images that cannot be read. */
  issues(): DataIssue[];
}

/** An image that could not be decoded. */
export interface Unreadable {
  index: number;
  path: string;
  /** The decoder's sentence. */
  reason: string;
}

/** 8-bit RGB pixels, row-major, 3 bytes a pixel, EXIF orientation applied, transparency over white. */
export interface RgbImage {
  width: number;
  height: number;
  data: Uint8Array<ArrayBuffer>;
  /** Of a file of 16 bits a channel whose values use fewer: how many, 8 or 12. It was scaled by them. */
  bits?: number;
}

/** What is made of a decoded image: the network's input, or the larger picture that random crops are taken from. */
export interface ImageCut {
  kind: "input" | "crop-source";
  spec: ResizeSpec;
}

/** Turns an encoded image into pixels; the browser and Node each bring their own. Throws Failure on a corrupt or oversized file. */
export interface DecodeImage {
  (blob: Blob, path: string): Promise<RgbImage>;
  /** Decodes and cuts beside this thread, where that can be. */
  cut?(blob: Blob, path: string, cut: ImageCut): Promise<RgbImage>;
}
