// Sets that are too large to be decoded as they are loaded: pictures come when they are needed, a damaged one has a
// stand-in, and runs are the same bits as over a set that was decoded at once.
import { expect, test } from "vitest";
import { fixture } from "../checkpoint/fixtures/load.ts";
import { decodeImage } from "../dataset/decode_node.ts";
import type { DecodeImage } from "../dataset/types.ts";
import { folderHandle, type Tree } from "../open_folders_testing.ts";
import { createEngine } from "./engine.ts";
import type { DataReport, RunResult, SavedRun, Session, SourceFile } from "./protocol.ts";
import { defaultRecipe, type Recipe } from "./recipe.ts";
import { answersOf, listen, pictures } from "./testing.ts";

const recipe: Recipe = { ...defaultRecipe, rank: 2, epochs: 3, batch: 4, learningRate: 0.02 };
const damaged = (file: SourceFile): SourceFile => ({
  ...file,
  blob: file.blob.slice(0, file.blob.size - 20),
});

/** @param decodedAtLoad images up to which a set counts as small */
async function withModel(decodedAtLoad: number, decode: DecodeImage = decodeImage): Promise<Session> {
  const session = createEngine(decode, decodedAtLoad);
  await session.open("wasm");
  await session.loadModel(fixture("vit"), {});
  return session;
}

const split = { train: 6, val: 2, test: 3 };
const pets = () => pictures("pets", ["cat", "dog"], split);
const weightsOf = ({ final, after }: RunResult) => [
  [...final.scores],
  [...final.deltaNorm],
  answersOf({ after } as RunResult),
];

test("loading a large set decodes nothing, and a run over it is the one over a small set, bit by bit", async () => {
  let decoded = 0;
  const counting: DecodeImage = (blob, path) => {
    decoded++;
    return decodeImage(blob, path);
  };
  const large = await withModel(10, counting);
  const report = await large.loadData("target", "pets", await pets(), 0);
  expect(decoded).toBe(0);
  expect(report.count).toBe(22);
  const small = await withModel(1000);
  await small.loadData("target", "pets", await pets(), 0);
  expect(weightsOf(await large.train(recipe))).toEqual(weightsOf(await small.train(recipe)));
  expect(decoded).toBe(22);
});

test("a held-out image that cannot be read is left out before anything is measured", async () => {
  const files = await pets();
  const at = files.findIndex(({ path }) => path === "pets/test/cat/1.png");
  files[at] = damaged(files[at] as SourceFile);
  const runs: RunResult[] = [];
  for (const decodedAtLoad of [10, 1000]) {
    const session = await withModel(decodedAtLoad);
    await session.loadData("target", "pets", files, 0);
    runs.push(await session.train(recipe));
  }
  expect(runs[0]?.before.sets[0]?.count).toBe(5);
  expect(weightsOf(runs[0] as RunResult)).toEqual(weightsOf(runs[1] as RunResult));
});

/** Two cats and a dog to train on are damaged. */
async function someDamaged(): Promise<SourceFile[]> {
  const bad = new Set(["pets/train/cat/0.png", "pets/train/cat/5.png", "pets/train/dog/3.png"]);
  return (await pets()).map((file) => (bad.has(file.path) ? damaged(file) : file));
}

test("training images that cannot be read have stand-ins of their class; it is told, counted, and ends no run", async () => {
  const session = await withModel(10);
  await session.loadData("target", "pets", await someDamaged(), 0);
  const events = listen(session);
  const plain: Recipe = { ...recipe, augmentation: "none" };
  const result = await session.train(plain);
  expect(result.complete).toBe(true);
  expect(result.steps).toBe(9);
  const told = events.flatMap((event) => (event.kind === "notice" ? [event.text] : []));
  expect(told).toEqual([
    "3 images of pets cannot be read; others of their classes were taken in their place.",
  ]);
  const reports = events.flatMap((event): DataReport[] => (event.kind === "data" ? [event.report] : []));
  expect(reports.at(-1)?.count).toBe(19);
  expect(reports.at(-1)?.classes.map(({ counts }) => counts.train)).toEqual([4, 5]);
  expect(
    reports
      .at(-1)
      ?.issues.map(({ text }) => text)
      .join(" "),
  ).toContain("3 images cannot be read");
  // As if each stand-in lay in the other's place.
  const sources = new Map((await pets()).map((file) => [file.path, file.blob]));
  const stands: Record<string, string> = { "cat/0": "cat/1", "cat/5": "cat/1", "dog/3": "dog/4" };
  const replaced = (await pets()).map((file) => {
    const [, name] = /^pets\/train\/(.*)\.png$/.exec(file.path) ?? [];
    const other = name && stands[name];
    return other ? { ...file, blob: sources.get(`pets/train/${other}.png`) as Blob } : file;
  });
  const same = await withModel(1000);
  await same.loadData("target", "pets", replaced, 0);
  expect(weightsOf(await same.train(plain))).toEqual(weightsOf(result));
});

test("a run over damaged images that is gone on with elsewhere is the unbroken one, bit by bit", async () => {
  const whole = await withModel(10);
  await whole.loadData("target", "pets", await someDamaged(), 0);
  const unbroken = await whole.train(recipe);

  const first = await withModel(10);
  await first.loadData("target", "pets", await someDamaged(), 0);
  let saving: Promise<SavedRun | null> | null = null;
  first.subscribe((event) => {
    if (event.kind !== "step" || event.report.step < 4 || saving) return;
    saving = first.saveRun();
    void saving.then(() => first.stop());
  });
  await first.train(recipe);
  const saved = (await saving) as SavedRun | null;
  expect(saved?.step).toBeLessThan(9);
  const second = await withModel(10);
  await second.loadData("target", "pets", await someDamaged(), 0);
  expect(weightsOf(await second.train(recipe, saved as SavedRun))).toEqual(weightsOf(unbroken));
});

test("where a class has no image left, the next of another stands in under its own label", async () => {
  const bad = (await pets()).map((file) => (file.path.startsWith("pets/train/cat/") ? damaged(file) : file));
  const session = await withModel(10);
  await session.loadData("target", "pets", bad, 0);
  const result = await session.train(recipe);
  expect(result.complete).toBe(true);
  // Nothing but dogs was seen.
  expect(new Set(result.after.sets[0]?.predictions)).toEqual(new Set([1]));
});

test("where no image is left, the run ends with a sentence, and the set is still there", async () => {
  const bad = (await pets()).map((file) => (file.path.startsWith("pets/train/") ? damaged(file) : file));
  const session = await withModel(10);
  await session.loadData("target", "pets", bad, 0);
  await expect(session.train(recipe)).rejects.toThrow("None of the images of pets can be read");
  expect((await session.loadData("ood", "more", await pets(), 0)).count).toBe(22);
});

test("a stop while files are listed, or read before a run, leaves everything as it was", async () => {
  const session = await withModel(10);
  const before = await session.loadData("target", "pets", await pets(), 0);
  for (const label of ["Listing the files of zoo", "Reading images of pets"]) {
    const end = session.subscribe((event) => {
      if (event.kind === "progress" && event.label === label) void session.stop();
    });
    const job = label.startsWith("Listing")
      ? session.loadData("target", "zoo", await pictures("zoo", ["a", "b"], 9), 0)
      : session.train(recipe);
    await expect(job).rejects.toMatchObject({ parts: { code: "cancelled" } });
    end();
  }
  expect((await session.mapClasses(before.id, {})).name).toBe("pets");
  expect((await session.train(recipe)).complete).toBe(true);
});

/** The same files as one folder that nobody has looked into. */
function unopened(files: readonly SourceFile[]): SourceFile {
  const root: Tree = {};
  for (const { path, blob } of files) {
    const parts = path.split("/").slice(1);
    const folder = parts.slice(0, -1).reduce((tree, part) => {
      tree[part] ??= {};
      return tree[part] as Tree;
    }, root);
    folder[parts.at(-1) as string] = blob;
  }
  return { path: "pets/", blob: new Blob(), inside: folderHandle("pets", root) };
}

test("a folder handed over unopened is the set that its files are: the same report, fingerprint and run", async () => {
  const files = await pets();
  const [model, notes] = [fixture("vit"), { path: "pets/notes.txt", blob: new Blob(["x".repeat(40)]) }];
  const runs = [];
  for (const given of [[...files, notes], [unopened([...files, notes])]]) {
    const session = createEngine(decodeImage, 10);
    await session.open("wasm");
    const { fingerprint } = await session.loadModel(model, {});
    const report = await session.loadData("target", "pets", given, 0);
    const packed = (await session.pack(report.id, 1e9))?.packed;
    // The page has what came as a list.
    expect(packed?.blob.size ?? null).toBe(
      given.length > 1 ? null : [...files, notes].reduce((sum, { blob }) => sum + blob.size, 0),
    );
    runs.push({ fingerprint, report, weights: weightsOf(await session.train(recipe)) });
  }
  expect(runs[1]).toEqual(runs[0]);
  expect(runs[0]?.report.fingerprint).not.toBeNull();
});

test("a model in a folder that is handed over unopened is that model; what could not be opened of it is told", async () => {
  const files = fixture("vit");
  const session = createEngine(decodeImage);
  const events = listen(session);
  const loose = await session.loadModel(files, {});
  const tree: Tree = { "locked.txt": null };
  for (const { path, blob } of files) tree[path.slice(path.lastIndexOf("/") + 1)] = blob;
  const folder = { path: "vit/", blob: new Blob(), inside: folderHandle("vit", tree) };
  expect((await session.loadModel([folder], {})).fingerprint).toBe(loose.fingerprint);
  expect(events).toContainEqual({
    kind: "notice",
    text: "1 file or folder of the model could not be opened, the first vit/locked.txt; the rest is read.",
  });
});
