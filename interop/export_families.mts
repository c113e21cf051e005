// Exports a fixture of every family with known changes, at its own image size and at others, and says what the engine
// makes of them read back, for check_families.py:
//   npx tsx interop/export_families.mts OUT_FOLDER
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { families, familyFixture, fixture } from "../src/checkpoint/fixtures/load.ts";
import { openCheckpoint } from "../src/checkpoint/open_checkpoint.ts";
import { featureSize, type Pooling } from "../src/checkpoint/pooling.ts";
import type { ModelAnswers } from "../src/checkpoint/types.ts";
import { writeMerged } from "../src/export/merged.ts";
import { openBackend } from "../src/tensor/backend.ts";
import { ownClassifier } from "../src/vit/classifier.ts";
import { forward } from "../src/vit/forward.ts";
import { loadVit } from "../src/vit/weights.ts";

interface Case {
  folder: string;
  /** Absent: the model's own. */
  pooling?: Pooling;
  answers?: ModelAnswers;
  /** Without the source's config.json. */
  bare?: boolean;
  /** Part of the sample's name where one source is exported twice. */
  at?: string;
}

const cases: Case[] = [
  { folder: "vit" },
  { folder: "vit-bf16" },
  { folder: "vit-v5-names" },
  { folder: "vit-model" },
  { folder: "vit", answers: { imageSize: 24 }, at: "24px" },
  { folder: "deit" },
  { folder: "deit-teacher-f16" },
  { folder: "deit-teacher", answers: { imageSize: 12 }, at: "12px" },
  { folder: "clip", pooling: "projection" },
  { folder: "clip", pooling: "raw-mean" },
  { folder: "clip", pooling: "projection", answers: { imageSize: 24 }, at: "24px" },
  { folder: "clip-f16", pooling: "projection" },
  { folder: "clip-vision", pooling: "cls" },
  { folder: "clip-vision", pooling: "raw-mean" },
  { folder: "clip-vision-projection", pooling: "projection" },
  { folder: "clip-classifier", pooling: "raw-mean" },
  { folder: "siglip", pooling: "attention" },
  { folder: "siglip", pooling: "mean", answers: { imageSize: 24 }, at: "24px" },
  { folder: "siglip", pooling: "mean" },
  { folder: "siglip-vision", pooling: "attention" },
  { folder: "siglip-vision", pooling: "mean" },
  { folder: "siglip-classifier", pooling: "mean" },
  { folder: "open-clip", pooling: "projection" },
  { folder: "open-clip", pooling: "projection", answers: { imageSize: 24 }, at: "24px" },
  { folder: "openai-clip", pooling: "projection", answers: { heads: 2 } },
  { folder: "open-clip-siglip", pooling: "attention", answers: { heads: 2, activation: "gelu" } },
  { folder: "timm-siglip", pooling: "attention", answers: { heads: 2, activation: "gelu" } },
  ...families.map(({ name, answers }) => ({
    folder: `families/${name}`,
    // timm, which reads the original names, resizes positions in another way than their own code: nothing to resize.
    answers: "imageSize" in answers && answers.imageSize === 12 ? { ...answers, imageSize: 20 } : answers,
  })),
  { folder: "families/timm-reg4", answers: { imageSize: 24 }, at: "24px" },
  { folder: "families/timm-avg", answers: { imageSize: 24 }, at: "24px" },
  { folder: "families/timm-dinov3", answers: { imageSize: 24 }, at: "24px" },
  { folder: "families/hf-dinov2", answers: { imageSize: 24 }, at: "24px" },
  { folder: "families/hf-dinov2-registers", answers: { imageSize: 24 }, at: "24px" },
  { folder: "families/hf-dinov3", answers: { imageSize: 24 }, at: "24px" },
  { folder: "families/timm-clip", answers: { imageSize: 24 }, at: "24px" },
  { folder: "families/timm-clip", answers: { heads: 2, activation: "quick_gelu" }, bare: true, at: "bare" },
  { folder: "families/timm-gap", answers: { heads: 2 }, bare: true, at: "bare" },
  { folder: "families/timm-mean", answers: { heads: 2 }, bare: true, at: "bare" },
  { folder: "families/timm-gap", answers: { imageSize: 24 }, at: "24px" },
  { folder: "families/ijepa_vit", answers: { heads: 2, imageSize: 24 }, at: "24px" },
  { folder: "families/torchvision", answers: { heads: 2, imageSize: 24 }, at: "24px" },
  { folder: "families/hf-ijepa", answers: { imageSize: 24 }, at: "24px" },
];

const out = process.argv[2];
if (!out) throw new Error("OUT_FOLDER");
await openBackend("wasm");
const labels = ["axe", "bow", "cup", "drum"];
// The same formula stands in check_families.py.
const patterned = (size: number) =>
  Int32Array.from({ length: 2 * size * size * 3 }, (_, i) => (i * 7919 + (i >> 3)) % 256);
const expected: Record<string, unknown> = {};
for (const { folder: source, answers = {}, at, bare = false, pooling: asked } of cases) {
  const name = source.replace("families/", "");
  const all = source === name ? fixture(source) : familyFixture(name);
  const files = bare ? all.filter(({ path }) => !path.endsWith("/config.json")) : all;
  const checkpoint = await openCheckpoint(files, answers);
  const { imageSize } = checkpoint.architecture;
  const pooling = asked ?? checkpoint.architecture.pooling;
  const changes = new Map<string, Float32Array<ArrayBuffer>>();
  for (const role of ["layer.0.q.weight", "layer.1.fc2.weight", "layer.1.v.weight"]) {
    const values = (await checkpoint.read(role)) as Float32Array<ArrayBuffer>;
    changes.set(role, values.map((value, i) => value + 0.05 * Math.sin(0.37 * i + role.length)));
  }
  const size = labels.length * featureSize(checkpoint.architecture, pooling);
  changes.set("head.weight", Float32Array.from({ length: size }, (_, i) => 0.3 * Math.cos(i)));
  changes.set("head.bias", Float32Array.from(labels, (_, i) => i / 3));
  const written = await writeMerged(checkpoint, changes, labels, pooling);
  const folder = [name, pooling, at].filter(Boolean).join(".");
  mkdirSync(join(out, folder), { recursive: true });
  for (const { path, blob } of written.files) {
    writeFileSync(join(out, folder, path), Buffer.from(await blob.arrayBuffer()));
  }
  // A grid that the family's library resizes while it runs stays as it is in a file.
  const again = await openCheckpoint(written.files, { ...answers, imageSize });
  const weights = await loadVit(again.architecture, again.preprocessing, again.read);
  const classifier = ownClassifier(weights);
  const images = tf.tensor4d(patterned(imageSize), [2, imageSize, imageSize, 3], "int32");
  const { features } = forward(weights, { pixels: images }, null, { pooling: classifier.pooling });
  const { mean, std } = again.preprocessing;
  expected[folder] = {
    source,
    size: imageSize,
    pooling,
    mean,
    std,
    changed: written.changed,
    total: written.total,
    logits: await classifier.logits(features).array(),
  };
  tf.dispose([images, features.pooled]);
  weights.dispose();
}
writeFileSync(join(out, "expected.json"), JSON.stringify(expected));
process.exit(0);
