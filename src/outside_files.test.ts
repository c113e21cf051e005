// Every parser of files that come from outside, over real files that were damaged and over made-up ones: each is read, or
// refused with a sentence, in a second and in bounded memory. Some thousands here, 100,000 in `npm run test:soak`; what a
// single parser has to say of each lie is tested beside it.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { families, familyFixture, fixture } from "./checkpoint/fixtures/load.ts";
import { openCheckpoint } from "./checkpoint/open_checkpoint.ts";
import { readBytes, readSafetensors } from "./checkpoint/safetensors.ts";
import { writeShards } from "./checkpoint/sharded.ts";
import { readLegacyTorch } from "./checkpoint/torch_legacy.ts";
import { readTorchZip } from "./checkpoint/torch_zip.ts";
import type { ModelAnswers } from "./checkpoint/types.ts";
import { unpickle } from "./checkpoint/unpickle.ts";
import { readClassMap } from "./cli/class_map.ts";
import { readManifest } from "./cli/manifest.ts";
import { decodeImage } from "./dataset/decode_node.ts";
import { listImages } from "./dataset/list.ts";
import { readNames } from "./dataset/zip_names.ts";
import { Failure } from "./failure.ts";
import { unpackModel } from "./session/model_zip.ts";
import { createNodeSession } from "./session/node.ts";
import { recipeSchema } from "./session/recipe.ts";
import { readSavedRun, writeSavedRun } from "./session/saved_run_files.ts";
import { once, pictures } from "./session/testing.ts";
import type { SourceFile } from "./source_file.ts";
import { readRecipe } from "./studio/state/recipe_store.ts";
import { findTokenizerFiles, openTokenizer } from "./text/tokenizer.ts";
import { readSnapshot } from "./training/snapshot_file.ts";
import { type TestEntry, zipBytes } from "./zip_testing.ts";

/** How many inputs there are over all parsers, and where their random numbers begin; null takes another place each time. */
const inputs = Number(process.env.SELORA_INPUTS ?? 2500);
const seed = process.env.SELORA_SEED === undefined ? 12 : Number(process.env.SELORA_SEED);
const MOST_SECONDS = 1;
const MOST_BYTES = 512 * 1024 ** 2;

const folder = mkdtempSync(join(tmpdir(), "selora-outside-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Some files as one person gives them; what a parser takes. */
type Given = SourceFile[];

interface Parser {
  /** Real files that it reads. */
  real: () => Promise<Given[]> | Given[];
  /** Reads them as far as the program ever does. */
  read: (files: Given, source: number) => Promise<unknown> | unknown;
  /** Which of the files are damaged; any of them unless it is said. */
  damages?: "first";
  /** False for one that refuses nothing: what it cannot read, it leaves out and says so. */
  refuses?: false;
}

const here = (path: string) => join(import.meta.dirname, path);
const onDisk = (path: string): SourceFile => ({
  path: basename(path),
  blob: new Blob([readFileSync(here(path))]),
});
const filesIn = (path: string, fits: RegExp) =>
  readdirSync(here(path))
    .filter((name) => fits.test(name))
    .map((name) => onDisk(`${path}/${name}`));
const alone = (files: SourceFile[]): Given[] => files.map((file) => [file]);
const zip = (path: string, entries: TestEntry[]): SourceFile => ({
  path,
  blob: new Blob([zipBytes(entries)]),
});
const bytesOf = async ({ blob }: SourceFile) => new Uint8Array(await blob.arrayBuffer());
const first = (files: Given) => files[0] as SourceFile;

/** All tensors of weights that were read, and their bytes. */
async function allOf(weights: Awaited<ReturnType<typeof readTorchZip>>): Promise<void> {
  for (const tensor of weights.tensors) await (await weights.find(tensor)).bytes.arrayBuffer();
}

const torch = "checkpoint/fixtures_torch";
const answersOf = new Map<string, ModelAnswers>(families.map(({ name, answers }) => [name, answers]));
const models = [
  "vit",
  "deit-teacher",
  "clip",
  "clip-vision-projection",
  "siglip",
  "open-clip",
  "timm-siglip",
];

/** A run under way and one that ended, as the terminal writes them. */
let saved: Given[];
beforeAll(async () => {
  const session = createNodeSession();
  await session.open("wasm");
  await session.loadModel(fixture("vit"), {});
  await session.loadData(
    "target",
    "pets",
    await pictures("pets", ["cat", "dog"], { train: 3, val: 1, test: 1 }),
    0,
  );
  let half: Promise<unknown> = Promise.resolve();
  saved = [];
  const keep = async () => saved.push(writeSavedRun((await session.saveRun())!));
  once(
    session,
    ({ kind }) => kind === "step",
    () => {
      half = keep();
    },
  );
  await session.train(recipeSchema.parse({ rank: 2, epochs: 4, batch: 2 }));
  await half;
  await keep();
});

const parsers: Record<string, Parser> = {
  "model folders": {
    real: () => [...models.map(fixture), ...families.map(({ name }) => familyFixture(name))],
    read: (files, source) =>
      openCheckpoint(files, answersOf.get(families[source - models.length]?.name ?? "") ?? {}),
  },
  "shards and their index": {
    real: async () => {
      const files = fixture("vit");
      const { tensors, metadata } = await readSafetensors(
        files.find(({ path }) => path.endsWith(".safetensors"))!.blob,
        "vit",
      );
      const parts = tensors.map((tensor, i) => ({
        ...tensor,
        file: `model-0000${1 + (i % 2)}-of-00002.safetensors`,
      }));
      const rest = files.filter(({ path }) => path.endsWith(".json"));
      return [
        [...rest, ...writeShards(parts, metadata).map(({ path, blob }) => ({ path: `vit/${path}`, blob }))],
      ];
    },
    read: (files) => openCheckpoint(files, {}),
  },
  safetensors: {
    real: () => alone(fixture("vit").filter(({ path }) => path.endsWith(".safetensors"))),
    read: async (files) => {
      const { tensors } = await readSafetensors(first(files).blob, "it");
      for (const { bytes } of tensors) await readBytes(bytes, "it");
    },
  },
  "PyTorch's zips": {
    real: () => alone(filesIn(torch, /^(?!legacy|dino_full).*\.(pth?|bin|ckpt)$/)),
    read: async (files) => allOf(await readTorchZip(first(files).blob, "it")),
  },
  "PyTorch's older files": {
    real: () => alone([onDisk(`${torch}/legacy.pth`)]),
    read: async (files) => allOf(await readLegacyTorch(first(files).blob, "it")),
  },
  "PyTorch's models": {
    real: () => [
      [onDisk(`${torch}/vit.bin`), ...fixture("vit").filter(({ path }) => path.endsWith(".json"))],
    ],
    read: (files) => openCheckpoint(files, {}),
  },
  pickles: {
    real: () => {
      const { harmless }: { harmless: Record<string, Record<string, string>> } = JSON.parse(
        readFileSync(here(`${torch}/pickles.json`), "utf8"),
      );
      return Object.values(harmless)
        .flatMap((protocols) => Object.values(protocols))
        .map((base64) => [{ path: "data.pkl", blob: new Blob([Buffer.from(base64, "base64")]) }]);
    },
    read: async (files) => unpickle(await bytesOf(first(files)), "it"),
  },
  tokenizers: {
    real: () => [
      ...readdirSync(here("text/fixtures"), { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => filesIn(`text/fixtures/${name}`, /\.(json|txt)$/)),
      [{ ...onDisk("text/fixtures/siglip2-tokenizer.json"), path: "tokenizer.json" }],
    ],
    read: async (files) => {
      const tokenizer = await openTokenizer(findTokenizerFiles(files), false, {});
      tokenizer?.encode("A photo of a cat's 2 dogs, über alles.", 77);
    },
  },
  "models in zips": {
    real: async () => [
      [
        zip(
          "vit.zip",
          await Promise.all(
            fixture("vit").map(async (file, i) => ({
              name: file.path,
              content: await bytesOf(file),
              deflate: i > 0,
            })),
          ),
        ),
      ],
    ],
    read: async (files) => openCheckpoint(await unpackModel(files), {}),
  },
  "images in zips": {
    real: async () => {
      const files = await pictures("pets", ["cat", "dog"], { train: 2, test: 1 });
      const entries = await Promise.all(
        files.map(async (file, i) => ({
          // "Größe" in the letters of DOS, which say nothing of themselves.
          name:
            i % 3
              ? file.path
              : Uint8Array.of(
                  ...Buffer.from("pets/train/"),
                  0x47,
                  0x72,
                  0x94,
                  0xe1,
                  0x65,
                  0x2f,
                  0x61 + i,
                  ...Buffer.from(".png"),
                ),
          content: await bytesOf(file),
          deflate: i % 2 > 0,
          descriptor: i > 4,
        })),
      );
      return [[zip("pets.zip", entries)]];
    },
    read: async (files) => {
      const { items } = await listImages("pets", files, { seed: 1, needsSplit: true });
      for (const item of items) await decodeImage(await item.read(), item.path).catch(refusedOnly);
    },
  },
  "tables of labels": {
    real: async () => {
      const files = (await pictures("pets", ["cat", "dog"], 3)).map(({ blob }, i) => ({
        path: `pets/images/${i}.png`,
        blob,
      }));
      const rows = files.map(
        ({ path }, i) => `${path.slice(5)},${i < 3 ? '"a cat, old"' : "dog"},${i % 3 ? "train" : "test"}`,
      );
      const lines = files.map(({ path }, i) =>
        JSON.stringify({ file_name: path.slice(5), label: i < 3 ? "cat" : "dog" }),
      );
      const table = (name: string, text: string) => ({ path: `pets/${name}`, blob: new Blob([text]) });
      return [
        // The table first: most of the damage is to be its.
        [table("labels.csv", ["file,label,split", ...rows].join("\r\n")), ...files],
        [table("metadata.jsonl", lines.join("\n")), ...files],
        [table("labels.tsv", ["file,label,split", ...rows].join("\n").replaceAll(",", "\t")), ...files],
      ];
    },
    read: (files) => listImages("pets", files, { seed: 1, needsSplit: true }),
    damages: "first",
  },
  "maps of classes": {
    real: () => [
      [
        {
          path: "map.csv",
          blob: new Blob(['set,folder,label\r\npets,cat,tabby\r\npets,"a ""dog""",3\r\npets,car,\r\n']),
        },
      ],
      [{ path: "map.json", blob: new Blob([JSON.stringify({ pets: { cat: "tabby", dog: 3, car: null } })]) }],
    ],
    read: async (files) => readClassMap(await first(files).blob.text(), "map"),
  },
  "names in zips": {
    real: () =>
      ["Größe\nпривет\n", "Ελληνικά\nשלום\n", "日本語\n"].map((text) => [
        { path: "names", blob: new Blob([text]) },
      ]),
    read: async (files) => readNames([await bytesOf(first(files))]),
    refuses: false,
  },
  images: {
    real: () => {
      const odd: Record<string, { name: string; file: string }[]> = JSON.parse(
        readFileSync(here("dataset/fixtures/odd_files.json"), "utf8"),
      );
      const rare = Object.values(odd).flat();
      return alone([
        ...filesIn("dataset/fixtures", /\.(png|jpe?g|webp|gif|bmp)$/),
        ...rare.map(({ name, file }) => ({ path: name, blob: new Blob([Buffer.from(file, "base64")]) })),
      ]);
    },
    read: (files) => decodeImage(first(files).blob, first(files).path),
  },
  "snapshots of runs": {
    real: () => alone(saved.map((files) => files[1] as SourceFile)),
    read: (files) => readSnapshot(first(files).blob),
  },
  "saved runs": {
    real: () => saved,
    read: async ([run, state]) => {
      const { snapshot } = await readSavedRun((run as SourceFile).blob, (state as SourceFile).blob);
      await readSnapshot(snapshot);
    },
  },
  "lists of exports": {
    real: () => {
      const files = [{ path: "model.safetensors", size: 9, sha256: "0".repeat(64) }];
      return [
        [
          {
            path: "selora.json",
            blob: new Blob([JSON.stringify({ selora: 1, kind: "export", made: "", files })]),
          },
        ],
      ];
    },
    read: async (files) => {
      writeFileSync(join(folder, "selora.json"), await bytesOf(first(files)));
      await readManifest(folder);
    },
    refuses: false,
  },
  "links to recipes": {
    real: () => [
      [{ path: "link", blob: new Blob(["#rank=8&method=lora&epochs=3&templates=a photo of {}%20"]) }],
    ],
    read: async (files) => readRecipe(await first(files).blob.text()),
    refuses: false,
  },
};

/** Of what is thrown a Failure that says something is let be, and anything else thrown on. */
function refusedOnly(error: unknown): void {
  if (!(error instanceof Failure)) throw error;
  const { what, remedy } = error.parts;
  if (what.trim() === "" || remedy.trim() === "" || what.startsWith("Something unexpected"))
    throw new Error(`This says nothing: ${error.message}`, { cause: error });
  if (error.message.length > 4000)
    throw new Error(`Nobody reads ${error.message.length} letters`, { cause: error });
}

/** Numbers that are written where others were. */
const numbers = [
  "-1",
  "0",
  "1",
  "7",
  "255",
  "4294967296",
  "2147483647",
  "9007199254740993",
  "1e308",
  "1e999",
  "0.5",
  "NaN",
];
const words = [
  "__proto__",
  "constructor",
  "../../x",
  "null",
  '"',
  "[[[[[[",
  "{",
  "\u0000",
  "F64",
  "a".repeat(5000),
];

/** A place in a file: anywhere, near its start where headers are, or near its end where directories of zips are. */
const place = fc.oneof(
  fc.nat(2 ** 30).map((n) => (size: number) => n % size),
  fc.nat(4000).map((n) => (size: number) => n % size),
  fc.nat(400).map((n) => (size: number) => Math.max(0, size - 1 - n)),
);
type Damage = (bytes: Buffer) => Buffer;
const at = (place: (size: number) => number, bytes: Buffer) => place(Math.max(1, bytes.length));

function filled(bytes: Buffer, from: number, length: number, value: number): Buffer {
  bytes.subarray(from, from + length).fill(value);
  return bytes;
}

/** Writes `text` where the next run of letters that fit is. */
const rewrite =
  (fits: RegExp, place: (size: number) => number, text: string): Damage =>
  (bytes) => {
    const from = at(place, bytes);
    const found = fits.exec(bytes.toString("latin1", from, from + 3000));
    if (!found) return bytes;
    const begin = from + found.index;
    return Buffer.concat([
      bytes.subarray(0, begin),
      Buffer.from(text),
      bytes.subarray(begin + found[0].length),
    ]);
  };

const damage: fc.Arbitrary<Damage> = fc.oneof(
  {
    arbitrary: fc.tuple(place, fc.nat(255)).map(
      ([p, value]): Damage =>
        (b) =>
          filled(b, at(p, b), 1, value),
    ),
    weight: 4,
  },
  {
    arbitrary: fc.tuple(place, fc.nat(7)).map(
      ([p, bit]): Damage =>
        (b) => {
          if (b.length > 0) b[at(p, b)]! ^= 1 << bit;
          return b;
        },
    ),
    weight: 4,
  },
  fc.tuple(place, fc.constantFrom(4, 8), fc.constantFrom(0, 0x7f, 0xff)).map(
    ([p, length, value]): Damage =>
      (b) =>
        filled(b, at(p, b), length, value),
  ),
  place.map(
    (p): Damage =>
      (b) =>
        b.subarray(0, at(p, b)),
  ),
  fc.tuple(place, place, fc.nat(300)).map(
    ([from, to, length]): Damage =>
      (b) =>
        Buffer.concat([
          b.subarray(0, at(to, b)),
          b.subarray(at(from, b), at(from, b) + length),
          b.subarray(at(to, b)),
        ]),
  ),
  fc.tuple(place, fc.nat(300)).map(
    ([p, length]): Damage =>
      (b) =>
        Buffer.concat([b.subarray(0, at(p, b)), b.subarray(at(p, b) + length)]),
  ),
  {
    arbitrary: fc.tuple(place, fc.constantFrom(...numbers)).map(([p, text]) => rewrite(/\d+/, p, text)),
    weight: 4,
  },
  {
    arbitrary: fc.tuple(place, fc.constantFrom(...words)).map(([p, text]) => rewrite(/\w+/, p, text)),
    weight: 2,
  },
  fc.tuple(place, fc.json({ maxDepth: 3 })).map(([p, text]) => rewrite(/"[^"]*"|\d+|\[[^\]]*\]/, p, text)),
  // Nothing of the real file is left.
  fc.oneof(fc.json(), fc.string()).map(
    (text): Damage =>
      () =>
        Buffer.from(text),
  ),
  fc.uint8Array({ maxLength: 600 }).map(
    (bytes): Damage =>
      () =>
        Buffer.from(bytes),
  ),
);

const input = fc.record({
  source: fc.nat(1000),
  file: fc.nat(1000),
  damages: fc.array(damage, { minLength: 1, maxLength: 4 }),
});

async function damaged(given: Given, file: number, damages: readonly Damage[]): Promise<Given> {
  const which = file % given.length;
  const { path, blob } = given[which] as SourceFile;
  let bytes: Buffer = Buffer.from(await blob.arrayBuffer());
  for (const one of damages) bytes = one(bytes);
  return given.with(which, { path, blob: new Blob([new Uint8Array(bytes)]) });
}

const names = Object.keys(parsers);

test.each(names)(
  "%s: damaged and made-up ones are read, or refused with a sentence, in a second and 512 MB",
  { timeout: 3_600_000 },
  async (name) => {
    const { real, read, damages: which, refuses = true } = parsers[name] as Parser;
    const sources = await real();
    expect(sources.length).toBeGreaterThan(0);
    // Real ones are read, all but those that are made to run code: what is refused below is refused for its damage.
    let whole = 0;
    for (const [i, files] of sources.entries())
      await Promise.resolve(read(files, i)).then(() => whole++, refusedOnly);
    expect(whole).toBeGreaterThan(sources.length / 2);
    // Peak of the whole process, which is more than what any one input takes.
    const before = process.memoryUsage().rss;
    const seen = { read: 0, refused: 0, slowest: 0 };
    await fc.assert(
      fc.asyncProperty(input, async ({ source, file, damages }) => {
        const at = source % sources.length;
        const files = await damaged(sources[at] as Given, which === "first" ? 0 : file, damages);
        const began = process.cpuUsage();
        try {
          await read(files, at);
          seen.read++;
        } catch (error) {
          refusedOnly(error);
          seen.refused++;
        }
        const { user, system } = process.cpuUsage(began);
        seen.slowest = Math.max(seen.slowest, (user + system) / 1e6);
        expect((user + system) / 1e6, "seconds of CPU").toBeLessThan(MOST_SECONDS);
        expect(process.resourceUsage().maxRSS * 1024 - before, "bytes at most").toBeLessThan(MOST_BYTES);
      }),
      { numRuns: Math.ceil(inputs / names.length), seed },
    );
    if (refuses) expect(seen.refused).toBeGreaterThan(0);
    if (process.env.SELORA_INPUTS)
      console.log(
        `${name}: ${seen.read} read, ${seen.refused} refused, the slowest in ${Math.round(seen.slowest * 1000)} ms, ${Math.round((process.resourceUsage().maxRSS * 1024 - before) / 1e6)} MB at most`,
      );
  },
);
