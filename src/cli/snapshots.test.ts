// A run under way is kept in its folder: as often as it is to be, only while it is one, and without harm to what is there.
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { createNodeSession } from "../session/node.ts";
import { recipeSchema } from "../session/recipe.ts";
import { readSavedRun, writeSavedRun } from "../session/saved_run_files.ts";
import { once, pictures } from "../session/testing.ts";
import { filesOnDisk } from "./model_files.ts";
import { openOut } from "./out_folder.ts";
import { keepSnapshots, snapshotPaths } from "./snapshots.ts";

const root = realpathSync(mkdtempSync(join(tmpdir(), "selora-snapshots-")));
afterAll(() => rmSync(root, { recursive: true }));

test("a run is kept while it trains, and what was kept comes back whole", async () => {
  const session = createNodeSession();
  await session.open("wasm");
  const fixture = join(import.meta.dirname, "..", "checkpoint", "fixtures", "vit");
  await session.loadModel(await filesOnDisk(fixture), {});
  await session.loadData(
    "target",
    "pets",
    await pictures("pets", ["cat", "dog"], { train: 4, val: 1, test: 2 }),
    0,
  );
  const out = await openOut(join(root, "out"), { reads: [], overwrite: false, tell: () => {} });
  const tell = vi.fn();
  const snapshots = keepSnapshots(session, out, "seed-0/", tell, 200);
  await snapshots.now();
  expect(readdirSync(out.path)).not.toContain("seed-0");
  let kept = 0;
  session.subscribe((event) => {
    if (event.kind !== "step" || event.report.step < 5 || kept > 0) return;
    kept = 1;
    void snapshots.now().then(() => session.stop());
  });
  const result = await session.train(recipeSchema.parse({ rank: 2, epochs: 1000, batch: 4 }));
  await snapshots.end();
  expect(result.complete).toBe(false);
  expect(tell).not.toHaveBeenCalled();
  const [run, state] = snapshotPaths("seed-0/").map((path) => new Blob([readFileSync(join(out.path, path))]));
  const saved = await readSavedRun(run as Blob, state as Blob);
  expect(saved.step).toBeGreaterThan(0);
  expect(saved.result).toBeNull();
  // What the session itself would make of it: it goes on from there.
  once(
    session,
    ({ kind }) => kind === "step",
    () => void session.stop(),
  );
  expect((await session.train(saved.recipe, saved)).steps).toBeGreaterThanOrEqual(saved.step);

  // A run that has ended holds arrays too.
  const ended = (await session.saveRun())!;
  const [first, second] = writeSavedRun(ended).map(({ blob }) => blob) as [Blob, Blob];
  expect((await readSavedRun(first, second)).result).toEqual(ended.result);
  await expect(readSavedRun(first, second.slice(1))).rejects.toThrow("cannot be read");
  await expect(readSavedRun(first.slice(0, 100), second)).rejects.toThrow("cannot be read");
  await out.close();
});

test("a disk that takes no snapshot is told of once", async () => {
  const out = await openOut(join(root, "full"), { reads: [], overwrite: false, tell: () => {} });
  let hear: (event: never) => void = () => {};
  const saved = { version: 1, snapshot: new Blob(["state"]), result: null };
  const session = {
    subscribe: (listener: typeof hear) => {
      hear = listener;
      return () => {};
    },
    saveRun: async () => saved,
  };
  const tell = vi.fn();
  const snapshots = keepSnapshots(session as never, out, "", tell, 1e6);
  hear({ kind: "started" } as never);
  writeFileSync(join(out.path, "saved_run.json"), "theirs");
  await snapshots.now();
  await snapshots.now();
  await snapshots.end();
  expect(tell.mock.calls).toEqual([[expect.stringContaining('"saved_run.json" is in the way')]]);
  expect(readFileSync(join(out.path, "saved_run.json"), "utf8")).toBe("theirs");
  await out.close();
});
