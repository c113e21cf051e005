// What a file is by its first bytes, for files whose name promises something else: a web page saved as a zip, an archive
// of another kind under a zip's name. It names; it reads nothing.

export interface FileKind {
  /** With its article: "a RAR archive". */
  name: string;
  /** What a person can do about it. */
  remedy: string;
}

/** Bytes that `fileKind` needs. */
export const KIND_BYTES = 512;

const UNPACK = "Unpack it first, and choose the folder.";

interface Sign extends FileKind {
  matches(text: string): boolean;
}

/** A kind that begins with these bytes, written as characters. */
const starting = (start: string, name: string, remedy = UNPACK): Sign => ({
  name,
  remedy,
  matches: (text) => text.startsWith(start),
});

const signs: readonly Sign[] = [
  starting("\x1f\x8b", "a gzip file (.gz or .tar.gz)"),
  starting("Rar!\x1a\x07", "a RAR archive"),
  starting("7z\xbc\xaf\x27\x1c", "a 7z archive"),
  starting("\xfd7zXZ\0", "an xz file (.xz or .tar.xz)"),
  starting("BZh", "a bzip2 file (.bz2 or .tar.bz2)"),
  starting("\x28\xb5\x2f\xfd", "a Zstandard file (.zst or .tar.zst)"),
  starting("\x04\x22\x4d\x18", "an LZ4 file"),
  starting("MSCF", "a Windows cabinet (.cab)"),
  starting("!<arch>", "a Unix archive (.a or .deb)"),
  {
    name: "a tar archive",
    remedy: UNPACK,
    matches: (text) => text.startsWith("ustar", 257),
  },
  starting("PAR1", "a Parquet table", "Export its images into one folder for each class."),
  starting("SQLite format 3\0", "a database", "Export its images into one folder for each class."),
  starting("%PDF-", "a PDF document", "Choose the file that was meant."),
  starting(
    "version https://git-lfs",
    "a Git LFS pointer, which stands for a file that was not fetched",
    "Fetch the file (git lfs pull), and choose it again.",
  ),
  {
    name: "a web page (HTML), as is saved when a download first asks to confirm or to sign in",
    remedy: "Open its address in a browser, download the file from there, and choose that.",
    matches: (text) =>
      /^(\xef\xbb\xbf)?\s*(<!--[\s\S]*?-->\s*)?<(!doctype html|html|head|body|script)\b/i.test(text),
  },
  {
    name: "a message of a server (XML or JSON)",
    remedy: "Open it to read what the server said, download the file again, and choose that.",
    matches: (text) => /^(\xef\xbb\xbf)?\s*(<\?xml|\{\s*"|<Error)/i.test(text),
  },
];

/** What a file is by its first `KIND_BYTES` bytes, or null where it is none of these. */
export function fileKind(start: Uint8Array): FileKind | null {
  const text = String.fromCharCode(...start.subarray(0, KIND_BYTES));
  const found = signs.find((sign) => sign.matches(text));
  return found ? { name: found.name, remedy: found.remedy } : null;
}
