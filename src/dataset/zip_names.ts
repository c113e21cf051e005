// In which encoding the names in a zip are. Zips from before 2007, and those that Windows still makes, name their files
// in whatever encoding the computer used, and do not say which. It is decided over all names of an archive at once: of
// the encodings in which every name is valid, the one whose letters are likeliest, in bits, by how often some language
// uses them. Where another one comes near, that is said, and the choice is the person's.
import { Failure } from "../failure.ts";
import { dosLetters } from "./dos_letters.ts";
import type { NameChoice, NameReading } from "./types.ts";
import { type LetterTable, letterTables } from "./zip_letters.ts";

interface Encoding {
  /** For TextDecoder, or a code page of `dosLetters`. */
  label: string;
  /** For people. */
  name: string;
  /** Languages that are written in it. */
  languages: readonly string[];
  /** Bits it starts behind: how seldom zips have it. */
  rare: number;
}

const western = ["de", "fr", "es", "pt", "it", "nl", "sv", "da", "no", "fi", "is", "et"];
const central = ["pl", "cs", "sk", "hu", "hr", "ro", "de"];
const cyrillic = ["ru", "uk", "bg", "sr"];

/** Of two that give the same names the first one counts. */
const encodings: readonly Encoding[] = [
  { label: "utf-8", name: "UTF-8", languages: letterTables.map((one) => one.language), rare: -12 },
  { label: "windows-1252", name: "Windows-1252 (western European)", languages: western, rare: 0 },
  { label: "cp437", name: "DOS 437 (western)", languages: western, rare: 0 },
  { label: "cp850", name: "DOS 850 (western European)", languages: western, rare: 0 },
  { label: "shift_jis", name: "Shift-JIS (Japanese)", languages: ["ja"], rare: 0 },
  { label: "gb18030", name: "GBK (simplified Chinese)", languages: ["zh-Hans"], rare: 0 },
  { label: "big5", name: "Big5 (traditional Chinese)", languages: ["zh-Hant"], rare: 0 },
  { label: "euc-kr", name: "EUC-KR (Korean)", languages: ["ko"], rare: 0 },
  { label: "ibm866", name: "DOS 866 (Cyrillic)", languages: cyrillic, rare: 0 },
  { label: "windows-1251", name: "Windows-1251 (Cyrillic)", languages: cyrillic, rare: 1 },
  { label: "cp852", name: "DOS 852 (central European)", languages: central, rare: 1 },
  { label: "windows-1250", name: "Windows-1250 (central European)", languages: central, rare: 1 },
  { label: "koi8-u", name: "KOI8 (Cyrillic)", languages: cyrillic, rare: 3 },
  { label: "euc-jp", name: "EUC-JP (Japanese)", languages: ["ja"], rare: 4 },
  { label: "cp737", name: "DOS 737 (Greek)", languages: ["el"], rare: 2 },
  { label: "windows-1253", name: "Windows-1253 (Greek)", languages: ["el"], rare: 2 },
  { label: "cp857", name: "DOS 857 (Turkish)", languages: ["tr"], rare: 2 },
  { label: "windows-1254", name: "Windows-1254 (Turkish)", languages: ["tr"], rare: 2 },
  { label: "cp862", name: "DOS 862 (Hebrew)", languages: ["he"], rare: 2 },
  { label: "windows-1255", name: "Windows-1255 (Hebrew)", languages: ["he"], rare: 2 },
  { label: "cp720", name: "DOS 720 (Arabic)", languages: ["ar"], rare: 3 },
  { label: "windows-1256", name: "Windows-1256 (Arabic)", languages: ["ar", "fa"], rare: 2 },
  { label: "windows-874", name: "Windows-874 (Thai)", languages: ["th"], rare: 2 },
  { label: "cp775", name: "DOS 775 (Baltic)", languages: ["lt", "lv", "et"], rare: 3 },
  { label: "windows-1257", name: "Windows-1257 (Baltic)", languages: ["lt", "lv", "et"], rare: 2 },
  { label: "windows-1258", name: "Windows-1258 (Vietnamese)", languages: ["vi"], rare: 3 },
  { label: "iso-8859-2", name: "ISO 8859-2 (central European)", languages: central, rare: 4 },
  { label: "macintosh", name: "Macintosh (western)", languages: western, rare: 5 },
  { label: "x-mac-cyrillic", name: "Macintosh (Cyrillic)", languages: cyrillic, rare: 6 },
];

/** Labels and names of the encodings that can be chosen. */
export const encodingChoices: readonly { label: string; name: string }[] = encodings;

/** Words that people have for some of them. */
const aliases = new Map([
  ["gbk", "gb18030"],
  ["gb2312", "gb18030"],
  ["cp936", "gb18030"],
  ["sjis", "shift_jis"],
  ["shift-jis", "shift_jis"],
  ["cp932", "shift_jis"],
  ["cp949", "euc-kr"],
  ["cp950", "big5"],
  ["cp866", "ibm866"],
  ["koi8-r", "koi8-u"],
  ["utf8", "utf-8"],
  ["latin1", "windows-1252"],
  ["iso-8859-1", "windows-1252"],
]);

/**
 * The encoding that a person named.
 * @throws Failure `bad-recipe` with all that there are
 */
export function findEncoding(word: string): string {
  const given = word.trim().toLowerCase();
  const plain = given.replace(/^cp(?=125\d$)/, "windows-").replace(/^(ibm|dos[ -]?)(?=\d)/, "cp");
  for (const label of [given, plain]) {
    const found = aliases.get(label) ?? label;
    if (encodings.some((one) => one.label === found)) return found;
  }
  throw new Failure({
    code: "bad-recipe",
    what: `"${word}" is no encoding that names in a zip are read by.`,
    remedy: `Choose one of ${encodings.map((one) => one.label).join(", ")}.`,
  });
}

const encodingName = (label: string): string => encodings.find((one) => one.label === label)?.name ?? label;

/** Decodes in an encoding of `encodings`; what is none of its letters becomes U+FFFD. */
export function decoderOf(label: string): (bytes: Uint8Array) => string {
  const letters = dosLetters.get(label);
  if (!letters) {
    const decoder = new TextDecoder(label, { ignoreBOM: true });
    return (bytes) => decoder.decode(bytes);
  }
  const table = Array.from({ length: 256 }, (_, byte) =>
    byte < 128 ? String.fromCharCode(byte) : (letters[byte - 128] as string),
  );
  return (bytes) => {
    let text = "";
    for (const byte of bytes) text += table[byte] as string;
    return text;
  };
}

/** Bytes of names that are looked at letter by letter. */
const SAMPLE = 24 * 1024;
/** A reading is sure where it is this many bits likelier than every other: a thousand to one. */
const SURE = 10;
/** The same against a reading of half as many letters: pairs of bytes that are all letters are no chance, and in another
 *  encoding each pair is two of a language's commonest ones. */
const SURE_OF_MORE = 30;
/** Readings more bits behind than this are no choice to offer. */
const HOPELESS = 60;
const MAX_OTHERS = 12;

/** What is told of names, and how it came about. */
interface Scored {
  encoding: Encoding;
  text: string;
  bits: number;
}

/**
 * Decides over all names of an archive that do not say what they are.
 * @param names parts of names between slashes, each once, folders first, with a byte above 127 each
 */
export function readNames(names: readonly Uint8Array[]): NameReading {
  const all = joined(names);
  const sample = joined(firstOf(names, SAMPLE));
  const scored: Scored[] = [];
  for (const encoding of encodings) {
    const decode = decoderOf(encoding.label);
    if (decode(all).includes("\ufffd")) continue;
    const text = decode(sample);
    const bits = bitsOf(text, encoding);
    // Two that give the same names are one, in whatever language.
    const same = sample.length === all.length ? scored.find((one) => one.text === text) : undefined;
    if (same) same.bits = Math.min(same.bits, bits);
    else scored.push({ encoding, text, bits });
  }
  scored.sort((a, b) => a.bits - b.bits);
  // Windows-1256 gives every byte a letter, so that there is always one.
  const [best, ...rest] = scored as [Scored, ...Scored[]];
  const whole = (one: Scored) =>
    sample.length === all.length ? one.text : decoderOf(one.encoding.label)(all);
  const margin = (one: Scored) => (one.text.length < best.text.length ? SURE_OF_MORE : SURE);
  const sure = !rest.some((one) => one.bits - best.bits < margin(one) && whole(one) !== whole(best));
  // Where it is sure, whoever knows better still has all of them.
  const near = rest.filter(({ bits }) => sure || bits - best.bits < HOPELESS).slice(0, MAX_OTHERS);
  const lines = best.text.split("\n");
  const next = near[0]?.text.split("\n") ?? [];
  // The first name that tells the readings apart.
  const shown = Math.max(
    0,
    lines.findIndex((line, i) => line !== next[i]),
  );
  const choice = ({ encoding, text }: Scored): NameChoice => ({
    encoding: encoding.label,
    name: encoding.name,
    example: text.split("\n")[shown] as string,
  });
  return {
    ...choice(best),
    sure,
    others: near.map(choice),
  };
}

/** The names read in an encoding that a person chose. */
export function readNamesAs(names: readonly Uint8Array[], encoding: string): NameReading {
  const read = readNames(names);
  const all: NameChoice[] = [
    { encoding: read.encoding, name: read.name, example: read.example },
    ...read.others,
  ];
  const example = decoderOf(encoding)(names[0] as Uint8Array);
  const others = all.filter((one) => one.encoding !== encoding);
  return { encoding, name: encodingName(encoding), example, sure: true, others };
}

/** Names with a line break behind each: no second byte of any encoding is one. */
function joined(names: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(names.reduce((sum, name) => sum + name.length + 1, 0)).fill(10);
  let at = 0;
  for (const name of names) {
    bytes.set(name, at);
    at += name.length + 1;
  }
  return bytes;
}

function firstOf(names: readonly Uint8Array[], most: number): readonly Uint8Array[] {
  let sum = 0;
  const end = names.findIndex((name, i) => {
    sum += name.length + 1;
    return i > 0 && sum > most;
  });
  return end < 0 ? names : names.slice(0, end);
}

// --- How likely a text is ---------------------------------------------------------------------------------------

/** Bits of a text in the language of this encoding that suits it best; ASCII costs the same in all. */
function bitsOf(text: string, { languages, rare }: Encoding): number {
  // Each part once, however many files lie in a folder: the same letters again tell nothing new.
  const parts = new Set(text.split(/[\n\\]/));
  const codes = Array.from([...parts].filter(hasMore).join("\n"), (char) => char.codePointAt(0) as number);
  let least = Number.POSITIVE_INFINITY;
  for (const language of languages) least = Math.min(least, languageBits(codes, language, least));
  return least + rare;
}

/** Bits of letters that no table has, and of what is no letter. */
const cost = {
  ascii: 5,
  rareAscii: 9,
  punctuation: 11,
  symbol: 15,
  box: 20,
  foreign: 17,
  common: 15,
  uncommon: 21,
  nothing: 40,
} as const;

function languageBits(codes: readonly number[], language: string, limit: number): number {
  const { letters, pairs } = tableOf(language);
  const common = commonOf(language);
  let bits = 0;
  /** The row of `pairs` for the letter before; 0: no letter. */
  let row = 0;
  /** What stood before: no letter, or one of a case, or one that has none. */
  let before: "none" | "small" | "capital" | "plain" = "none";
  /** The script of the letter before. */
  let script: "none" | "latin" | "other" = "none";
  for (const code of codes) {
    if (bits > limit) return bits;
    const char = String.fromCodePoint(code);
    const lower = char.toLowerCase();
    const isCapital = lower !== char;
    const known = letters.get(lower);
    const isLetter = known !== undefined || isLetterLike(char);
    const here = !isLetter ? "none" : isLatin(code) ? "latin" : "other";
    // Scripts hardly mix within a word.
    if (here !== script && here !== "none" && script !== "none") bits += 4;
    const column = pairs?.index.get(lower) ?? 0;
    if (code < 128) {
      if (pairs && column > 0) bits += pairs.bits(row, column);
      else bits += isPlainAscii(code) ? cost.ascii : code < 32 && code !== 10 ? cost.nothing : cost.rareAscii;
      // That a word ends costs about 2 bits in any language.
      if (pairs && row > 0 && column === 0) bits += Math.max(0, pairs.bits(row, 0) - 2);
    } else {
      // Capitals stand first or among capitals.
      if (isCapital) bits += before === "small" ? 7 : 2;
      else if (before === "capital" && isCased(char)) bits += 1;
      if (known === undefined) bits += strangeBits(code, char, common, isLetter);
      else bits += pairs ? pairs.bits(row, column) : known;
    }
    row = column;
    script = here;
    before = !isLetter ? "none" : isCapital ? "capital" : isCased(char) ? "small" : "plain";
  }
  return bits;
}

const hasMore = (text: string) => /[^\0-\x7f]/.test(text);
const isLetterLike = (char: string) => /\p{L}|\p{M}/u.test(char);
const isLatin = (code: number) => code < 0x250 || (code >= 0x1e00 && code < 0x1f00);
const isCased = (char: string) => char.toUpperCase() !== char.toLowerCase();
const isPlainAscii = (code: number) =>
  (code >= 97 && code <= 122) ||
  (code >= 65 && code <= 90) ||
  (code >= 48 && code <= 57) ||
  " _-.,()'&+!\n".includes(String.fromCharCode(code));

/** Bits of what stands in no table of the language. */
function strangeBits(code: number, char: string, common: ReadonlySet<string>, isLetter: boolean): number {
  if (common.has(char)) return cost.common;
  if (code < 0xa0 || code === 0xad || /[\p{Cn}\p{Co}\p{Cs}]/u.test(char)) return cost.nothing;
  if (code >= 0x2500 && code < 0x25a0) return cost.box;
  if (code >= 0x4e00 && code < 0xa000) return cost.uncommon;
  if (code >= 0xac00 && code < 0xd7b0) return cost.uncommon;
  if (isLetter) return cost.foreign;
  if ("–—‘’“”·・、。「」（）！～〜　".includes(char)) return cost.punctuation;
  return cost.symbol;
}

interface Language {
  /** Bits of each letter. */
  letters: ReadonlyMap<string, number>;
  /** Bits of a letter behind another one, by their numbers in `index`; 0 is what is no letter. */
  pairs: { index: ReadonlyMap<string, number>; bits(before: number, letter: number): number } | null;
}

const languages = new Map<string, Language>();

function tableOf(name: string): Language {
  const known = languages.get(name);
  if (known) return known;
  const { from, groups, latin, pairs } = letterTables.find(
    ({ language }) => language === name,
  ) as LetterTable;
  const letters = new Map<string, number>();
  const index = new Map<string, number>();
  if (latin) for (const one of "abcdefghijklmnopqrstuvwxyz") index.set(one, index.size + 1);
  for (const [i, group] of groups.split(" ").entries()) {
    for (const one of group) {
      letters.set(one, from + i);
      index.set(one, index.size + 1);
    }
  }
  const side = index.size + 1;
  const language: Language = {
    letters,
    pairs: pairs ? { index, bits: (a, b) => Number.parseInt(pairs[a * side + b] as string, 16) } : null,
  };
  languages.set(name, language);
  return language;
}

/** Where each language's standard has its common characters, as first bytes of two: 94 letters each. */
const commonRows: Record<string, [label: string, from: number, to: number]> = {
  "zh-Hans": ["gb18030", 0xb0, 0xd7],
  "zh-Hant": ["big5", 0xa4, 0xc6],
  ja: ["euc-jp", 0xa4, 0xcf],
  ko: ["euc-kr", 0xb0, 0xc8],
};
const commons = new Map<string, ReadonlySet<string>>();

function commonOf(language: string): ReadonlySet<string> {
  const known = commons.get(language);
  if (known) return known;
  const [label, from, to] = commonRows[language] ?? ["", 1, 0];
  const set = new Set<string>();
  for (let first = from; first <= to; first++) {
    for (let second = label === "big5" ? 0x40 : 0xa1; second < 0xff; second++) {
      const char = decoderOf(label)(Uint8Array.of(first, second));
      if (char.length === 1 && char !== "\ufffd") set.add(char);
    }
  }
  commons.set(language, set);
  return set;
}
