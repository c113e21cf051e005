// Which of the dropped files are the model, in every form it may come, and what is said when they are not all there.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Failure } from "../failure.ts";
import type { SourceFile } from "../source_file.ts";
import { familyFixture, fixture } from "./fixtures/load.ts";
import { readModelFiles } from "./model_files.ts";
import { openCheckpoint } from "./open_checkpoint.ts";
import { readSafetensors } from "./safetensors.ts";
import { writeShards } from "./sharded.ts";
import type { Weights } from "./types.ts";

const vit = fixture("vit");
const single = vit.find(({ path }) => path.endsWith(".safetensors")) as SourceFile;
const configs = vit.filter(({ path }) => path.endsWith(".json"));
const torch = (name: string, path = name): SourceFile => ({
  path,
  blob: new Blob([readFileSync(new URL(`fixtures_torch/${name}`, import.meta.url))]),
});
const text = (path: string, content: string | object): SourceFile => ({
  path,
  blob: new Blob([typeof content === "string" ? content : JSON.stringify(content)]),
});

const pickled = Uint8Array.from([0x80, 2, 0x4b, 1, 0x2e]);

async function failure(files: SourceFile[]): Promise<Failure> {
  const error = await openCheckpoint(files, {}).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(Failure);
  return error as Failure;
}

const shardName = (n: number) => `model-0000${n}-of-00003.safetensors`;

/** The real file of weights in three shards, in a folder. */
async function sharded(): Promise<SourceFile[]> {
  const { tensors, metadata } = await readSafetensors(single.blob, "f");
  const spread = tensors.map((tensor, i) => ({ ...tensor, file: shardName(1 + (i % 3)) }));
  return writeShards(spread, metadata).map(({ path, blob }) => ({ path: `vit/${path}`, blob }));
}

const binName = (n: number) => `pytorch_model-0000${n}-of-00002.bin`;

/** The same in two of PyTorch's files, with their index. */
async function binShards(change: (index: Index) => void = () => undefined): Promise<SourceFile[]> {
  const parts = [1, 2].map((n) => torch(`vit_${n}_of_2.bin`, `vit/${binName(n)}`));
  const index: Index = { metadata: { total_size: 1 }, weight_map: {} };
  for (const [i, part] of parts.entries())
    for (const { name } of (await readModelFiles([{ ...part, path: "one.bin" }])).weights.tensors)
      index.weight_map[name] = binName(i + 1);
  change(index);
  return [...parts, text("vit/pytorch_model.bin.index.json", index)];
}

type Index = { metadata?: { total_size?: number }; weight_map: Record<string, string> };
const isIndex = ({ path }: SourceFile) => path.endsWith(".index.json");
async function withIndex(change: (index: Index) => void): Promise<SourceFile[]> {
  const files = await sharded();
  const index = JSON.parse(await (files.find(isIndex) as SourceFile).blob.text()) as Index;
  change(index);
  return [...files.filter((file) => !isIndex(file)), text("vit/model.safetensors.index.json", index)];
}

test("a PyTorch file, shards of either kind and one safetensors file are the same network", async () => {
  const one = await openCheckpoint(vit, {});
  const forms = [
    [torch("vit.bin", "vit/pytorch_model.bin"), ...configs],
    [...(await sharded()), ...configs],
    [...(await binShards()), ...configs],
    [...(await binShards()).filter((f) => !isIndex(f)), ...configs],
    [torch("vit.bin", "vit/model.safetensors"), ...configs],
    [{ ...single, path: "vit/renamed.pth" }, ...configs],
  ];
  for (const files of forms) {
    const other = await openCheckpoint(files, {});
    expect(other.architecture).toEqual(one.architecture);
    expect([...other.roles.keys()].sort()).toEqual([...one.roles.keys()].sort());
    for (const role of one.roles.keys()) expect(await other.read(role)).toEqual(await one.read(role));
  }
});

// A header's length is the first thing in a file, and may look like the beginning of any other format.
test("a header of any length is one of safetensors", async () => {
  const opens = async (length: number) => {
    const header = '{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'.padEnd(length);
    const size = new DataView(new ArrayBuffer(8));
    size.setBigUint64(0, BigInt(length), true);
    const blob = new Blob([size, header, "x"]);
    const { weights } = await readModelFiles([{ path: "m/model.safetensors", blob }]);
    expect(weights.tensors).toHaveLength(1);
  };
  // Of pickles, gzip, JSON, Flax, and a bzip2 of which two bytes are there.
  const starts = [0x0280, 0x0380, 0x0480, 0x0580, 0x8b1f, 0x88b1f, 0x227b, 0xa080, 0xa088, 0xbf88, 0x5a42];
  for (const length of starts) await opens(length);
  await fc.assert(fc.asyncProperty(fc.integer({ min: 60, max: 70_000 }), opens), { numRuns: 300 });
});

test("a PyTorch file from before the zip format holds the same tensors, and one that is cut off is refused", async () => {
  const opened = async (file: SourceFile) => (await readModelFiles([file])).weights;
  const bytes = async ({ tensors, find }: Weights) =>
    Promise.all(tensors.map(async (one) => [one, await (await find(one)).bytes.arrayBuffer()]));
  expect(await bytes(await opened(torch("legacy.pth")))).toEqual(await bytes(await opened(torch("f32.pth"))));
  const { blob } = torch("legacy.pth");
  for (let length = blob.size - 1; length > 0; length -= 97) {
    const cut = { path: "a.pth", blob: blob.slice(0, length) };
    const error = await opened(cut)
      .then(bytes)
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(Failure);
  }
});

test("what stands beside the weights is not taken for them", async () => {
  const { weights, name } = await readModelFiles([
    ...vit,
    ...["training_args.bin", "optimizer.pt", "rng_state_0.pth", "pytorch_model.bin"].map((file) =>
      text(`vit/${file}`, "no weights"),
    ),
  ]);
  expect([weights.where, name]).toEqual(["vit/model.safetensors", "vit"]);
  const alone = await readModelFiles([torch("f32.pth"), text("training_args.bin", "no weights")]);
  expect([alone.weights.where, alone.name]).toEqual(["f32.pth", "f32"]);
});

test("what was taken from a training checkpoint comes with the model", async () => {
  // Whatever its name: who has a teacher beside a student is DINO, prepared and resized as DINO.
  const { architecture, preprocessing, read, notes } = await openCheckpoint(
    [torch("dino_training.pth", "a.pth")],
    { heads: 2 },
  );
  expect(notes[0]).toContain('"teacher.backbone"');
  expect(notes[1]).toMatch(/^6 tensors beside the network are left out: "student\./);
  const released = await openCheckpoint(familyFixture("dino_vitsmall4"), { heads: 2 });
  expect([architecture, preprocessing]).toEqual([released.architecture, released.preprocessing]);
  expect(architecture.family).toBe("dino");
  for (const role of released.roles.keys()) expect(await read(role)).toEqual(await released.read(role));
});

test.each<[string, () => SourceFile[] | Promise<SourceFile[]>, RegExp]>([
  ["no files", () => [], /There are no files/],
  ["no weights", () => [text("readme.md", "words")], /no weights \(\.safetensors.*only "readme\.md"/],
  [
    "a pickle of another program",
    () => [{ path: "a.bin", blob: new Blob([pickled]) }],
    /none of PyTorch's files/,
  ],
  [
    "split PyTorch files that are not all here",
    () => [1, 2].map((n) => torch("f32.pth", `pytorch_model-0000${n}-of-00003.bin`)),
    /split over 3 files, and 1 of them is not here: number 3\./,
  ],
  ["a PyTorch file that wants to run something", () => [torch("os_system.pth")], /posix\.system/],
  [
    "shards without an index that are not all here",
    async () => (await sharded()).filter((f) => !isIndex(f) && !f.path.includes("00002")),
    /split over 3 files, and 1 of them is not here: number 2\./,
  ],
  [
    "an index without shards",
    async () => (await sharded()).filter(isIndex),
    /3 of the model's 3 files are missing: "model-00001-of-00003.safetensors"/,
  ],
  [
    "a shard that is missing",
    async () => (await sharded()).filter(({ path }) => !path.includes("00002")),
    /1 of the model's 3 files is missing: "model-00002-of-00003.safetensors"\. Choose the index and all/,
  ],
  [
    "an empty index",
    () => withIndex((index) => Object.assign(index, { weight_map: {} })),
    /names no tensors/,
  ],
  [
    "an index without a map",
    () => withIndex((index) => Object.assign(index, { weight_map: 3 })),
    /weight_map/,
  ],
  [
    "an index that points elsewhere",
    () =>
      withIndex(({ weight_map: map }) => Object.assign(map, { "vit.layernorm.bias": "../x.safetensors" })),
    /"\.\.\/x\.safetensors", which is no file of weights beside it/,
  ],
  [
    "an index that lies about the size",
    () => withIndex((index) => Object.assign(index, { metadata: { total_size: 5 } })),
    /says the tensors have 5 bytes, but the files hold \d+/,
  ],
  [
    "an index without any map",
    async () => [
      text("vit/pytorch_model.bin.index.json", {}),
      ...(await binShards()).filter((f) => !isIndex(f)),
    ],
    /no weight_map/,
  ],
  [
    "a tensor that is in no shard of PyTorch's",
    () => binShards(({ weight_map: map }) => Object.assign(map, { "vit.extra": binName(1) })),
    /"vit.extra" should be in "pytorch_model-00001-of-00002.bin", but is not there/,
  ],
  [
    "a shard of PyTorch's that is missing",
    async () => (await binShards()).filter(({ path }) => !path.includes("00002-of")),
    /1 of the model's 2 files is missing: "pytorch_model-00002-of-00002.bin"/,
  ],
  [
    "a tensor in another shard than the index says",
    () =>
      withIndex(({ weight_map: map }) => {
        const name = "vit.layernorm.bias";
        map[name] = map[name] === shardName(1) ? shardName(2) : shardName(1);
      }),
    /"vit.layernorm.bias" is in "model-0000\d.*, but the index says "model-0000\d/,
  ],
  [
    "a tensor the index does not name",
    () => withIndex(({ weight_map: map }) => delete map["vit.layernorm.bias"]),
    /"vit.layernorm.bias" is in .*, but the index says nothing of it/,
  ],
  [
    "a tensor that is in no shard",
    () => withIndex(({ weight_map: map }) => Object.assign(map, { "vit.extra": shardName(1) })),
    /"vit.extra" should be in .*, but is not there/,
  ],
  [
    "a tensor in two shards",
    async () => {
      const { tensors } = await readSafetensors(single.blob, "f");
      const twice = [1, 2].flatMap((n) =>
        writeShards([tensors[0]!], {}).map(({ blob }) => ({ path: shardName(n), blob })),
      );
      const map = { [tensors[0]!.name]: shardName(1), other: shardName(2) };
      return [...twice, text("model.safetensors.index.json", { weight_map: map })];
    },
    /stands in two files, "model-00001-of-00003.safetensors" and "model-00002-of-00003.safetensors"/,
  ],
  [
    "an index with a name twice",
    async () => [
      ...(await sharded()).filter((f) => !isIndex(f)),
      text(
        "vit/model.safetensors.index.json",
        `{"weight_map":{"a":"${shardName(1)}","a":"${shardName(2)}"}}`,
      ),
    ],
    /"a" stands twice/,
  ],
  [
    "a shard that is cut off",
    async () =>
      (await sharded()).map((f) => (f.path.includes("00002") ? { ...f, blob: f.blob.slice(0, 3000) } : f)),
    /model-00002-of-00003\.safetensors: .*cut off/,
  ],
])("%s: refused with a sentence", async (_, files, sentence) => {
  expect((await failure(await files())).message).toMatch(sentence);
});

test("an index whose places are shuffled: the same network, or a Failure", async () => {
  const files = await sharded();
  const index = JSON.parse(await (files.find(isIndex) as SourceFile).blob.text()) as Index;
  const names = Object.keys(index.weight_map);
  const seen = { same: 0, failed: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.tuple(
          fc.nat(names.length - 1),
          fc.oneof(fc.integer({ min: 1, max: 3 }).map(shardName), fc.string()),
        ),
        {
          minLength: 1,
          maxLength: 2,
        },
      ),
      async (changes) => {
        const map = { ...index.weight_map };
        for (const [i, place] of changes) map[names[i]!] = place;
        const same = names.every((name) => map[name] === index.weight_map[name]);
        const changed = text("vit/model.safetensors.index.json", { ...index, weight_map: map });
        const result = await readModelFiles([...files.filter((f) => !isIndex(f)), changed]).catch(
          (e: unknown) => e,
        );
        expect(result instanceof Failure).toBe(!same);
        seen[same ? "same" : "failed"]++;
      },
    ),
    { numRuns: 60 },
  );
  expect(Math.min(seen.same, seen.failed)).toBeGreaterThan(0);
});
