// The directory of a zip and the bytes of what it lists, for sets of images and for PyTorch's files.
//
// Own code and no library: @zip.js/zip.js takes 10 KB of memory an entry (2 GB for 200,000 images), gives names only
// after it has decoded them one by one (an encoding can only be told from all of them), and moves the directory by the
// 76 bytes of zip64's records wherever the first entry's header happens to have 76. Here an entry costs its name and 50
// bytes in columns. Nothing a zip says is believed: counts, places, sizes and checksums are bounded or checked, and
// entries that lie over one another, as in zip bombs, are refused before anything is inflated.
import { Failure } from "./failure.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Where a zip's bytes come from. */
export interface ByteSource {
  size: number;
  /** The bytes from `begin` up to `end`, both within the size. */
  read(begin: number, end: number): Promise<Bytes>;
  /** The same bytes, not read yet. */
  slice(begin: number, end: number): Blob;
}

/** Where each packing's number comes from: APPNOTE.TXT 4.4.5. Only the first two are read. */
const PACKINGS = new Map([
  [0, "Store"],
  [8, "Deflate"],
  [1, "Shrink"],
  [2, "Reduce"],
  [3, "Reduce"],
  [4, "Reduce"],
  [5, "Reduce"],
  [6, "Implode"],
  [9, "Deflate64"],
  [10, "PKWARE Implode"],
  [12, "bzip2"],
  [14, "LZMA"],
  [16, "CMPSC"],
  [18, "TERSE"],
  [19, "LZ77"],
  [20, "zstd"],
  [93, "zstd"],
  [94, "MP3"],
  [95, "xz"],
  [96, "JPEG"],
  [97, "WavPack"],
  [98, "PPMd"],
  [99, "AES"],
]);

export interface ZipEntry {
  /** The name's bytes as they stand, or in UTF-8 where the zip gives it so beside them. */
  name: Uint8Array;
  /** Whether the zip says that the name is UTF-8. */
  utf8: boolean;
  kind: "file" | "folder" | "link";
  /** What it is packed by, or null for Store and Deflate, which are read. */
  packing: string | null;
  encrypted: boolean;
  /** Whether its bytes lie in the zip as they are. */
  stored: boolean;
  /** Whether it was made by a program for DOS or Windows, whose names cannot hold a backslash. */
  dos: boolean;
  /** Bytes when unpacked, as the zip says. */
  size: number;
  compressedSize: number;
  crc32: number;
}

export interface ZipOptions {
  /** Names the zip in a Failure. */
  where: string;
  /** What a person can do about a damaged one. */
  remedy: string;
  /** Most entries that are listed. */
  maxEntries: number;
}

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
/** Opens the first part of a zip that was split. */
const SPLIT = 0x08074b50;
const MAX16 = 0xffff;
const MAX32 = 0xffffffff;
/** Bytes after the end of a zip that are passed over, beside a comment's 65,535. */
const MAX_JUNK = 65_536;
/** Places that look like the end of a zip, looked into at most. */
const MAX_ENDS = 16;
/** Bytes of one read of the directory. */
const WINDOW = 1024 ** 2;
/** Bytes of all names together. */
const MAX_NAMES = 128 * 1024 ** 2;
/** Packed bytes given to the inflater at once: they make at most 1032 times as many before those are counted. */
const PIECE = 16 * 1024;

export function blobSource(blob: Blob, where: string): ByteSource {
  return {
    size: blob.size,
    slice: (begin, end) => blob.slice(begin, end),
    async read(begin, end) {
      try {
        return new Uint8Array(await blob.slice(begin, end).arrayBuffer());
      } catch (cause) {
        throw new Failure(
          {
            code: "bad-file",
            what: "The file can no longer be read: it was changed, moved or is not permitted.",
            where,
            remedy: "Choose it once more.",
          },
          { cause },
        );
      }
    },
  };
}

/** A source whose reads ask no other process, as those of a Blob do in a browser. */
export function memorySource(bytes: Bytes): ByteSource {
  return {
    size: bytes.length,
    slice: (begin, end) => new Blob([bytes.subarray(begin, end)]),
    read: async (begin, end) => bytes.subarray(begin, end),
  };
}

/**
 * Reads where everything in a zip is, and inflates nothing.
 * @throws Failure `bad-file`: no zip, cut off, damaged, one part of several, with its names encrypted, too many entries,
 *   or entries that lie over one another or outside the file
 */
export async function readZipDirectory(source: ByteSource, options: ZipOptions): Promise<ZipDirectory> {
  const refuse = refusals(options);
  if (source.size === 0) throw refuse("The file is empty (0 bytes).");
  const from = Math.max(0, source.size - 22 - MAX16 - MAX_JUNK);
  const tail = await source.read(from, source.size);
  const first = new DataView((await source.read(0, Math.min(8, source.size))).slice().buffer);
  const starts = first.byteLength >= 4 ? first.getUint32(0, true) : 0;
  if (starts === SPLIT && first.byteLength === 8 && first.getUint32(4, true) === LOCAL) {
    const whole = endsOf(tail).some(({ disks }) => !disks);
    if (!whole) throw splitZip(options.where, "the first part");
  }
  let problem: Failure | null = null;
  for (const end of endsOf(tail)) {
    try {
      if (end.disks) throw splitZip(options.where, "the last part");
      return await readFrom(source, tail, from, end.at, starts, options);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      problem ??= error;
    }
  }
  if (problem) throw problem;
  throw starts === LOCAL
    ? refuse("The file is cut off: its end, with the list of what is in it, is missing.")
    : refuse("This is not a zip.");
}

function refusals({ where, remedy }: ZipOptions) {
  return (what: string, otherRemedy = remedy) =>
    new Failure({ code: "bad-file", what, where, remedy: otherRemedy });
}

const splitZip = (where: string, part: string): Failure =>
  new Failure({
    code: "bad-file",
    what: `This is ${part} of a zip that was split into several files (.z01, .z02 …, .zip).`,
    where,
    remedy: "Unpack it with all parts in one folder, or join them: zip -s 0 split.zip --out whole.zip.",
  });

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** Places in the last bytes that look like the end of a zip: those that end with the file first, then from the back. */
function endsOf(tail: Uint8Array): { at: number; disks: boolean }[] {
  const data = view(tail);
  const found: { at: number; disks: boolean; exact: boolean }[] = [];
  for (let at = tail.length - 22; at >= 0 && found.length < MAX_ENDS; at--) {
    if (tail[at] !== 0x50 || data.getUint32(at, true) !== END) continue;
    const rest = tail.length - at - 22 - data.getUint16(at + 20, true);
    if (rest < 0 || rest > MAX_JUNK) continue;
    // More of a zip behind it: it is the end of a zip within this one.
    const next = tail.length - rest;
    if (rest >= 4 && [LOCAL, CENTRAL, END, END64, SPLIT].includes(data.getUint32(next, true))) continue;
    const disk = data.getUint16(at + 4, true);
    const here = data.getUint16(at + 8, true);
    const disks = (disk !== 0 && disk !== MAX16) || here !== data.getUint16(at + 10, true);
    found.push({ at, disks, exact: rest === 0 });
  }
  return found.sort((a, b) => Number(b.exact) - Number(a.exact));
}

/** What the record at the end says of the directory. */
interface End {
  count: number;
  /** Whether the count is one of 64 bits; in 16 bits, more are counted from 0 again by some programs. */
  exact: boolean;
  size: number;
  offset: number;
  /** Where the records at the end begin. */
  at: number;
}

async function readEnd(
  source: ByteSource,
  tail: Uint8Array,
  from: number,
  at: number,
  options: ZipOptions,
): Promise<End> {
  const data = view(tail);
  const end: End = {
    count: data.getUint16(at + 10, true),
    exact: false,
    size: data.getUint32(at + 12, true),
    offset: data.getUint32(at + 16, true),
    at: from + at,
  };
  const locator = at - 20;
  if (locator < 0 || data.getUint32(locator, true) !== LOCATOR64) return end;
  if (data.getUint32(locator + 16, true) > 1) throw splitZip(options.where, "the last part");
  // Where it says, or right before, which is where it is when something was put before the zip.
  const said = Number(data.getBigUint64(locator + 8, true));
  for (const place of [said, from + locator - 56]) {
    if (!(place >= 0 && place + 56 <= from + locator)) continue;
    const record = view(await source.read(place, place + 56));
    if (record.getUint32(0, true) !== END64) continue;
    const wide = (offset: number) => Number(record.getBigUint64(offset, true));
    return {
      count: end.count === MAX16 ? wide(32) : end.count,
      exact: end.count === MAX16,
      size: end.size === MAX32 ? wide(40) : end.size,
      offset: end.offset === MAX32 ? wide(48) : end.offset,
      at: place,
    };
  }
  return end;
}

async function readFrom(
  source: ByteSource,
  tail: Uint8Array,
  from: number,
  at: number,
  starts: number,
  options: ZipOptions,
): Promise<ZipDirectory> {
  const refuse = refusals(options);
  const end = await readEnd(source, tail, from, at, options);
  if (end.count > options.maxEntries) throw tooMany(options);
  // The directory ends where the records of the end begin, whatever was put before the zip; places count from the zip's
  // own start or from the file's.
  const start = end.at - end.size;
  const shift = start - end.offset;
  // An archive whose first file is not in its list is the last of several, or the inside of one that was cut off.
  const other = starts === LOCAL && (shift > 0 || end.count === 0);
  const entries =
    start < 0 || shift < 0 || other ? null : await readEntries(source, start, end.at, end, options);
  if (!entries || !(await beginsAt(source, entries, shift)))
    throw refuse("The file is cut off or damaged: the list of what is in it is not where it should be.");
  settle(entries, shift, start, options);
  return new ZipDirectory(source, entries, options);
}

const tooMany = (options: ZipOptions) =>
  refusals(options)(
    `The zip holds more than ${options.maxEntries.toLocaleString("en")} files.`,
    "Unpack it and choose the folder, or choose fewer files.",
  );

/** Entries in columns. */
interface Columns {
  count: number;
  /** All names, one after the other; `nameEnds` says where each ends. */
  names: Uint8Array;
  nameEnds: Uint32Array;
  flags: Uint16Array;
  methods: Uint16Array;
  kinds: Uint8Array;
  crcs: Uint32Array;
  sizes: Float64Array;
  compressedSizes: Float64Array;
  offsets: Float64Array;
  /** Where the next thing in the file begins. */
  limits: Float64Array;
}

const KINDS = ["file", "folder", "link"] as const;
/** Added to a kind. */
const DOS = 4;
const ENCRYPTED = 1 | 64;
const UTF8 = 1 << 11;
const HIDDEN_NAMES = 1 << 13;

/** The records of a directory; null where it is none. */
async function readEntries(
  source: ByteSource,
  begin: number,
  end: number,
  { count: said, exact }: End,
  options: ZipOptions,
): Promise<Columns | null> {
  // Where the count has wrapped round, the records tell; each has 46 bytes or more.
  const room = Math.min(options.maxEntries + 1, exact ? said : Math.floor((end - begin) / 46));
  const columns: Columns = {
    count: 0,
    names: new Uint8Array(Math.min(room * 32, MAX_NAMES)),
    nameEnds: new Uint32Array(room),
    flags: new Uint16Array(room),
    methods: new Uint16Array(room),
    kinds: new Uint8Array(room),
    crcs: new Uint32Array(room),
    sizes: new Float64Array(room),
    compressedSizes: new Float64Array(room),
    offsets: new Float64Array(room),
    limits: new Float64Array(room),
  };
  let window = new Uint8Array(0);
  let windowAt = begin;
  /** The `length` bytes at `place`; null past the directory's end. */
  const bytesAt = async (place: number, length: number): Promise<Uint8Array | null> => {
    if (place + length > end) return null;
    if (place < windowAt || place + length > windowAt + window.length) {
      windowAt = place;
      window = await source.read(place, Math.min(end, place + Math.max(length, WINDOW)));
    }
    return window.subarray(place - windowAt, place - windowAt + length);
  };
  for (let at = begin; at < end; ) {
    const fixed = await bytesAt(at, 46);
    if (!fixed || view(fixed).getUint32(0, true) !== CENTRAL) break;
    const head = view(fixed);
    const nameLength = head.getUint16(28, true);
    const extraLength = head.getUint16(30, true);
    const length = 46 + nameLength + extraLength + head.getUint16(32, true);
    const record = await bytesAt(at, length);
    if (!record) return null;
    if (columns.count >= options.maxEntries) throw tooMany(options);
    if (columns.count >= room) return null;
    addEntry(columns, record, nameLength, extraLength, options);
    at += length;
  }
  const matches = exact ? columns.count === said : (columns.count & MAX16) === (said & MAX16);
  return matches ? columns : null;
}

function addEntry(
  columns: Columns,
  record: Uint8Array,
  nameLength: number,
  extraLength: number,
  options: ZipOptions,
): void {
  const data = view(record);
  const i = columns.count++;
  const raw = record.subarray(46, 46 + nameLength);
  const extra = record.subarray(46 + nameLength, 46 + nameLength + extraLength);
  const unicode = unicodeName(extra, raw);
  const flags = data.getUint16(8, true);
  if (flags & HIDDEN_NAMES) throw encryptedNames(options);
  addName(columns, i, unicode ?? raw, options);
  columns.flags[i] = unicode ? flags | UTF8 : flags;
  columns.methods[i] = data.getUint16(10, true);
  columns.crcs[i] = data.getUint32(16, true);
  let compressedSize = data.getUint32(20, true);
  let size = data.getUint32(24, true);
  let offset = data.getUint32(42, true);
  // Only those that do not fit are there, in this order.
  const wide = extraField(extra, 1);
  if (wide) {
    let at = 0;
    const next = (value: number) => {
      if (value !== MAX32 || at + 8 > wide.length) return value;
      at += 8;
      return Number(view(wide).getBigUint64(at - 8, true));
    };
    size = next(size);
    compressedSize = next(compressedSize);
    offset = next(offset);
  }
  columns.sizes[i] = size;
  columns.compressedSizes[i] = compressedSize;
  columns.offsets[i] = offset;
  columns.kinds[i] = kindOf(raw, record[5] as number, data.getUint32(38, true), size);
}

const encryptedNames = (options: ZipOptions) =>
  refusals(options)(
    "The zip is protected by a password, the names in it too.",
    "Unpack it, or make one without a password.",
  );

/**
 * An entry's kind as an index into `KINDS`, and `DOS` where that made it; `host` is the system's number: 3 and 19 are
 * Unix and macOS, 0, 10, 11 and 14 DOS and Windows.
 */
function kindOf(name: Uint8Array, host: number, attributes: number, size: number): number {
  const mode = host === 3 || host === 19 ? (attributes >>> 16) & 0xf000 : 0;
  const from = [0, 10, 11, 14].includes(host) ? DOS : 0;
  if (mode === 0xa000) return from + 2;
  if (name[name.length - 1] === 0x2f || mode === 0x4000) return from + 1;
  return from + (size === 0 && (attributes & 0x10) !== 0 && mode === 0 ? 1 : 0);
}

function addName(columns: Columns, i: number, name: Uint8Array, options: ZipOptions): void {
  const start = i === 0 ? 0 : (columns.nameEnds[i - 1] as number);
  const end = start + name.length;
  if (end > MAX_NAMES) {
    throw refusals(options)("The names in the zip are longer than 128 MB together, which no real ones are.");
  }
  if (end > columns.names.length) {
    const longer = new Uint8Array(Math.min(MAX_NAMES, Math.max(end, columns.names.length * 2)));
    longer.set(columns.names);
    columns.names = longer;
  }
  columns.names.set(name, start);
  columns.nameEnds[i] = end;
}

/** The extra field of this number, or null. */
function extraField(extra: Uint8Array, id: number): Uint8Array | null {
  const data = view(extra);
  for (let at = 0; at + 4 <= extra.length; ) {
    const end = at + 4 + data.getUint16(at + 2, true);
    if (end > extra.length) return null;
    if (data.getUint16(at, true) === id) return extra.subarray(at + 4, end);
    at = end;
  }
  return null;
}

/** The name in UTF-8 as Info-ZIP writes it beside the old one, if it belongs to that. */
function unicodeName(extra: Uint8Array, raw: Uint8Array): Uint8Array | null {
  const field = extraField(extra, 0x7075);
  if (!field || field.length < 6 || field[0] !== 1) return null;
  return view(field).getUint32(1, true) === crc32(raw) ? field.subarray(5) : null;
}

/** Whether the first entry in the file is where it would be with this shift. */
async function beginsAt(source: ByteSource, { offsets, count }: Columns, shift: number): Promise<boolean> {
  if (count === 0) return true;
  let first = Number.POSITIVE_INFINITY;
  for (let i = 0; i < count; i++) first = Math.min(first, offsets[i] as number);
  const at = first + shift;
  return at + 4 <= source.size && view(await source.read(at, at + 4)).getUint32(0, true) === LOCAL;
}

/** Moves the entries to where they are, and checks that none lies over another one or outside. */
function settle(columns: Columns, shift: number, directory: number, options: ZipOptions): void {
  const { count, offsets, compressedSizes, limits } = columns;
  const order = new Uint32Array(count).map((_, i) => i);
  order.sort((a, b) => (offsets[a] as number) - (offsets[b] as number));
  for (let k = 0; k < count; k++) {
    const i = order[k] as number;
    const next = k + 1 < count ? (offsets[order[k + 1] as number] as number) + shift : directory;
    const begin = (offsets[i] as number) + shift;
    if (!(begin + 30 + (compressedSizes[i] as number) <= next)) {
      throw refusals(options)(
        k + 1 < count
          ? "Files inside the zip lie over one another, as in a zip bomb."
          : "The file is cut off or damaged: what is in it reaches past its end.",
      );
    }
    limits[i] = next;
  }
  // Only now: the order is one of the places as the zip gave them.
  for (let i = 0; i < count; i++) offsets[i] = (offsets[i] as number) + shift;
}

/** What is in a zip, by number. */
export class ZipDirectory {
  readonly count: number;
  readonly #source: ByteSource;
  readonly #columns: Columns;
  readonly #options: ZipOptions;

  constructor(source: ByteSource, columns: Columns, options: ZipOptions) {
    this.count = columns.count;
    this.#source = source;
    this.#columns = columns;
    this.#options = options;
  }

  /** What the zip says of an entry. */
  entry(i: number): ZipEntry {
    const columns = this.#columns;
    const method = columns.methods[i] as number;
    const flags = columns.flags[i] as number;
    return {
      name: columns.names.subarray(i === 0 ? 0 : columns.nameEnds[i - 1], columns.nameEnds[i]),
      utf8: (flags & UTF8) !== 0,
      kind: KINDS[(columns.kinds[i] as number) % DOS] as ZipEntry["kind"],
      packing: method === 0 || method === 8 ? null : (PACKINGS.get(method) ?? `method ${method}`),
      encrypted: (flags & ENCRYPTED) !== 0,
      stored: method === 0,
      dos: (columns.kinds[i] as number) >= DOS,
      size: columns.sizes[i] as number,
      compressedSize: columns.compressedSizes[i] as number,
      crc32: columns.crcs[i] as number,
    };
  }

  /**
   * Where an entry's packed bytes are in the file.
   * @param where names the entry or the zip in a Failure, `subject` begins its sentence
   * @throws Failure `bad-file` where the entry is not where the zip says, or reaches over the next one
   */
  async place(
    i: number,
    where: string,
    subject = "This file inside the zip",
  ): Promise<{ begin: number; end: number }> {
    const offset = this.#columns.offsets[i] as number;
    const limit = this.#columns.limits[i] as number;
    const header = view(await this.#source.read(offset, Math.min(offset + 30, limit)));
    const damaged = (what: string) => this.#damaged(what, where);
    if (header.getUint32(0, true) !== LOCAL) throw damaged(`${subject} is not where the zip says it is.`);
    const begin = offset + 30 + header.getUint16(26, true) + header.getUint16(28, true);
    const end = begin + (this.#columns.compressedSizes[i] as number);
    if (end > limit) throw damaged(`${subject} lies over what comes after it.`);
    return { begin, end };
  }

  /**
   * The whole of an entry; a slice of the zip where it is stored. Its size and checksum are checked. What is encrypted
   * or packed in another way is the caller's to keep away.
   * @param where names the entry in a Failure
   * @throws Failure `bad-file` where it is damaged or not what the zip says
   */
  async read(i: number, where: string): Promise<Blob> {
    const { begin, end } = await this.place(i, where);
    const { stored, size, crc32: expected } = this.entry(i);
    const pieces: Bytes[] = [];
    let found = 0;
    let crc = 0;
    for await (const piece of this.#unpacked(begin, end, stored, where)) {
      found += piece.length;
      if (found > size) break;
      crc = crc32(piece, crc);
      if (!stored) pieces.push(piece);
    }
    if (found !== size || crc !== expected)
      throw this.#damaged("This file inside the zip is damaged.", where);
    return stored ? this.#source.slice(begin, end) : new Blob(pieces);
  }

  /** At most the first `length` bytes of an entry; fewer where it has no more or is damaged. */
  async head(i: number, length: number): Promise<Uint8Array> {
    const head = new Uint8Array(length);
    let size = 0;
    try {
      const { begin, end } = await this.place(i, "");
      const { stored } = this.entry(i);
      // Enough packed bytes for any such beginning; the tables of Deflate take at most a few hundred.
      const enough = Math.min(end, begin + (stored ? length : length * 2 + 1024));
      for await (const piece of this.#unpacked(begin, enough, stored, "")) {
        head.set(piece.subarray(0, length - size), size);
        size = Math.min(length, size + piece.length);
        if (size === length) break;
      }
    } catch {
      // What has come by now is all there is to know.
    }
    return head.subarray(0, size);
  }

  /** An entry's bytes piece by piece. */
  async *#unpacked(begin: number, end: number, stored: boolean, where: string): AsyncGenerator<Bytes> {
    const source = this.#source;
    const packed = async function* () {
      for (let at = begin; at < end; at += WINDOW) {
        const window = await source.read(at, Math.min(end, at + WINDOW));
        for (let from = 0; from < window.length; from += PIECE) yield window.subarray(from, from + PIECE);
      }
    };
    if (stored) {
      yield* packed();
      return;
    }
    try {
      yield* inflated(packed());
    } catch (cause) {
      if (cause instanceof Failure) throw cause;
      throw this.#damaged("This file inside the zip is damaged.", where, cause);
    }
  }

  #damaged(what: string, where: string, cause?: unknown): Failure {
    const { remedy } = this.#options;
    return new Failure({ code: "bad-file", what, where, remedy }, { cause });
  }
}

/** Inflates piece by piece, so that whoever takes the output can stop before more is made. */
async function* inflated(packed: AsyncIterator<Bytes>): AsyncGenerator<Bytes> {
  const stream = new DecompressionStream("deflate-raw");
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader() as ReadableStreamDefaultReader<Bytes>;
  // Errors come out where the output is read; here they only end the writing.
  const feed = async () => {
    for (;;) {
      const { done, value } = await packed.next();
      if (done) break;
      await writer.ready;
      await writer.write(value);
    }
    await writer.close();
  };
  const feeding = feed().catch(async (error: unknown) => {
    await writer.abort(error).catch(() => undefined);
  });
  writer.closed.catch(() => undefined);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
    await feeding;
  }
}

let table: Uint32Array | null = null;

/** The checksum of a zip's entries; `before` is that of the bytes so far. */
export function crc32(bytes: Uint8Array, before = 0): number {
  table ??= new Uint32Array(256).map((_, n) => {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    return c;
  });
  let crc = ~before;
  for (let i = 0; i < bytes.length; i++)
    crc = (crc >>> 8) ^ (table[(crc ^ (bytes[i] as number)) & 255] as number);
  return ~crc >>> 0;
}
