// The finished run in the page's files is one of the demo as it is now: of its recipe, model and pictures. It goes through
// the same door as any run that was saved, and answers as it did when it was made.
import { readFile } from "node:fs/promises";
import { afterEach, expect, test, vi } from "vitest";
import { createNodeSession } from "../../session/node.ts";
import { defaultRecipe } from "../../session/recipe.ts";
import { fetchDemo } from "./demo.ts";
import { fetchFinishedRun } from "./finished_run.ts";

const root = new URL("../../../public/", import.meta.url);
const serve = (change: (path: string, bytes: Uint8Array) => Uint8Array | null = (_, bytes) => bytes) =>
  vi.stubGlobal("fetch", async (path: string) => {
    const bytes = change(path, await readFile(new URL(`.${path}`, root)));
    return bytes === null
      ? new Response("", { status: 404 })
      : new Response(bytes as Uint8Array<ArrayBuffer>);
  });
afterEach(() => vi.unstubAllGlobals());

test("it is of the demo as it is, and is taken up with all that can be done with a run", async () => {
  serve();
  const demo = await fetchDemo();
  const { saved, history } = await fetchFinishedRun();
  expect(saved.recipe).toEqual({ ...defaultRecipe, ...demo.recipe });
  expect(history.steps.at(-1)).toMatchObject({ step: saved.steps });
  expect(history.frames.at(-1)?.step).toBe(saved.steps);
  expect(history.points).toHaveLength(1 + saved.recipe.epochs);
  expect(history.points[0]?.step).toBe(0);

  const session = createNodeSession();
  await session.open("wasm");
  await session.loadModel(demo.model, {});
  for (const { role, name, files } of demo.sets) await session.loadData(role, name, files, 0);
  const result = await session.restoreRun(saved);
  expect(result.complete).toBe(true);
  // Measured anew, so near to all of the change that nothing is remembered of it; another machine may round otherwise.
  const again = await session.adjust(result.final.open, 1 - 2 ** -20);
  for (const [i, set] of again.sets.entries()) {
    const then = result.after.sets[i]?.predictions ?? new Int32Array();
    const same = set.predictions.filter((answer, at) => answer === then[at]).length;
    expect(same / set.count, set.name).toBeGreaterThan(0.98);
  }
}, 120_000);

test("one that is cut off, something else, or not there is told of in a sentence", async () => {
  const finished = (path: string) => path.endsWith("finished.run");
  for (const broken of [
    (bytes: Uint8Array) => bytes.subarray(0, bytes.length >> 1),
    () => new TextEncoder().encode("{}"),
    () => null,
  ]) {
    serve((path, bytes) => (finished(path) ? broken(bytes) : bytes));
    await expect(fetchFinishedRun()).rejects.toMatchObject({
      parts: { code: "bad-file", where: "demo/finished.run" },
    });
  }
});
