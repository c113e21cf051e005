// Files that torch itself wrote, byte for byte; files that would run code in Python's unpickler, refused by name; and
// archives and pickles that lie or were damaged, which end in a Failure, quickly.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Failure } from "../failure.ts";
import { joinBytes, numbers, type TestEntry, type TestZip, zipBytes } from "../zip_testing.ts";
import { readTorchZip } from "./torch_zip.ts";
import type { NamedTensor } from "./types.ts";
import { unpickle } from "./unpickle.ts";

const here = new URL("fixtures_torch/", import.meta.url);
const load = (name: string) => new Blob([readFileSync(new URL(name, here))]);
type Facts = Record<string, Record<string, { shape: number[]; dtype: string; sha256: string }>>;
const facts: Facts = JSON.parse(readFileSync(new URL("facts.json", here), "utf8"));

/** Every tensor of a file, with its bytes. */
async function allOf(file: Blob): Promise<NamedTensor[]> {
  const { tensors, find } = await readTorchZip(file, "model.pth");
  const found: NamedTensor[] = [];
  for (const tensor of tensors) found.push(await find(tensor));
  return found;
}

/** What stands under a prefix, by the names after it. */
async function described(file: Blob, prefix = "") {
  const under = (await allOf(file)).filter(({ name }) => name.startsWith(prefix));
  const entries = under.map(async ({ name, dtype, shape, bytes }) => {
    const sha256 = createHash("sha256")
      .update(new Uint8Array(await bytes.arrayBuffer()))
      .digest("hex");
    return [name.slice(prefix.length), { shape, dtype, sha256 }] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

async function failure(file: Blob): Promise<Failure> {
  const error = await allOf(file).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(Failure);
  expect((error as Failure).parts.where).toBe("model.pth");
  return error as Failure;
}

/** Seconds of processor time, so that a busy machine does not fail the bound. */
function seconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** What stands before the names of the network whose tensors the facts are. */
const before: Record<string, string> = {
  "dino_full.pth": "teacher.module.backbone.",
  "dino_training.pth": "teacher.backbone.",
  "model.pth": "model.",
  "lightning.ckpt": "state_dict.module.",
};

test.each(Object.keys(facts))("%s holds what torch reads from it", async (name) => {
  expect(await described(load(name), before[name])).toEqual(facts[name]);
});

test("every tensor of a training checkpoint is named by the keys that lead to it, and TorchScript is told", async () => {
  const { tensors } = await readTorchZip(load("dino_full.pth"), "f");
  const kinds = new Set(tensors.map(({ name }) => name.split(".").slice(0, 2).join(".")));
  expect([...kinds]).toEqual(["student.module", "teacher.module", "optimizer.state", "dino_loss.center"]);
  expect((await readTorchZip(load("scripted.pt"), "f")).notes[0]).toMatch(/TorchScript/);
});

test.each([
  ["os_system.pth", '"posix.system"'],
  ["eval.pth", '"__builtin__.eval"'],
  ["exec.pth", '"__builtin__.exec"'],
  ["getattr.pth", '"__builtin__.getattr"'],
])("%s is refused by the name it asks for", async (name, asked) => {
  const { message, parts } = await failure(load(name));
  expect(message).toContain(asked);
  expect(message).toContain("Nothing was run.");
  expect(parts.remedy).toContain("state_dict");
  expect(parts.remedy).toContain("do not trust it");
});

test("a set beside the weights, protocol 4, and a tensor that is expanded are no matter", async () => {
  for (const name of ["set.pth", "protocol_4.pth"]) {
    expect((await allOf(load(name))).some((tensor) => /(^|\.)cls_token$/.test(tensor.name))).toBe(true);
  }
  const [expanded] = await allOf(load("expanded.pth"));
  const values = new Float32Array(await expanded!.bytes.arrayBuffer());
  expect(values.length).toBe(expanded!.shape.reduce((a, b) => a * b, 1));
  expect(new Set(values).size).toBeLessThan(values.length);
});

test.each([
  ["whole_module.pt", /whole module, an object of class "torch\.nn\..*state_dict\(\)/],
  ["no_tensors.pth", /no state dict \(names and tensors\), but/],
  ["list.pth", /a list of \d+ tensors without names/],
  ["legacy.pth", /not a zip/],
])("%s is refused for what it is, and not for being dangerous", async (name, sentence) => {
  const { message } = await failure(load(name));
  expect(message).toMatch(sentence);
  expect(message).not.toContain("trust");
});

// --- Made by hand -------------------------------------------------------------------------------------------------

const bytesOf = (...parts: (string | number | number[] | Uint8Array)[]): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(
    parts.flatMap((part) =>
      typeof part === "string"
        ? [...part].map((c) => c.charCodeAt(0))
        : typeof part === "number"
          ? [part]
          : [...part],
    ),
  );
const u32 = (value: number) => [value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24];
const str = (value: string) => bytesOf("X", u32(value.length), value);
const int = (value: number) => bytesOf("J", u32(value));
const global = (name: string) => bytesOf("c", name.replace(" ", "\n"), "\n");
const proto = [0x80, 2];

/** Instructions that build one tensor; every part can be made to lie. */
function tensor(
  change: Partial<{
    type: string;
    key: string;
    count: number;
    offset: number;
    shape: number[];
    stride: number[];
  }> = {},
) {
  const { type, key, count, offset, shape, stride } = {
    type: "FloatStorage",
    key: "0",
    count: 6,
    offset: 0,
    shape: [2, 3],
    stride: [3, 1],
    ...change,
  };
  return bytesOf(
    ...[global("torch._utils _rebuild_tensor_v2"), "((", str("storage"), global(`torch ${type}`), str(key)],
    ...[str("cpu"), int(count), "tQ", int(offset), "(", ...shape.map(int), "t(", ...stride.map(int), "t"],
    ...[[0x89], global("collections OrderedDict"), ")RtR"],
  );
}
const dict = (...items: (string | Uint8Array)[]) =>
  bytesOf(proto, "}(", ...items.map((item) => (typeof item === "string" ? str(item) : item)), "u.");

/** A torch archive of these parts, stored as torch stores them. */
async function archive(
  parts: Record<string, Uint8Array>,
  entry: Partial<TestEntry> = {},
  { folder = "f", ...zip }: TestZip & { folder?: string } = {},
): Promise<Blob> {
  const entries = Object.entries(parts).map(([name, content]) => ({
    name: `${folder}/${name}`,
    content,
    ...entry,
  }));
  return new Blob([zipBytes(entries, { zip64: "end", ...zip })]);
}
const six = new Uint8Array(new Float32Array([1, 2, 3, 4, 5, 6]).buffer);
const withPickle = (pickle: Uint8Array, more: Record<string, Uint8Array> = {}) =>
  archive({ "data.pkl": pickle, "data/0": six, ...more });

test("the archive made by hand is one that is read", async () => {
  const { tensors } = await readTorchZip(await withPickle(dict("w", tensor())), "f");
  expect(tensors.map(({ name, shape, dtype }) => [name, shape, dtype])).toEqual([["w", [2, 3], "F32"]]);
  const [turned] = await allOf(await withPickle(dict("w", tensor({ stride: [1, 2] }))));
  expect([...new Float32Array(await turned!.bytes.arrayBuffer())]).toEqual([1, 3, 5, 2, 4, 6]);
});

test.each<[string, Uint8Array, RegExp]>([
  ["a storage past its member", dict("w", tensor({ count: 7 })), /"w" lies in a storage of 7 numbers/],
  ["a storage of no member", dict("w", tensor({ key: "9" })), /data\/9/],
  [
    "a tensor past its storage",
    dict("w", tensor({ shape: [3, 3], stride: [3, 1] })),
    /past the end of its storage/,
  ],
  ["an offset past the storage", dict("w", tensor({ offset: 1 })), /past the end/],
  [
    "a shape beyond counting",
    dict("w", tensor({ shape: [2 ** 31 - 1, 2 ** 31 - 1, 4], stride: [2 ** 31 - 1, 1, 1] })),
    /strides that do not go with its shape/,
  ],
  [
    "a number that stands for 400 MB",
    dict("w", tensor({ shape: [10_000, 10_000], stride: [0, 0] })),
    /400000000 bytes of its tensors/,
  ],
  ["fewer strides than sides", dict("w", tensor({ stride: [1] })), /strides that do not go/],
  ["a negative side", dict("w", tensor({ shape: [-2, 3] })), /no usable shape/],
  ["nine sides", dict("w", tensor({ shape: Array(9).fill(1), stride: Array(9).fill(1) })), /no usable shape/],
  ["a storage of an unknown type", dict("w", tensor({ type: "OddStorage" })), /"torch.OddStorage"/],
  ["numbers of a kind that is not read", dict("w", tensor({ type: "QInt8Storage" })), /stored as QI8/],
  [
    "a pickle in a storage",
    bytesOf(proto, global("torch.storage _load_from_bytes"), "."),
    /_load_from_bytes/,
  ],
  ["a name by protocol 4", bytesOf(proto, str("os"), str("system"), [0x93], "."), /"os.system"/],
  ["an instance in the oldest way", bytesOf(proto, "(ios\nsystem\n."), /"os.system"/],
  ["an object in the oldest way", bytesOf(proto, "(", "o."), /no class/],
  ["an extension", bytesOf(proto, [0x82, 1], "."), /uses EXT1/],
  ["a number in other words", bytesOf(proto, "Ione\n."), /"one" is no whole number/],
  ["an instruction there is not", bytesOf(proto, [0xff], "."), /unknown instruction 255/],
  ["a function nobody knows", bytesOf(proto, global("mine make"), ")R."), /"mine.make\(\.\.\.\)"/],
  ["a text called as a function", bytesOf(proto, str("eval"), ")R."), /no function/],
  ["attributes for a text", bytesOf(proto, str("a"), "}b."), /attributes/],
  ["a dict with a dict as key", bytesOf(proto, "}}Ns."), /key is a dict or a list/],
  ["a dict with a key and no value", bytesOf(proto, "}(", str("a"), "u."), /no value/],
  ["a mark that is not there", bytesOf(proto, "t."), /needs a mark/],
  ["values that are not there", bytesOf(proto, [0x87], "."), /where there is none/],
  ["a value on the far side of a mark", bytesOf(proto, "N(\x85."), /where there is none/],
  ["a memory that is not there", bytesOf(proto, "h", [3], "."), /value 3 of 0/],
  ["a text longer than the pickle", bytesOf(proto, "X", u32(2 ** 31 - 1), "ab."), /asks for 2147483647/],
  ["a text that is not UTF-8", bytesOf(proto, "X", u32(2), [0xff, 0xfe], "."), /UTF-8/],
  ["a name without an end", bytesOf(proto, "c", "a".repeat(600), "\n."), /more than 500 characters/],
  ["no end", bytesOf(proto, "N"), /asks for 1/],
  ["nothing", bytesOf(), /asks for 1/],
  ["a dict in itself", bytesOf(proto, "}q\x00(", str("model"), "h\x00u."), /no state dict/],
])("%s is refused", async (_, pickle, sentence) => {
  const { message, parts } = await failure(await withPickle(pickle));
  expect(message).toMatch(sentence);
  expect(parts.remedy.length).toBeGreaterThan(10);
});

const repeated = (start: Uint8Array, unit: Uint8Array, length: number) => {
  const bytes = new Uint8Array(length);
  for (let at = start.length; at + unit.length <= length; at += unit.length) bytes.set(unit, at);
  bytes.set(start);
  return bytes;
};
const remembered = bytesOf(proto, str("a"), "q\x00}");

test.each<[string, Uint8Array, RegExp]>([
  ["30 MB of marks", new Uint8Array(30_000_000).fill(0x28), /nested deeper/],
  ["30 MB of lists", new Uint8Array(30_000_000).fill(0x5d), /stacks more than/],
  ["tuples in tuples", repeated(bytesOf(proto, "N"), bytesOf([0x85]), 5_000_000), /more than 1000000/],
  ["lists in lists", repeated(bytesOf(proto, "]"), bytesOf("q\x00]h\x00a"), 5_000_000), /stacks more than/],
  ["40 MB of anything", new Uint8Array(40_000_000), /at most 32000000/],
  ["texts over and over", repeated(remembered, bytesOf(str("a"), "K\x01s"), 5_000_000), /more than 1000000/],
  ["one text in every key", repeated(remembered, bytesOf("h\x00K\x01s"), 6_000_000), /more than 1000000/],
  [
    "numbers over and over",
    repeated(remembered, bytesOf("h\x00", [0x8a, 16], new Uint8Array(16).fill(7), "s"), 30_000_000),
    /damaged|more than/,
  ],
  [
    "long texts",
    repeated(bytesOf(proto), bytesOf("X", u32(1000), "é".repeat(1000)), 30_000_000),
    /not UTF-8/,
  ],
])("%s are settled within a second", (_, bytes, sentence) => {
  const before = seconds();
  let error: unknown;
  try {
    unpickle(bytes, "f.pth");
  } catch (thrown) {
    error = thrown;
  }
  expect(seconds() - before).toBeLessThan(1);
  expect((error as Failure).message).toMatch(sentence);
});

test("modules that stand in many places of many modules end, and so does a module in itself", async () => {
  const record = (name: string) => bytesOf(global(`__torch__ ${name}`), ")\x81");
  // Each of 40 modules holds the one before it ten times.
  const levels = Array.from({ length: 40 }, (_, i) =>
    bytesOf(
      record("M"),
      "}(",
      ...(i === 0
        ? [str("w"), tensor()]
        : Array.from({ length: 10 }, (_, k) => bytesOf(str(`m${k}`), "h", [i - 1]))),
      "ub",
      ["q".charCodeAt(0), i],
    ),
  );
  const names = async (pickle: Uint8Array) =>
    (await readTorchZip(await withPickle(pickle), "f")).tensors.map(({ name }) => name);
  expect(await names(bytesOf(proto, ...levels, "."))).toEqual([`${"m0.".repeat(39)}w`]);
  const self = bytesOf(proto, record("M"), "q\x00}(", str("me"), "h\x00", str("w"), tensor(), "ub.");
  expect(await names(self)).toEqual(["w"]);
});

test("members that are compressed, encrypted, out of place or over one another are refused", async () => {
  const pickle = dict("w", tensor(), "v", tensor({ key: "1" }));
  const parts = { "data.pkl": pickle, "data/0": six, "data/1": six };
  const packed = await archive({ ...parts, "data/0": new Uint8Array(6000) }, { deflate: true });
  expect((await failure(packed)).message).toMatch(/compressed/);
  const locked = await archive(parts, { flags: 1 });
  expect((await failure(locked)).message).toMatch(/encrypted/);

  const whole = new Uint8Array(await (await archive(parts)).arrayBuffer());
  const view = new DataView(whole.buffer);
  const entries: number[] = [];
  for (let at = 0; at < whole.length - 4; at++) if (view.getUint32(at, true) === 0x02014b50) entries.push(at);
  expect(entries).toHaveLength(3);
  /** The archive with numbers of a directory entry replaced. */
  const altered = (entry: number, ...changes: [field: number, value: number][]) => {
    const copy = whole.slice();
    for (const [field, value] of changes)
      new DataView(copy.buffer).setUint32(entries[entry]! + field, value, true);
    return new Blob([copy]);
  };
  const place = (entry: number) => view.getUint32(entries[entry]! + 42, true);
  expect((await failure(altered(2, [42, place(1)]))).message).toMatch(/lie over one another/);
  expect((await failure(altered(2, [42, place(2) + 4], [20, 20], [24, 20]))).message).toMatch(
    /"f\/data\/1" is not where/,
  );
  expect((await failure(altered(1, [20, 90], [24, 90]))).message).toMatch(/lie over one another/);
});

test("a bomb: a pickle that says it is 3 GB is not inflated", async () => {
  const bytes = new Uint8Array(
    await (await archive({ "data.pkl": new Uint8Array(100_000) }, { deflate: true })).arrayBuffer(),
  );
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length - 4; at++)
    if (view.getUint32(at, true) === 0x02014b50) view.setUint32(at + 24, 3_000_000_000, true);
  const before = seconds();
  expect((await failure(new Blob([bytes]))).message).toMatch(/3000000000 bytes|compressed/);
  expect(seconds() - before).toBeLessThan(1);
});

test("a zip that is no torch file, two pickles, a big-endian file", async () => {
  expect((await failure(await archive({ "readme.txt": six }))).message).toMatch(/no PyTorch file/);
  expect((await failure(await archive({ "head.npy": six }))).message).toMatch(/numpy \(npz\).*timm/);
  const two = zipBytes(["a/data.pkl", "b/data.pkl"].map((name) => ({ name, content: six })));
  expect((await failure(new Blob([two]))).message).toMatch(/more than one pickle/);
  const big = await withPickle(dict("w", tensor()), { byteorder: bytesOf("big") });
  expect((await failure(big)).message).toMatch(/big-endian/);
});

/** The bytes that bring the data after a header to a multiple of 64, as torch has put them in since 1.6. */
const padding = (at: number) => {
  const length = (64 - ((at + 4) % 64)) % 64;
  return joinBytes([numbers([0x4246, 2], [length, 2]), new Uint8Array(length).fill(0x5a)]);
};

test("names of every length, with torch's padding and descriptors, as 1.6 to 2.15 write them", async () => {
  const pickle = dict("w", tensor());
  const more: Record<string, Uint8Array>[] = [
    { version: bytesOf("3\n") },
    { version: bytesOf("3\n"), byteorder: bytesOf("little") },
    {
      ".format_version": bytesOf("1"),
      ".storage_alignment": bytesOf("64"),
      byteorder: bytesOf("little"),
      version: bytesOf("3\n"),
      ".data/serialization_id": bytesOf("1".repeat(40)),
    },
  ];
  for (let length = 1; length <= 300; length++) {
    const folder = "n".repeat(length);
    for (const [i, extra] of more.entries()) {
      let at = 0;
      const parts = { "data.pkl": pickle, "data/0": six, ...extra };
      const entries = Object.entries(parts).map(([name, content]) => {
        const full = `${folder}/${name}`;
        const localExtra = padding(at + 30 + full.length);
        at += 30 + full.length + localExtra.length + content.length + (i === 0 ? 0 : 16);
        return { name: full, content, localExtra, descriptor: i > 0 };
      });
      const [only] = await allOf(new Blob([zipBytes(entries, { zip64: "end" })]));
      expect([...new Float32Array(await only!.bytes.arrayBuffer())]).toEqual([1, 2, 3, 4, 5, 6]);
    }
  }
});

test("a folder of any name, a foreign one too", async () => {
  for (const folder of ["archive", "犬の学習", "a b.c", "data"]) {
    const file = await archive({ "data.pkl": dict("w", tensor()), "data/0": six }, {}, { folder });
    expect((await readTorchZip(file, "f")).tensors.map(({ name }) => name)).toEqual(["w"]);
  }
});

// --- Mutations of real files --------------------------------------------------------------------------------------

/** Reads a mutated file: a Failure, or tensors with the bytes their shapes need. */
async function failsOrHolds(file: Blob): Promise<"failed" | "held"> {
  const before = seconds();
  const memory = process.memoryUsage().arrayBuffers;
  const result = await allOf(file).catch((e: unknown) => e);
  expect(seconds() - before).toBeLessThan(1);
  expect(process.memoryUsage().arrayBuffers - memory).toBeLessThan(50_000_000);
  if (result instanceof Failure) return "failed";
  const size: Record<string, number> = {
    F32: 4,
    F16: 2,
    BF16: 2,
    F64: 8,
    I64: 8,
    I32: 4,
    I16: 2,
    I8: 1,
    U8: 1,
    BOOL: 1,
  };
  for (const { dtype, shape, bytes } of result as NamedTensor[]) {
    expect(bytes.size).toBe(shape.reduce((a, b) => a * b, 1) * size[dtype]!);
  }
  return "held";
}

/** A share of a file's length; fc.double would nearly always be next to 0. */
const place = fc.nat(999_999).map((part) => part / 1_000_000);
const real = readdirSync(here).filter((name) => !name.endsWith(".json") && name !== "vit.bin");

test("bytes flipped anywhere in real files: a Failure, or tensors that hold together", async () => {
  const seen = { failed: 0, held: 0 };
  const files = real.map((name) => readFileSync(new URL(name, here)));
  await fc.assert(
    fc.asyncProperty(
      fc.nat(files.length - 1),
      fc.array(fc.tuple(place, fc.nat(255)), { minLength: 1, maxLength: 4 }),
      async (which, flips) => {
        const copy = new Uint8Array(files[which]!);
        for (const [at, value] of flips) copy[Math.floor(at * copy.length)] = value;
        seen[await failsOrHolds(new Blob([copy]))]++;
      },
    ),
    { numRuns: 400 },
  );
  expect(seen.failed).toBeGreaterThan(50);
  expect(seen.held).toBeGreaterThan(50);
});

test("a real pickle with bytes replaced, moved, left out or doubled: a Failure, or a value", async () => {
  const pickles = await Promise.all(
    ["layouts.pt", "dino_full.pth", "scripted.pt"].map(async (name) => {
      // Stored, so that the pickle lies in the file as it is.
      const bytes = new Uint8Array(await load(name).arrayBuffer());
      const start = bytes.findIndex(
        (byte, i) =>
          byte === 0x80 && bytes[i + 1] === 2 && "c}(]".includes(String.fromCharCode(bytes[i + 2]!)),
      );
      const end = bytes.findIndex(
        (byte, i) => i > start && byte === 0x2e && bytes[i + 1] === 0x50 && bytes[i + 2] === 0x4b,
      );
      return bytes.slice(start, end < 0 ? start + 2000 : end + 1);
    }),
  );
  const seen = { failed: 0, held: 0 };
  await fc.assert(
    fc.property(
      fc.constantFrom(...pickles),
      fc.array(fc.tuple(fc.constantFrom("put", "cut", "double", "swap"), place, place, fc.nat(255)), {
        minLength: 1,
        maxLength: 3,
      }),
      (pickle, edits) => {
        let bytes: Uint8Array = pickle;
        for (const [kind, from, to, value] of edits) {
          const [a, b] = [from, to].map((x) => Math.floor(x * bytes.length)).sort((x, y) => x - y) as [
            number,
            number,
          ];
          if (kind === "put") bytes = bytesOf(bytes.subarray(0, a), value, bytes.subarray(a + 1));
          else if (kind === "cut") bytes = bytesOf(bytes.subarray(0, a), bytes.subarray(b));
          else if (kind === "double") bytes = bytesOf(bytes.subarray(0, b), bytes.subarray(a));
          else bytes = bytesOf(bytes.subarray(0, a), bytes.subarray(b), bytes.subarray(a, b));
        }
        const before = seconds();
        try {
          unpickle(bytes, "f");
          seen.held++;
        } catch (error) {
          expect(error).toBeInstanceOf(Failure);
          seen.failed++;
        }
        expect(seconds() - before).toBeLessThan(1);
      },
    ),
    { numRuns: 800 },
  );
  expect(seen.failed).toBeGreaterThan(100);
  expect(seen.held).toBeGreaterThan(2);
});

test("a real file cut off anywhere is a Failure", async () => {
  const file = load("dino_full.pth");
  await fc.assert(
    fc.asyncProperty(fc.nat(file.size - 1), async (length) => {
      expect(await failsOrHolds(file.slice(0, length))).toBe("failed");
    }),
    { numRuns: 80 },
  );
});
