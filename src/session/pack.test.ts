import fc from "fast-check";
import { expect, test } from "vitest";
import { openFolders } from "../open_folders.ts";
import { folderHandle, type Tree } from "../open_folders_testing.ts";
import type { SourceFile } from "../source_file.ts";
import { filesOf, type Packed, packerOf, packSchema } from "./pack.ts";

const numbered = (count: number): Tree =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`${i}.png`, `no ${i}`]));
const unopened = (tree: Tree): SourceFile => ({
  path: "many/",
  blob: new Blob(),
  inside: folderHandle("many", tree),
});
const contents = async (files: readonly SourceFile[]) =>
  Promise.all(
    (await openFolders(files)).files.map(async ({ path, blob }) => [path, blob.size, await blob.text()]),
  );
const sorted = async (files: readonly SourceFile[]) => (await contents(files)).sort();

test("few files are listed, many are a table; both come back as they were, from lists and unopened folders", async () => {
  const trees: Tree[] = [
    { a: numbered(30), b: { c: numbered(3) } },
    { a: numbered(1500), b: { c: numbered(700), "empty.txt": "" } },
  ];
  for (const tree of trees) {
    const { files } = await openFolders([unopened(tree)]);
    for (const given of [files, [unopened(tree)]]) {
      const { packed } = (await packerOf(given)(1e9)) as { packed: Packed };
      expect("paths" in packed).toBe(files.length > 2000);
      const back = await filesOf(packSchema.parse({ id: "p", name: "n", ...packed }));
      expect(back).toHaveLength(files.length > 2000 ? 1 : files.length);
      expect(await sorted(back)).toEqual(await sorted(files));
    }
  }
});

test("a part of a file in a table is that part, and nothing of its neighbours", async () => {
  const { packed } = await packerOf([unopened({ a: numbered(2500) })])(1e9);
  const { files } = await openFolders(await filesOf(packSchema.parse({ id: "p", name: "n", ...packed })));
  const blob = files.find(({ path }) => path === "many/a/1234.png")?.blob as Blob;
  expect(await blob.slice(3).text()).toBe("1234");
  expect(await blob.slice(0, 2).slice(-1).text()).toBe("o");
  expect(await new Response(blob.slice(1, 100).stream()).text()).toBe("o 1234");
});

test("what is too large is not read, and its bytes are told", async () => {
  const tree = { a: numbered(3000) };
  const handle = folderHandle("many", tree);
  const { files } = await openFolders([unopened(tree)]);
  const bytes = files.reduce((sum, { blob }) => sum + blob.size, 0);
  for (const given of [files, [{ path: "many/", blob: new Blob(), inside: handle }]]) {
    expect(await packerOf(given)(bytes - 1)).toEqual({ bytes, packed: null });
    expect((await packerOf(given)(bytes)).packed?.blob.size).toBe(bytes);
  }
});

test("a table that does not fit its bytes is not believed", () => {
  const entry = { id: "p", name: "n", blob: new Blob(["abc"]) };
  expect(packSchema.safeParse({ ...entry, paths: "a\0b\0", sizes: Float64Array.of(1, 2) }).success).toBe(
    true,
  );
  fc.assert(
    fc.property(
      fc.array(fc.stringMatching(/^[a-z/]{0,5}$/)),
      fc.array(fc.double()),
      fc.boolean(),
      (names, sizes, whole) => {
        const paths = names.map((name) => `${name}\0`).join("") + (whole ? "" : "x");
        const { success } = packSchema.safeParse({ ...entry, paths, sizes: Float64Array.from(sizes) });
        const right =
          whole &&
          names.length === sizes.length &&
          sizes.every((size) => Number.isSafeInteger(size) && size >= 0) &&
          sizes.reduce((sum, size) => sum + size, 0) === 3;
        expect(success).toBe(right);
      },
    ),
  );
});
