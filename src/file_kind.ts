// What a file is by its first bytes, where its name promises something else: a web page saved as a zip, a pointer in place
// of weights. It names; it reads nothing. What to do about each is for the room that wanted another file.

/** Bytes that `fileKind` needs. */
export const KIND_BYTES = 1024;

type Sign = (bytes: Uint8Array, text: string) => boolean;

const magic = (start: string): Sign => {
  const expected = [...start].map((letter) => letter.charCodeAt(0));
  return (bytes) => bytes.length >= expected.length && expected.every((byte, i) => bytes[i] === byte);
};
const text =
  (pattern: RegExp): Sign =>
  (_, start) =>
    pattern.test(start);

/** Each kind as a sentence names it, with its article, and its sign; the first that matches counts. */
const kinds = {
  lfs: ["a Git LFS pointer, which stands for a file that was not fetched", magic("version https://git-lfs")],
  annex: [
    "a pointer of git-annex, which stands for a file that was not fetched",
    text(/^(\.\.\/)*(\.git)?\/annex\/objects\//),
  ],
  page: ["a web page (HTML)", text(/^\s*<(!doctype html|!--|(html|head|body|script)\b)/i)],
  openvino: ["a network of OpenVINO", text(/<net\b/)],
  xml: ["an answer of a server in XML", text(/^\s*<(\?xml|Error>)/i)],
  refusal: [
    "the answer of a server that refused the download",
    text(
      /^\s*(\{\s*"(error|message|detail)"|(Invalid username|Access to model|Entry not found|Repository not found|Not Found|Unauthorized|Forbidden|404))/i,
    ),
  ],
  json: ["a text in JSON, as configurations are and servers answer", text(/^\s*\{\s*"/)],
  gzip: ["a gzip file (.gz or .tar.gz)", magic("\x1f\x8b")],
  bzip2: ["a bzip2 file (.bz2 or .tar.bz2)", magic("BZh")],
  xz: ["an xz file (.xz or .tar.xz)", magic("\xfd7zXZ\0")],
  zstd: ["a Zstandard file (.zst or .tar.zst)", magic("\x28\xb5\x2f\xfd")],
  lz4: ["an LZ4 file", magic("\x04\x22\x4d\x18")],
  sevenZip: ["a 7z archive", magic("7z\xbc\xaf\x27\x1c")],
  rar: ["a RAR archive", magic("Rar!\x1a\x07")],
  cabinet: ["a Windows cabinet (.cab)", magic("MSCF")],
  unixArchive: ["a Unix archive (.a or .deb)", magic("!<arch>")],
  tar: ["a tar archive", (_, start) => start.startsWith("ustar", 257)],
  zip: ["a zip", magic("PK\x03\x04")],
  gguf: ["a GGUF file, whose weights are packed for llama.cpp", magic("GGUF")],
  hdf5: ["an HDF5 file, as Keras and TensorFlow save weights", magic("\x89HDF")],
  // The format's version, then who wrote it.
  onnx: [
    "a network in ONNX",
    (bytes, start) =>
      bytes[0] === 0x08 &&
      (bytes[1] as number) <= 20 &&
      /^.{2,6}(pytorch|onnx|tf2onnx|skl2onnx|keras2onnx|paddle|CNTK)/s.test(start),
  ],
  tflite: ["a TensorFlow Lite network", (_, start) => start.startsWith("TFL3", 4)],
  npy: ["an array of numpy, without names", magic("\x93NUMPY")],
  flax: [
    "weights of Flax (msgpack)",
    ([first = 0, second = 0, , fourth = 0]) =>
      (first >> 4 === 8 && second >> 5 === 5) || (first === 0xde && fourth >> 5 === 5),
  ],
  parquet: ["a Parquet table", magic("PAR1")],
  sqlite: ["a database", magic("SQLite format 3\0")],
  pdf: ["a PDF document", magic("%PDF")],
  image: [
    "an image",
    (bytes, start) => /^(\x89PNG|\xff\xd8\xff|GIF8|RIFF....WEBP)/s.test(start) && bytes.length > 8,
  ],
  zeros: [
    "full of zeros at its start, as a download that never finished",
    (bytes) => bytes.length >= 64 && bytes.every((byte) => byte === 0),
  ],
} satisfies Record<string, [name: string, sign: Sign]>;

export type FileKind = keyof typeof kinds;

/** A kind in a sentence, with its article: "a RAR archive". */
export const kindName = (kind: FileKind): string => kinds[kind][0];

/** What a file is by its first `KIND_BYTES` bytes, or null where it is none of these. */
export function fileKind(start: Uint8Array): FileKind | null {
  const bytes = start.subarray(0, KIND_BYTES);
  // A mark of UTF-8 may stand before a text.
  const letters = String.fromCharCode(...bytes).replace(/^\xef\xbb\xbf/, "");
  for (const [kind, [, sign]] of Object.entries(kinds)) if (sign(bytes, letters)) return kind as FileKind;
  return null;
}
