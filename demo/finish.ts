// Makes the finished run that the studio shows without waiting: the demo's recipe, run to its end on WASM, its result,
// what was drawn of it, and its tensors, as one file. To be run anew when the demo's model, pictures or recipe change, or
// what a run comes to; src/studio/files/finished_run.test.ts says when it no longer fits.
//
//   npx tsx demo/finish.ts      public/demo/ -> public/demo/finished.run
//
// The file is the JSON of saved_run_files.ts, the snapshot among it, through gzip. A run that has ended makes no further
// step, so the optimiser's moments are left at 0, which takes no room.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { createNodeSession } from "../src/session/node.ts";
import type { SessionEvent, SourceFile } from "../src/session/protocol.ts";
import { defaultRecipe } from "../src/session/recipe.ts";
import { thinEvenly } from "../src/session/run_record.ts";
import { packJson } from "../src/session/saved_run_files.ts";
import { readSnapshot, writeSnapshot } from "../src/training/snapshot_file.ts";

const demo = join(import.meta.dirname, "..", "public", "demo");
/** Most of each that is drawn. */
const LIMITS = { frames: 60, steps: 150 };

const source = (path: string, at: string): SourceFile => ({
  path,
  blob: new Blob([readFileSync(join(demo, at))]),
});

async function finish(): Promise<void> {
  const index = JSON.parse(readFileSync(join(demo, "data", "index.json"), "utf8"));
  const session = createNodeSession();
  await session.open("wasm");
  const files = ["model.safetensors", "config.json", "preprocessor_config.json"];
  await session.loadModel(
    files.map((file) => source(`demo-vit/${file}`, `model/${file}`)),
    {},
  );
  for (const role of ["target", "ood", "retention"] as const)
    for (const { title, file } of [index[role]].flat())
      await session.loadData(role, title, [source(file, `data/${file}`)], defaultRecipe.seed);

  const events: SessionEvent[] = [];
  session.subscribe((event) => events.push(event));
  const { gates } = await session.train({ ...defaultRecipe, ...index.recipe }, "demo");
  const saved = await session.saveRun();
  if (!saved) throw new Error("there is no run to save");
  const snapshot = await readSnapshot(saved.snapshot);
  for (const { data } of Object.values(snapshot.optimiser.moments)) data.fill(0);
  const history = {
    gates,
    frames: thinEvenly(
      events.flatMap((event) => (event.kind === "gates" ? [event.frame] : [])),
      LIMITS.frames,
    ),
    steps: thinEvenly(
      events.flatMap((event) => (event.kind === "step" ? [event.report] : [])),
      LIMITS.steps,
    ),
    points: events.flatMap((event) => (event.kind === "accuracy" ? [event.point] : [])),
  };
  const bytes = new Uint8Array(await writeSnapshot(snapshot).arrayBuffer());
  const packed = gzipSync(packJson({ saved: { ...saved, snapshot: bytes }, history }), { level: 9 });
  writeFileSync(join(demo, "finished.run"), packed);
  console.log(`finished.run: ${packed.length.toLocaleString("en")} bytes`);
}

await finish();
process.exit(0);
