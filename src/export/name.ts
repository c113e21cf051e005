// What an export is called: model, data and method, in letters that every file system and shell takes.

export interface ExportNameParts {
  model: string;
  data: string;
  method: string;
  /** Blocks that are open, of all; where a method has none to choose, all is 0. */
  open: number;
  gates: number;
}

/** Most bytes of a part in UTF-8, so that a name of three and its ending stay below the 255 that file systems take. */
const MOST = 60;

/** A word's letters and digits, of any script, in small letters, joined by `-`. */
function plain(word: string, instead: string): string {
  const joined = word
    .normalize("NFKC")
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}]+/gu, "-");
  let cut = "";
  let bytes = 0;
  for (const letter of joined) {
    bytes += new TextEncoder().encode(letter).length;
    if (bytes > MOST) break;
    cut += letter;
  }
  return cut.replace(/^-+|-+$/g, "") || instead;
}

/** A name such as `deit-tiny-clothing-selective-2of24`, without an ending. */
export function exportName({ model, data, method, open, gates }: ExportNameParts): string {
  const blocks = gates > 0 ? [`${open}of${gates}`] : [];
  return [plain(model, "model"), plain(data, "data"), plain(method, "run"), ...blocks].join("-");
}
