// The engine's own logits of an exported folder, for check_export.py --logits:
//   npx tsx interop/engine_logits.mts FOLDER OUT.json [wasm|webgpu]
// OUT.json gets `inputs` [2, 3, H, W], normalised, of two patterned images, and `logits` [2, classes].
import { writeFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { openCheckpoint } from "../src/checkpoint/open_checkpoint.ts";
import { walkDirectory } from "../src/dataset/walk_node.ts";
import { type BackendChoice, openBackend } from "../src/tensor/backend.ts";
import { ownClassifier } from "../src/vit/classifier.ts";
import { forward } from "../src/vit/forward.ts";
import { loadVit } from "../src/vit/weights.ts";

const [folder, out, backend = "wasm"] = process.argv.slice(2);
if (!folder || !out) throw new Error("FOLDER OUT.json [wasm|webgpu]");
await openBackend(backend as BackendChoice);
const { architecture, preprocessing, read } = await openCheckpoint(await walkDirectory(folder), {});
const weights = await loadVit(architecture, preprocessing, read);

const size = architecture.imageSize;
const count = 2;
const pixels = Int32Array.from({ length: count * size * size * 3 }, (_, i) =>
  Math.round(127.5 + 127.5 * Math.sin(i * 0.013 + (i % 3) + Math.floor(i / (size * 97)))),
);
const images = tf.tensor4d(pixels, [count, size, size, 3], "int32");
const classifier = ownClassifier(weights);
const { features } = forward(weights, { pixels: images }, null, { dist: classifier.dist });
const logits = (await classifier.logits(features).array()) as number[][];

const { mean, std } = preprocessing;
const inputs = Array.from({ length: count }, (_, n) =>
  Array.from({ length: 3 }, (_, c) =>
    Array.from({ length: size }, (_, y) =>
      Array.from({ length: size }, (_, x) => {
        const value = pixels[((n * size + y) * size + x) * 3 + c] as number;
        return (value / 255 - (mean[c] as number)) / (std[c] as number);
      }),
    ),
  ),
);
writeFileSync(out, JSON.stringify({ inputs, logits }));
process.exit(0);
