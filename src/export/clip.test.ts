// Exports of CLIP and SigLIP, read back: a classifier of the library where the pooling is its own, else the model as it
// was with its classifier beside it. That transformers and open_clip read them is interop/check_clip_export.py's to show.
import { expect, test } from "vitest";
import { fixture } from "../checkpoint/fixtures/load.ts";
import { openCheckpoint } from "../checkpoint/open_checkpoint.ts";
import { featureSize, type Pooling } from "../checkpoint/pooling.ts";
import { readSafetensors } from "../checkpoint/safetensors.ts";
import type { ModelAnswers } from "../checkpoint/types.ts";
import { writeMerged } from "./merged.ts";

const labels = ["axe", "bow", "cup", "__proto__"];
const noOpenClip: ModelAnswers = { heads: 2, activation: "gelu" };

async function exported(name: string, pooling: Pooling | undefined, answers: ModelAnswers = {}) {
  const before = await openCheckpoint(fixture(name), answers);
  const { architecture } = before;
  const chosen = pooling ?? architecture.pooling;
  const q = (await before.read("layer.1.q.weight")) as Float32Array<ArrayBuffer>;
  const size = labels.length * featureSize(architecture, chosen);
  const changes = new Map([
    ["layer.1.q.weight", q.map((value, i) => value + 0.01 * Math.sin(i))],
    ["head.weight", Float32Array.from({ length: size }, (_, i) => Math.cos(i))],
    ["head.bias", Float32Array.from({ length: labels.length }, (_, i) => i / 3)],
  ]);
  const merged = await writeMerged(before, changes, labels, pooling);
  const after = await openCheckpoint(merged.files, answers);
  const json = async (path: string) =>
    JSON.parse(await merged.files.find((file) => file.path === path)!.blob.text());
  return { before, changes, merged, after, chosen, json };
}

const bytes = async (blob: Blob) => new Uint8Array(await blob.arrayBuffer());

const cases: [folder: string, pooling: Pooling | undefined, apart: boolean, answers?: ModelAnswers][] = [
  ["clip", undefined, true],
  ["clip", "cls-mean", true],
  ["clip", "raw-mean", false],
  ["clip-f16", undefined, true],
  ["clip-vision", undefined, true],
  ["clip-vision", "raw-mean", false],
  ["clip-vision-projection", undefined, true],
  ["clip-classifier", undefined, false],
  ["clip-classifier", "cls", true],
  ["siglip", undefined, true],
  ["siglip", "mean", false],
  ["siglip-vision", undefined, true],
  ["siglip-classifier", undefined, false],
  ["siglip-classifier", "attention", true],
  ["open-clip", undefined, true],
  ["openai-clip", undefined, true, { heads: 2 }],
  ["open-clip-siglip", undefined, true, noOpenClip],
  ["timm-siglip", undefined, false, noOpenClip],
  ["timm-siglip", "mean", true, noOpenClip],
];

test.each(cases)("%s with %s comes back", async (name, pooling, apart, answers) => {
  const { before, changes, merged, after, chosen } = await exported(name, pooling, answers);
  const paths = merged.files.map(({ path }) => path);
  expect(paths.includes("classifier.safetensors")).toBe(apart);
  expect(after.architecture).toMatchObject({ pooling: chosen, labels });
  // OpenAI's file is known by its name alone, which an export does not have; and only a whole CLIP has the map.
  const { pooling: _, labels: __, projectionSize, family, ...shape } = before.architecture;
  expect(after.architecture.family).toBe(family === "openai-clip" ? "open-clip" : family);
  expect(after.architecture.projectionSize).toBe(apart ? projectionSize : undefined);
  expect(after.architecture).toMatchObject(shape);
  expect(after.preprocessing).toEqual(before.preprocessing);
  expect(after.table.every(({ problem }) => problem === null)).toBe(true);

  const half = before.source.tensors.some(({ dtype }) => dtype === "F16");
  for (const [role, wanted] of changes) {
    const got = await after.read(role);
    expect(got.length).toBe(wanted.length);
    if (!half) expect(got, role).toEqual(wanted);
  }
  const stored = new Map(before.source.tensors.map((tensor) => [tensor.name, tensor]));
  const fresh = after.source.tensors.filter(({ pieces }) =>
    pieces.some(({ role }) => role.startsWith("head.")),
  );
  const touched = after.source.tensors.filter(({ pieces }) =>
    pieces.some(({ role }) => role === "layer.1.q.weight"),
  );
  expect([fresh.length, touched.length]).toEqual([2, 1]);
  expect([merged.changed, merged.total]).toEqual([3, after.source.tensors.length]);
  for (const tensor of after.source.tensors) {
    if (fresh.includes(tensor) || touched.includes(tensor)) continue;
    const same = stored.get(tensor.name) ?? stored.get(tensor.name.replace("vision_model.", ""));
    expect(await bytes(tensor.bytes), tensor.name).toEqual(await bytes(same!.bytes));
  }
  if (apart) {
    const heads = before.source.tensors.filter(({ name }) => /^(classifier|head)\.(weight|bias)$/.test(name));
    expect(after.source.tensors.length).toBe(before.source.tensors.length - heads.length + 2);
    expect(touched[0]!.name).toBe(
      before.source.tensors.find(({ pieces }) => pieces.some(({ role }) => role === "layer.1.q.weight"))!
        .name,
    );
  }
});

test("a library's classifier leaves the text tower behind, and says so", async () => {
  const { merged, after, json } = await exported("clip", "raw-mean");
  expect(after.source.tensors.some(({ name }) => /text|logit|visual_projection/.test(name))).toBe(false);
  expect(merged.notes.join(" ")).toContain("text tower");
  const config = await json("config.json");
  expect(config).toMatchObject({ architectures: ["CLIPForImageClassification"], model_type: "clip" });
  expect(config.id2label).toEqual({ 0: "axe", 1: "bow", 2: "cup", 3: "__proto__" });
  expect(config.vision_config).toMatchObject({ hidden_size: 16, hidden_act: "quick_gelu" });
});

test("an image tower alone becomes a classifier under the names and the config of one", async () => {
  const { after, json } = await exported("clip-vision", "raw-mean");
  expect(after.source.tensors[0]!.name).toMatch(/^vision_model\.|^classifier\./);
  expect(await json("config.json")).toMatchObject({
    architectures: ["CLIPForImageClassification"],
    model_type: "clip",
    vision_config: { model_type: "clip_vision_model", hidden_act: "gelu", num_attention_heads: 2 },
  });
});

test("with another pooling the model keeps class, config and text tower, and the classifier says what it reads", async () => {
  const { before, merged, json } = await exported("clip", undefined);
  expect(await json("config.json")).toEqual(before.source.config);
  expect(merged.notes.join(" ")).toMatch(/classifier\.safetensors.*byte for byte/);
  const head = merged.files.find(({ path }) => path === "classifier.safetensors")!;
  const { metadata, tensors } = await readSafetensors(head.blob, head.path);
  expect(JSON.parse(metadata.selora as string)).toEqual({ pooling: "projection", labels });
  expect(tensors.map(({ name, shape }) => [name, shape])).toEqual([
    ["classifier.weight", [4, 12]],
    ["classifier.bias", [4]],
  ]);
});

test("a CLIP that came without a config gets one that says what was answered", async () => {
  const { merged, json } = await exported("openai-clip", undefined, { heads: 2, activation: "gelu" });
  const again = await openCheckpoint(merged.files, {});
  expect(again.questions).toEqual([]);
  expect(again.architecture).toMatchObject({ heads: 2, activation: "gelu" });
  expect((await json("open_clip_config.json")).model_cfg).toMatchObject({
    embed_dim: 12,
    vision_cfg: { width: 16, layers: 2, head_width: 8, patch_size: 4, mlp_ratio: 1.5, image_size: 16 },
    text_cfg: { width: 8, layers: 1, vocab_size: 40, context_length: 8 },
  });
});

test("a classifier beside a model it does not fit is refused", async () => {
  const { merged } = await exported("clip", undefined);
  const head = merged.files.find(({ path }) => path === "classifier.safetensors")!;
  const into = (name: string) =>
    openCheckpoint([...fixture(name), { ...head, path: `${name}/${head.path}` }], {});
  await expect(into("siglip")).rejects.toThrow(/"projection", which this model cannot give/);
  await expect(into("clip-classifier")).rejects.toThrow(/has a classifier already/);
  expect((await into("clip-vision-projection")).architecture.labels).toEqual(labels);
});
