// What was set aside can be taken along, whatever it is, and unpacks to nothing outside its folder.
import { BlobReader, Uint8ArrayWriter, ZipReader } from "@zip.js/zip.js";
import { expect, test } from "vitest";
import { asideZip } from "./aside_file.ts";

async function unzipped(blob: Blob): Promise<Record<string, string>> {
  const reader = new ZipReader(new BlobReader(blob));
  const files: Record<string, string> = {};
  for (const entry of await reader.getEntries())
    if (!entry.directory)
      files[entry.filename] = new TextDecoder().decode(await entry.getData(new Uint8ArrayWriter()));
  await reader.close();
  return files;
}

test("an entry comes out as JSON with its bytes beside it, and the files it may have named", async () => {
  const pack = {
    id: "p",
    files: [
      { path: "m/config.json", size: 2 },
      { path: "../../m/config.json", size: 1 },
    ],
    blob: new Blob(["{}x"]),
  };
  const value = { version: 9, scores: Float32Array.of(0.5, Number.NaN), snapshot: new Blob(["abc"]) };
  const files = await unzipped(await asideZip({ value, packs: [pack, null, "rubbish"] }));
  expect(Object.keys(files)).toEqual([
    "entry.json",
    "bytes-1.bin",
    "files/m/config.json",
    "files/_/_/m/config.json",
  ]);
  expect(JSON.parse(files["entry.json"] ?? "")).toEqual({
    version: 9,
    scores: { type: "Float32Array", values: [0.5, "NaN"] },
    snapshot: { bytes: "bytes-1.bin" },
  });
  expect(files["bytes-1.bin"]).toBe("abc");
  expect(files["files/m/config.json"]).toBe("{}");
});

test.each([undefined, null, 3, "text", { files: [{ path: "a", size: -1 }], blob: new Blob(["x"]) }])(
  "rubbish comes out too: %s",
  async (value) => {
    expect(await unzipped(await asideZip({ value, packs: [] }))).toHaveProperty("entry.json");
  },
);

test("files of a table come out under their names as well, as far as it goes", async () => {
  const table = { paths: "m/a.txt\0m/b.txt\0", sizes: Float64Array.of(2, 1), blob: new Blob(["aab"]) };
  const files = await unzipped(await asideZip({ value: { id: "p", ...table }, packs: [] }));
  expect([files["files/m/a.txt"], files["files/m/b.txt"]]).toEqual(["aa", "b"]);
  const broken = { ...table, sizes: Float64Array.of(Number.NaN, 1) };
  expect(Object.keys(await unzipped(await asideZip({ value: broken, packs: [] })))).toEqual([
    "entry.json",
    "bytes-1.bin",
  ]);
});
