// Where results may be written: never where something is read, through whatever links, dots and trees.
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { placesRead, realPlace, refuseReadPlaces } from "./places.ts";

const root = realpathSync(mkdtempSync(join(tmpdir(), "selora-places-")));
afterAll(() => rmSync(root, { recursive: true }));

const folders = ["a", "a/b", "a/b/c", "a/d", "e", "e/f"];
const path = fc
  .array(fc.constantFrom("a", "b", "c", "d", "e", "f", "new", "l0", "l1", "l2", "..", "."), {
    minLength: 1,
    maxLength: 6,
  })
  .map((parts) => parts.join("/"));
const links = fc.array(
  fc.record({
    at: fc.constantFrom("", ...folders),
    to: fc.oneof(fc.constantFrom(...folders), fc.constant("nowhere")),
  }),
  { maxLength: 3 },
);

let trees = 0;
/** A folder with the folders above and these links, `l0` and on. */
function makeTree(chosen: readonly { at: string; to: string }[]): string {
  // Deep enough that no path above leads out of what is removed in the end.
  const tree = join(root, String(trees++), "1/2/3/4/5/6");
  for (const folder of folders) mkdirSync(join(tree, folder), { recursive: true });
  for (const [i, { at, to }] of chosen.entries()) symlinkSync(join(tree, to), join(tree, at, `l${i}`));
  return tree;
}

const within = (inner: string, outer: string) =>
  inner === outer || inner.startsWith(outer.endsWith(sep) ? outer : outer + sep);

test("a place is refused exactly where making it would touch what is read", async () => {
  await fc.assert(
    fc.asyncProperty(links, fc.constantFrom(...folders), path, async (chosen, model, out) => {
      const tree = makeTree(chosen);
      const asked = join(tree, out);
      const read = realpathSync(join(tree, model));
      const reads = [{ option: "--model", path: read, whole: true }];
      const refused = await realPlace(asked).then(
        (real) =>
          refuseReadPlaces(real, reads).then(
            () => real,
            () => "refused",
          ),
        () => "no place",
      );
      // The truth is what the system itself makes of the path.
      let truth: string;
      try {
        mkdirSync(asked, { recursive: true });
        truth = realpathSync(asked);
        if (within(truth, read) || within(read, truth)) truth = "refused";
      } catch {
        truth = "no place";
      }
      expect(refused).toBe(truth);
      rmSync(tree, { recursive: true });
    }),
    { numRuns: 300 },
  );
});

test("links inside what is read are read as well, and a file's folder is, but not what lies in it", async () => {
  const tree = makeTree([
    { at: "a/b", to: "e" },
    { at: "e", to: "a/b" },
  ]);
  const linked = await placesRead("--target", join(tree, "a/b"));
  expect(linked.map(({ path }) => path).sort()).toEqual([join(tree, "a/b"), join(tree, "e")].sort());
  await expect(refuseReadPlaces(join(tree, "e/f/out"), linked)).rejects.toThrow(
    "lies inside the place where --target",
  );

  writeFileSync(join(tree, "a/model.pth"), "");
  symlinkSync(join(tree, "a/model.pth"), join(tree, "e/f/model.pth"));
  const file = await placesRead("--model", join(tree, "e/f/model.pth"));
  for (const folder of ["a", "e/f"])
    await expect(refuseReadPlaces(join(tree, folder), file)).rejects.toThrow("is also where --model is read");
  await expect(refuseReadPlaces(tree, file)).rejects.toThrow("lies above");
  await refuseReadPlaces(join(tree, "a/out"), file);
  expect(await placesRead("--model", join(tree, "none"))).toEqual([]);
});

test("a place that cannot be is refused with a sentence", async () => {
  const tree = makeTree([{ at: "", to: "nowhere" }]);
  writeFileSync(join(tree, "file"), "");
  symlinkSync(join(tree, "round"), join(tree, "round"));
  await expect(realPlace(join(tree, "l0"))).rejects.toThrow("It is a link to");
  await expect(realPlace(join(tree, "l0/deeper"))).rejects.toThrow("where there is nothing");
  await expect(realPlace(join(tree, "file/out"))).rejects.toThrow("is a file, not a folder");
  await expect(realPlace(join(tree, "file/out/deeper"))).rejects.toThrow("is a file, not a folder");
  await expect(realPlace(join(tree, "round"))).rejects.toThrow("in a circle");
  await expect(realPlace(join(tree, "x".repeat(300)))).rejects.toThrow("too long");
});
