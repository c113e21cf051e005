// The exported folder, read back by the checkpoint room: what was asked for is there, the rest is untouched.
// That its own library reads it as well is interop/check_families.py's to show.
import { expect, test } from "vitest";
import { families, familyFixture, fixture } from "../checkpoint/fixtures/load.ts";
import { openCheckpoint } from "../checkpoint/open_checkpoint.ts";
import { featureSize } from "../checkpoint/pooling.ts";
import { readSafetensors, writeSafetensors } from "../checkpoint/safetensors.ts";
import { writeShards } from "../checkpoint/sharded.ts";
import type { Checkpoint, ModelAnswers } from "../checkpoint/types.ts";
import { Failure } from "../failure.ts";
import { writeMerged } from "./merged.ts";

const labels = ["axe", "bow", "cup", "__proto__"];

/** A new head for `labels` and one changed matrix. */
async function changesFor(checkpoint: Checkpoint): Promise<Map<string, Float32Array<ArrayBuffer>>> {
  const { hiddenSize } = checkpoint.architecture;
  const q = (await checkpoint.read("layer.1.q.weight")) as Float32Array<ArrayBuffer>;
  return new Map([
    ["layer.1.q.weight", q.map((value, i) => value + 0.01 * Math.sin(i))],
    ["head.weight", Float32Array.from({ length: labels.length * hiddenSize }, (_, i) => Math.cos(i))],
    ["head.bias", Float32Array.from({ length: labels.length }, (_, i) => i / 3)],
  ]);
}

async function exported(name: string, answers: ModelAnswers = {}, only?: string) {
  const files = only ? fixture(name).filter(({ path }) => path.endsWith(only)) : fixture(name);
  const before = await openCheckpoint(files, answers);
  const changes = await changesFor(before);
  const merged = await writeMerged(before, changes, labels);
  const after = await openCheckpoint(merged.files, {});
  const json = async (path: string) =>
    JSON.parse(await merged.files.find((file) => file.path === path)!.blob.text());
  return { before, changes, merged, after, json };
}

const isWeights = ({ path }: { path: string }) => path.endsWith(".safetensors");
const bytes = async (blob: Blob) => new Uint8Array(await blob.arrayBuffer());

// Rounding steps of the dtypes, relative; half of one is the most that rounding may move a value.
const half = { F32: 0, F16: 2 ** -11, BF16: 2 ** -8 };

test.each([
  ["vit", "F32"],
  ["vit-f16", "F16"],
  ["vit-bf16", "BF16"],
  ["vit-v5-names", "F32"],
  ["vit-no-qkv-bias", "F32"],
  ["vit-model", "F32"],
  ["deit", "F32"],
  ["deit-teacher", "F32"],
  ["deit-teacher-f16", "F16"],
] as const)(
  "%s comes back with the change, the new head and the rest byte-identical",
  async (name, dtype) => {
    const { before, changes, merged, after } = await exported(name);
    expect(after.architecture).toEqual({ ...before.architecture, labels, distillationHead: false });
    expect(after.preprocessing).toEqual(before.preprocessing);
    expect(after.table.every((row) => row.role !== null && row.problem === null)).toBe(true);
    expect(after.table.every((row) => row.dtype === dtype)).toBe(true);
    expect([merged.changed, merged.total]).toEqual([3, after.table.length]);

    for (const [role, wanted] of changes) {
      const got = await after.read(role);
      const worst = got.reduce((w, value, i) => Math.max(w, Math.abs(value - wanted[i]!)), 0);
      const largest = wanted.reduce((w, value) => Math.max(w, Math.abs(value)), 0);
      expect(worst, role).toBeLessThanOrEqual(half[dtype] * largest);
      if (dtype === "F32") expect(got).toEqual(wanted);
    }
    const roleOf = ({ pieces }: Checkpoint["source"]["tensors"][number]) => pieces[0]?.role;
    const stored = new Map(before.source.tensors.map((tensor) => [roleOf(tensor), tensor]));
    let untouched = 0;
    for (const tensor of after.source.tensors) {
      if (changes.has(roleOf(tensor)!)) continue;
      const old = stored.get(roleOf(tensor))!;
      expect(await bytes(tensor.bytes), tensor.name).toEqual(await bytes(old.bytes));
      expect(tensor.name.endsWith(old.name)).toBe(true);
      untouched++;
    }
    expect(untouched).toBe(after.table.length - 3);
  },
);

test("names stay as the source spells them; a base gets its classifier's prefix", async () => {
  const names = async (name: string) => (await exported(name)).after.table.map((row) => row.name);
  const legacy = await names("vit");
  expect(legacy.filter((name) => !name.startsWith("classifier."))).toEqual(
    (await openCheckpoint(fixture("vit"), {})).table
      .map((row) => row.name)
      .filter((name) => !name.startsWith("classifier.")),
  );
  expect([...(await names("vit-model"))].sort()).toEqual([...legacy].sort());
  expect(await names("vit-v5-names")).toContain("vit.layers.1.attention.q_proj.weight");
  const teacher = await names("deit-teacher");
  expect(teacher).toContain("deit.embeddings.distillation_token");
  expect(teacher.filter((name) => name.includes("classifier"))).toEqual([
    "classifier.weight",
    "classifier.bias",
  ]);
});

test("a DeiT base without prefix and head becomes a DeiT classifier", async () => {
  const files = await Promise.all(
    fixture("deit").map(async ({ path, blob }) => {
      if (!path.endsWith(".safetensors")) return { path, blob };
      const { tensors, metadata } = await readSafetensors(blob, path);
      const base = tensors
        .filter(({ name }) => name.startsWith("deit."))
        .map((tensor) => ({ ...tensor, name: tensor.name.slice("deit.".length) }));
      return { path, blob: writeSafetensors(base, metadata) };
    }),
  );
  const base = await openCheckpoint(files, {});
  expect(base.architecture).toMatchObject({ family: "hf-deit", prefixTokens: 2, labels: null });
  const merged = await writeMerged(base, await changesFor(base), labels);
  const after = await openCheckpoint(merged.files, {});
  expect(after.source.prefix).toBe("deit.");
  expect(after.architecture).toEqual({ ...base.architecture, labels });
  const whole = (await openCheckpoint(fixture("deit"), {})).table.map((row) => row.name);
  expect(after.table.map((row) => row.name).sort()).toEqual(whole.sort());
});

test("config.json has the new classes and class name, and keeps what it had", async () => {
  const { json, before } = await exported("vit");
  const config = await json("config.json");
  expect(config).toEqual({
    ...before.source.config,
    num_labels: 4,
    id2label: { 0: "axe", 1: "bow", 2: "cup", 3: "__proto__" },
    label2id: Object.fromEntries(labels.map((label, i) => [label, i])),
  });
  expect(Object.keys(config.label2id)).toContain("__proto__");
  expect((await (await exported("vit-model")).json("config.json")).architectures).toEqual([
    "ViTForImageClassification",
  ]);
  expect(await (await exported("deit-teacher")).json("config.json")).toMatchObject({
    architectures: ["DeiTForImageClassification"],
    model_type: "deit",
  });
});

test("what was answered stands in the files that are written, so that nothing is asked again", async () => {
  const answers: ModelAnswers = {
    heads: 4,
    activation: "gelu_tanh",
    layerNormEps: 1e-6,
    mean: [0.1, 0.2, 0.3],
    std: [0.4, 0.5, 0.6],
    resize: 20,
    interpolation: "lanczos",
  };
  for (const only of [undefined, ".safetensors"]) {
    const { before, after, json } = await exported("vit", answers, only);
    expect(after.questions).toEqual([]);
    expect(after.architecture).toEqual({ ...before.architecture, labels });
    expect(after.preprocessing).toEqual(before.preprocessing);
    expect(await json("config.json")).toMatchObject({
      hidden_act: "gelu_pytorch_tanh",
      num_attention_heads: 4,
    });
  }
});

test("preprocessor_config.json is the source's where that is what was done, else says what was", async () => {
  const kept = await exported("deit");
  expect(await kept.json("preprocessor_config.json")).toEqual(kept.before.source.preprocessorConfig);
  // The usual values were in use, and are written down.
  const usual = await exported("deit", {}, "model.safetensors");
  expect(await usual.json("preprocessor_config.json")).toMatchObject({
    image_processor_type: "DeiTImageProcessor",
    size: { height: 18, width: 18 },
    crop_size: { height: 16, width: 16 },
    resample: 3,
  });
  const { source, architecture, preprocessing } = kept.before;
  const changed = await writeMerged(
    { source, architecture, preprocessing: { ...preprocessing, resize: { mode: "shortest", edge: 18 } } },
    await changesFor(kept.before),
    labels,
  );
  const blob = changed.files.find(({ path }) => path === "preprocessor_config.json")!.blob;
  expect(JSON.parse(await blob.text())).toMatchObject({
    image_processor_type: "CLIPImageProcessor",
    size: { shortest_edge: 18 },
  });
  expect((await openCheckpoint(changed.files, {})).preprocessing.resize).toEqual({
    mode: "shortest",
    edge: 18,
  });
});

test("a change that rounds to what was there is no change", async () => {
  const before = await openCheckpoint(fixture("vit-f16"), {});
  const changes = new Map<string, Float32Array<ArrayBuffer>>();
  for (const role of ["layer.0.k.weight", "layer.0.v.weight"]) {
    changes.set(role, (await before.read(role)) as Float32Array<ArrayBuffer>);
  }
  const nudged = changes.get("layer.0.v.weight")!;
  nudged[3]! *= 1 + 2 ** -13;
  const own = before.architecture.labels!;
  expect(await writeMerged(before, changes, own)).toMatchObject({ changed: 0, total: before.table.length });
  nudged[3]! *= 1 + 2 ** -9;
  expect(await writeMerged(before, changes, own)).toMatchObject({ changed: 1 });
});

test("without a new head the source's own is kept, and must fit the labels", async () => {
  const vit = await openCheckpoint(fixture("vit"), {});
  const merged = await writeMerged(vit, new Map(), vit.architecture.labels!);
  const original = fixture("vit").find(({ path }) => path.endsWith(".safetensors"))!.blob;
  const after = await readSafetensors(merged.files[0]!.blob, "after");
  for (const tensor of (await readSafetensors(original, "before")).tensors) {
    const same = after.tensors.find(({ name }) => name === tensor.name)!;
    expect(await bytes(same.bytes), tensor.name).toEqual(await bytes(tensor.bytes));
  }
  expect(after.metadata).toEqual({ format: "pt" });
  await expect(writeMerged(vit, new Map(), labels)).rejects.toThrow(/5 classes, not 4/);
  await expect(
    writeMerged(await openCheckpoint(fixture("vit-model"), {}), new Map(), labels),
  ).rejects.toThrow(/no classifier/);
});

test("a source in shards is written in the same shards, with an index that fits", async () => {
  const files = fixture("vit");
  const { tensors, metadata } = await readSafetensors(files.find(isWeights)!.blob, "f");
  const place = (i: number) => `model-0000${1 + (i % 2)}-of-00002.safetensors`;
  const shards = writeShards(
    tensors.map((tensor, i) => ({ ...tensor, file: place(i) })),
    metadata,
  ).map(({ path, blob }) => ({ path: `vit/${path}`, blob }));
  const vit = await openCheckpoint([...files.filter((file) => !isWeights(file)), ...shards], {});
  const merged = await writeMerged(vit, await changesFor(vit), labels);
  expect(merged.files.map(({ path }) => path).sort()).toEqual([
    "config.json",
    place(0),
    place(1),
    "model.safetensors.index.json",
    "preprocessor_config.json",
  ]);
  const again = await openCheckpoint(merged.files, {});
  for (const { name, file } of again.source.tensors)
    if (!name.startsWith("classifier"))
      expect(file).toBe(place(tensors.findIndex((tensor) => tensor.name === name)));
  const whole = await exported("vit");
  expect(merged.changed).toBe(whole.merged.changed);
});

test("what is left out is said", async () => {
  expect((await exported("vit")).merged.notes).toEqual([]);
  expect((await exported("deit-teacher")).merged.notes.join()).toMatch(/distillation head is left out/);
  const { notes } = (await exported("vit-model")).merged;
  expect(notes.join()).toMatch(/had no classifier.*3 tensors of the source/);
});

test("positions that the original code resizes while it runs stay as they are, and that is said", async () => {
  const notes = async (imageSize: number) => {
    const model = await openCheckpoint(familyFixture("dinov2"), { heads: 2, imageSize });
    const head = new Map([
      ["head.weight", new Float32Array(labels.length * 2 * model.architecture.hiddenSize)],
      ["head.bias", new Float32Array(labels.length)],
    ]);
    return (await writeMerged(model, head, labels)).notes.join();
  };
  expect(await notes(12)).toMatch(/stay those of 5 x 5 patches.*timm/);
  expect(await notes(20)).not.toMatch(/patches/);
});

test("a change that is not finite, too large for the dtype, misshapen or of no tensor is a Failure", async () => {
  const vit = await openCheckpoint(fixture("vit-f16"), {});
  const attempt = async (role: string, values: Float32Array<ArrayBuffer>) => {
    const changes = (await changesFor(vit)).set(role, values);
    const error = await writeMerged(vit, changes, labels).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(Failure);
    return (error as Failure).message;
  };
  const with7 = (value: number) => new Float32Array(24).fill(0.5).fill(value, 7, 8);
  const name = "vit.encoder.layer.0.attention.attention.query.bias";
  expect(await attempt("layer.0.q.bias", with7(Number.NaN))).toContain(
    `${name}: The trained weights hold NaN at index 7`,
  );
  expect(await attempt("layer.0.q.bias", with7(65520))).toContain("65520 at index 7 is too large for F16");
  expect(await attempt("layer.0.q.bias", new Float32Array(23))).toMatch(/23 values instead of 24/);
  expect(await attempt("head.weight", new Float32Array(5))).toMatch(/5 values instead of 96/);
  expect(await attempt("layer.9.q.bias", new Float32Array(24))).toMatch(/no such tensor/);
  // The largest half itself is fine.
  await writeMerged(vit, (await changesFor(vit)).set("layer.0.q.bias", with7(65519)), labels);
});

test.each(families)(
  "$name: names, dtype and every tensor that did not change are the source's",
  async (family) => {
    const before = await openCheckpoint(familyFixture(family.name), family.answers);
    const q = (await before.read("layer.1.q.weight")) as Float32Array<ArrayBuffer>;
    const width = featureSize(before.architecture, before.architecture.pooling);
    const changes = new Map([
      ["layer.1.q.weight", q.map((value, i) => value + 0.05 * Math.sin(i))],
      ["head.weight", Float32Array.from({ length: labels.length * width }, (_, i) => Math.cos(i))],
      ["head.bias", Float32Array.from({ length: labels.length }, (_, i) => i / 3)],
    ]);
    const merged = await writeMerged(before, changes, labels);
    const after = await openCheckpoint(merged.files, {});
    // A distilled network of timm is written as one with a register, an MAE's encoder as the plain ViT that it is.
    const differences: Record<string, object> = {
      "timm-distilled": { registers: 1 },
      "hf-mae": { family: "hf-vit" },
    };
    expect(after.architecture).toEqual({
      ...before.architecture,
      ...differences[family.name],
      labels,
      distillationHead: false,
    });
    expect(merged.changed).toBe(3);
    const isHead = (name: string) => /^(classifier|head|head_dist|heads\.head)\./.test(name);
    const prefix = /^(dinov2|dinov2_with_registers|vit|ijepa|module|(base|target)_encoder)\./;
    const same = (name: string) => name.replace(prefix, "").replace(prefix, "");
    const kept = before.source.tensors.filter(
      ({ name, pieces, carried }) => !isHead(name) && name !== "dist_token" && (pieces.length > 0 || carried),
    );
    const written = new Map(after.source.tensors.map((tensor) => [same(tensor.name), tensor]));
    let changed = 0;
    for (const tensor of kept) {
      const twin = written.get(same(tensor.name));
      expect([tensor.name, twin?.dtype]).toEqual([tensor.name, tensor.dtype]);
      if (Buffer.compare(await bytes(tensor.bytes), await bytes(twin!.bytes)) !== 0) changed++;
    }
    expect(changed).toBe(1);

    const config = JSON.parse(await merged.files.find(({ path }) => path === "config.json")!.blob.text());
    if (config.architecture === undefined) return;
    // timm builds what model_args say, above all else in the file.
    const apart = merged.files.some(({ path }) => path === "classifier.safetensors");
    const classes = apart ? 0 : labels.length;
    expect([config.num_classes, config.pretrained_cfg.num_classes]).toEqual([classes, classes]);
    expect([undefined, classes]).toContain(config.model_args.num_classes);
  },
);

test("a model in F64 is exported in F64: what was not changed to the bit, the rest as near as F32 is", async () => {
  const files = await Promise.all(
    fixture("vit").map(async (file) => {
      if (!isWeights(file)) return file;
      const { tensors, metadata } = await readSafetensors(file.blob, file.path);
      const wide = tensors.map(async (tensor) => {
        const values = Float64Array.from(new Float32Array(await tensor.bytes.arrayBuffer()), (x) => x / 3);
        return { ...tensor, dtype: "F64", bytes: new Blob([values]) };
      });
      return { ...file, blob: writeSafetensors(await Promise.all(wide), metadata) };
    }),
  );
  const before = await openCheckpoint(files, {});
  const changes = await changesFor(before);
  const merged = await writeMerged(before, changes, labels);
  const after = await openCheckpoint(merged.files, {});
  expect(after.table.filter(({ dtype }) => dtype !== "F64")).toEqual([]);
  for (const [role, values] of changes) expect(await after.read(role)).toEqual(values);
  const tensorsOf = async (from: typeof files) =>
    new Map((await readSafetensors(from.find(isWeights)!.blob, "w")).tensors.map((one) => [one.name, one]));
  const [old, written] = [await tensorsOf(files), await tensorsOf(merged.files)];
  const kept = after.table.filter(
    ({ role }) => !role?.includes("layer.1.q.weight") && !role?.startsWith("head."),
  );
  expect(kept.length).toBeGreaterThan(30);
  for (const { name } of kept)
    expect(await bytes(written.get(name)!.bytes)).toEqual(await bytes(old.get(name)!.bytes));
});
