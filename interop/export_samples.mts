// Exports a checkpoint with known changes, for check_export.py:
//   npx tsx interop/export_samples.mts SOURCE_FOLDER OUT_FOLDER
// Two matrices and a bias get a fixed pattern added, the head becomes one of four classes. OUT_FOLDER gets the model,
// and beside it OUT_FOLDER.weights.json holds every changed tensor as it was asked for.
import { mkdirSync, openAsBlob, readdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { openCheckpoint } from "../src/checkpoint/open_checkpoint.ts";
import { writeMerged } from "../src/export/merged.ts";

const [source, out] = process.argv.slice(2);
if (!source || !out) throw new Error("SOURCE_FOLDER OUT_FOLDER");
const files = await Promise.all(
  readdirSync(source).map(async (file) => ({
    path: `${basename(source)}/${file}`,
    blob: await openAsBlob(join(source, file)),
  })),
);
const checkpoint = await openCheckpoint(files, {});
const { architecture, roles, source: stored } = checkpoint;
const labels = ["axe", "bow", "cup", "drum"];
const pattern = (length: number, seed: number) =>
  Float32Array.from({ length }, (_, i) => 0.3 * Math.sin(0.37 * i + seed));

const changes = new Map<string, Float32Array<ArrayBuffer>>();
const last = architecture.layers - 1;
for (const [n, role] of ["layer.0.q.weight", `layer.${last}.fc2.weight`, `layer.${last}.o.bias`].entries()) {
  const values = (await checkpoint.read(role)) as Float32Array<ArrayBuffer>;
  const added = pattern(values.length, n);
  changes.set(role, values.map((value, i) => value + 0.1 * added[i]!));
}
changes.set("head.weight", pattern(labels.length * architecture.hiddenSize, 7));
changes.set("head.bias", pattern(labels.length, 8));

const { files: written, changed, total, notes } = await writeMerged(checkpoint, changes, labels);
mkdirSync(out, { recursive: true });
for (const { path, blob } of written) writeFileSync(join(out, path), Buffer.from(await blob.arrayBuffer()));
const prefix = stored.prefix || (architecture.family === "hf-vit" ? "vit." : "deit.");
const asked = [...changes].map(([role, values]) => {
  const head = role.startsWith("head.");
  const name = head
    ? role.replace("head", "classifier")
    : prefix + roles.get(role)!.source.slice(stored.prefix.length);
  return [name, [...values]];
});
writeFileSync(`${out}.weights.json`, JSON.stringify(Object.fromEntries(asked)));
console.log(JSON.stringify({ changed, total, notes, rows: checkpoint.table.length }));
