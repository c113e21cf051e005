import { readFile } from "node:fs/promises";
import { afterEach, expect, test, vi } from "vitest";
import { fetchCredits, fetchDemo } from "./demo.ts";

afterEach(() => vi.unstubAllGlobals());

const set = (title: string, file: string) => ({ title, file, style: "flat", images: 3 });
const index = {
  version: "1",
  target: set("Line drawings", "target.zip"),
  ood: [set("Outlines", "ood-1.zip"), set("Paintings", "ood-2.zip")],
  retention: [set("Colour", "retention.zip")],
};

/** Serves the index as given and any other file as its own path; those in `missing` are not there. */
function serve(indexJson: unknown, missing: string[] = []) {
  vi.stubGlobal("fetch", async (path: string) => {
    if (missing.some((one) => path.endsWith(one))) return new Response("not found", { status: 404 });
    return path.endsWith("index.json") ? Response.json(indexJson) : new Response(path);
  });
}

test("the demo is a model, a target, other styles and what the model knew, each from its own file", async () => {
  serve({ ...index, recipe: { rank: 32 } });
  const demo = await fetchDemo();
  expect(demo.model.map(({ path }) => path)).toEqual([
    "demo-vit/model.safetensors",
    "demo-vit/config.json",
    "demo-vit/preprocessor_config.json",
  ]);
  expect(demo.sets.map(({ role, name }) => [role, name])).toEqual([
    ["target", "Line drawings"],
    ["ood", "Outlines"],
    ["ood", "Paintings"],
    ["retention", "Colour"],
  ]);
  const texts = demo.sets.map(({ files }) => files[0]?.blob.text());
  expect(await Promise.all(texts)).toEqual(
    ["target.zip", "ood-1.zip", "ood-2.zip", "retention.zip"].map((file) => `/demo/data/${file}`),
  );
  expect(demo.sets.map(({ files }) => files.length)).toEqual([1, 1, 1, 1]);
  expect(demo.recipe).toEqual({ rank: 32 });
});

test("a demo that tunes nothing brings no recipe", async () => {
  serve(index);
  expect((await fetchDemo()).recipe).toBeNull();
});

test("a file that is not there is named, with what to do", async () => {
  serve(index, ["ood-2.zip"]);
  await expect(fetchDemo()).rejects.toMatchObject({
    parts: { where: "demo/data/ood-2.zip", remedy: expect.stringContaining("npm start") },
  });
});

test("an index that points outside the demo is refused", async () => {
  serve({ ...index, target: set("Elsewhere", "../../secret.zip") });
  await expect(fetchDemo()).rejects.toThrow();
});

test("the artists' list that comes with the demo can be shown", async () => {
  const text = await readFile(new URL("../../../public/demo/credits.json", import.meta.url), "utf8");
  vi.stubGlobal("fetch", async () => new Response(text));
  const credits = await fetchCredits();
  expect(credits.length).toBeGreaterThan(3);
  for (const { title, artist, licence } of credits) expect(title && artist && licence).toBeTruthy();
});
