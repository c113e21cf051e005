// A model in a zip: stored or packed it is the folder that it was made of; anything else is refused with a sentence.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Failure } from "../failure.ts";
import type { SourceFile } from "../source_file.ts";
import { joinBytes, type TestEntry, type TestZip, zipBytes } from "../zip_testing.ts";
import { unpackModel } from "./model_zip.ts";
import { createNodeSession } from "./node.ts";

const fixtures = join(import.meta.dirname, "..", "checkpoint", "fixtures");
const names = readdirSync(join(fixtures, "vit"));
const file = (name: string) => new Uint8Array(readFileSync(join(fixtures, "vit", name)));

const model = (under = "", more: Partial<TestEntry> = {}): TestEntry[] =>
  names.map((name) => ({ name: under + name, content: file(name), ...more }));
const zipOf = (entries: readonly TestEntry[], options?: TestZip, path = "vit-pets-selective-2of4.zip") => ({
  path,
  blob: new Blob([zipBytes(entries, options)]),
});
const paths = (files: readonly SourceFile[]) => files.map(({ path }) => path).sort();
const refusal = async (...files: SourceFile[]) => {
  const error = await unpackModel(files).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(Failure);
  return (error as Failure).message;
};

const others: TestEntry[] = [
  { name: "photos/1.png", content: "a picture", method: 14 },
  { name: "photos/", content: "" },
  { name: "__MACOSX/model.safetensors", content: "not this" },
  { name: ".cache/x.bin", content: "nor this" },
  { name: "../outside.safetensors", content: "nor this" },
  { name: "link.safetensors", content: "model.safetensors", mode: 0o120777 },
];

test.each<[what: string, entry: Partial<TestEntry>, zip: TestZip, under: string]>([
  ["stored", {}, {}, ""],
  ["packed", { deflate: true }, {}, "my-model/"],
  ["streamed", { deflate: true, descriptor: true }, {}, "my-model/"],
  ["in zip64", {}, { zip64: "all" }, ""],
  ["of a Hub's folder", {}, {}, "models--google--vit/snapshots/3f49326/"],
])("a zip %s is its folder, and opens", async (_, entry, options, under) => {
  const zip = zipOf([...model(under, entry), ...others], options);
  const files = await unpackModel([zip]);
  const inside = files.filter((one) => one !== zip);
  expect(paths(inside)).toEqual(names.map((name) => `vit-pets-selective-2of4/${under}${name}`).sort());
  for (const { path, blob } of inside)
    expect(new Uint8Array(await blob.arrayBuffer())).toEqual(file(path.split("/").at(-1) as string));
  const report = await createNodeSession().loadModel([zip], {});
  expect(report.name).toBe(under ? under.split("/").at(-2) : "vit-pets-selective-2of4");
});

test("a folder whose weights are in a zip is that model; beside weights a zip is nothing", async () => {
  const zip = zipOf(model(), {}, "taken/home/model.zip");
  const beside = [
    { path: "taken/README.md", blob: new Blob(["# A model"]) },
    { path: "taken/training_args.bin", blob: new Blob(["PK"]) },
  ];
  expect(paths(await unpackModel([...beside, zip]))).toEqual(
    [...names.map((name) => `taken/home/model/${name}`), ...beside.map(({ path }) => path)].sort(),
  );
  const whole = [{ path: "taken/model.safetensors", blob: new Blob(["x"]) }, zip];
  expect(await unpackModel(whole)).toEqual(whole);
  const report = await createNodeSession().loadModel([...beside, zip], {});
  expect(report.name).toBe("model");
});

test("names are read as UTF-8 where they are that, else as DOS wrote them", async () => {
  const utf8 = zipOf(model("überblick/"));
  expect(paths(await unpackModel([utf8]))[0]).toContain("/überblick/");
  // ü is 0x81 in code page 437 and begins no letter of UTF-8.
  const dos = [0x81, ...new TextEncoder().encode("berblick/model.safetensors")];
  const old = zipOf([{ name: Uint8Array.from(dos), content: "x", host: 0 }]);
  expect(paths(await unpackModel([old]))).toEqual(["vit-pets-selective-2of4/überblick/model.safetensors"]);
  const windows = zipOf([{ name: "a\\b\\model.safetensors", content: "x", host: 0 }]);
  expect(paths(await unpackModel([windows]))).toEqual(["vit-pets-selective-2of4/a/b/model.safetensors"]);
});

test("a PyTorch file that is called a zip is that file", async () => {
  const torch = {
    path: "vit.zip",
    blob: new Blob([readFileSync(join(fixtures, "..", "fixtures_torch", "model.pth"))]),
  };
  expect(paths(await unpackModel([torch]))).toEqual(["vit.pth"]);
});

test("several models in a zip are named and asked about, several zips too", async () => {
  const zip = zipOf([...model("a/"), ...model("b/")], {}, "two.zip");
  const { questions } = await createNodeSession().loadModel([zip], {});
  expect(questions).toMatchObject([
    { key: "weights", open: true, choices: ["two/a/model.safetensors", "two/b/model.safetensors"] },
  ]);
  expect(await refusal(zipOf(model(), {}, "a.zip"), zipOf(model(), {}, "b.zip"))).toMatch(
    /2 zips and no weights beside them: "a\.zip", "b\.zip"\. Choose the one zip/,
  );
});

test("of two files of one name the later one counts, as where the zip is unpacked", async () => {
  const files = await unpackModel([
    zipOf([
      { name: "model.safetensors", content: "old" },
      { name: "model.safetensors", content: "new" },
    ]),
  ]);
  expect(await Promise.all(files.map(({ blob }) => blob.text()))).toEqual(["new"]);
});

test.each<[what: string, blob: Uint8Array<ArrayBuffer> | string, sentence: RegExp]>([
  ["a password", zipBytes(model("", { flags: 1 })), /protected by a password\. Unpack it/],
  ["LZMA", zipBytes(model("", { method: 14 })), /whole, but packed by LZMA.*Unpack it/],
  ["no zip", "not a zip", /not a zip.*Make the zip anew, or unpack it/],
  ["nothing", "", /empty \(0 bytes\)/],
  ["a web page", "<!doctype html><html>", /web page/],
  ["gzip", joinBytes([Uint8Array.of(0x1f, 0x8b, 8)]), /gzip/],
  [
    "one that grows",
    zipBytes([{ name: "model.safetensors", content: "0".repeat(2000), deflate: true, size: 1e8 }]),
    /more than 20 times its own size/,
  ],
  [
    "one that lies of its size",
    zipBytes([{ name: "model.safetensors", content: "0".repeat(2000), deflate: true, size: 1000 }]),
    /damaged/,
  ],
  [
    "other bytes than were packed",
    zipBytes([{ name: "model.safetensors", content: "x", crc: 1 }]),
    /damaged/,
  ],
])("%s is refused with a sentence", async (_, content, sentence) => {
  expect(await refusal({ path: "model.zip", blob: new Blob([content]) })).toMatch(sentence);
});

test("a damaged zip gives whole files or a Failure", async () => {
  const weights = file("model.safetensors").slice(0, 4000);
  const whole = zipBytes([
    { name: "a/model.safetensors", content: weights, deflate: true },
    { name: "b.txt" },
  ]);
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, by) => {
      const bytes = whole.slice();
      bytes[at] = (bytes[at] as number) ^ by;
      const files = await unpackModel([{ path: "m.zip", blob: new Blob([bytes]) }]).catch((error) => {
        expect(error).toBeInstanceOf(Failure);
        return [];
      });
      for (const { path, blob } of files)
        if (path.endsWith("model.safetensors"))
          expect(new Uint8Array(await blob.arrayBuffer())).toEqual(weights);
    }),
    { numRuns: 300 },
  );
});
