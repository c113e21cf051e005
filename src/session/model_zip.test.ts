// A model in a zip: stored or packed it is the folder that it was made of; anything else is refused with a sentence.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { BlobWriter, TextReader, Uint8ArrayReader, ZipWriter } from "@zip.js/zip.js";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Failure } from "../failure.ts";
import { unpackModel } from "./model_zip.ts";
import { createNodeSession } from "./node.ts";

const fixture = join(import.meta.dirname, "..", "checkpoint", "fixtures", "vit");
const names = readdirSync(fixture);
const file = (name: string) => new Uint8Array(readFileSync(join(fixture, name)));

async function zipOf(
  files: Record<string, Uint8Array<ArrayBuffer> | string>,
  options: object = {},
): Promise<Blob> {
  const writer = new ZipWriter(new BlobWriter(), { useWebWorkers: false, ...options });
  for (const [name, content] of Object.entries(files))
    await writer.add(
      name,
      typeof content === "string" ? new TextReader(content) : new Uint8ArrayReader(content),
    );
  return writer.close();
}
const model = (under = "") => Object.fromEntries(names.map((name) => [under + name, file(name)]));
const drop = (blob: Blob, path = "vit-pets-selective-2of4.zip") => unpackModel([{ path, blob }]);

test.each([
  ["stored", { level: 0 }, ""],
  ["packed", { level: 9 }, "my-model/"],
])("a %s zip is its folder, and opens", async (_, options, under) => {
  const more = {
    "photos/1.png": "a picture",
    "__MACOSX/model.safetensors": "not this",
    ".cache/x.bin": "nor this",
  };
  const files = await drop(await zipOf({ ...model(under), ...more }, options));
  expect(files.map(({ path }) => path).sort()).toEqual(
    names.map((name) => `vit-pets-selective-2of4/${under}${name}`).sort(),
  );
  for (const { path, blob } of files)
    expect(new Uint8Array(await blob.arrayBuffer())).toEqual(file(path.split("/").at(-1) as string));
  const zip = { path: "vit-pets-selective-2of4.zip", blob: await zipOf(model(under), options) };
  const report = await createNodeSession().loadModel([zip], {});
  expect(report.name).toBe(under ? "my-model" : "vit-pets-selective-2of4");
});

test("several models in a zip are named and asked about", async () => {
  const zip = { path: "two.zip", blob: await zipOf({ ...model("a/"), ...model("b/") }) };
  await expect(createNodeSession().loadModel([zip], {})).rejects.toThrow('"two/a/model.safetensors"');
});

test("what is no zip of a model is refused with a sentence", async () => {
  const locked = await zipOf(model(), { password: "secret" });
  await expect(drop(locked)).rejects.toThrow("protected by a password");
  await expect(drop(new Blob(["not a zip"]))).rejects.toThrow("not a zip that can be read");
  const small = new Uint8Array(
    await (await zipOf({ "model.safetensors": "0".repeat(2000) }, { level: 9 })).arrayBuffer(),
  );
  const list = new DataView(small.buffer);
  for (let at = 0; at < small.length - 4; at++)
    if (list.getUint32(at, true) === 0x02014b50) list.setUint32(at + 24, 100_000_000, true);
  await expect(drop(new Blob([small]))).rejects.toThrow("more than 20 times its own size");
});

test("a damaged zip gives whole files or a Failure", async () => {
  const whole = new Uint8Array(
    await (await zipOf({ "a/model.safetensors": file("model.safetensors").slice(0, 4000) })).arrayBuffer(),
  );
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, by) => {
      const bytes = whole.slice();
      bytes[at] = (bytes[at] as number) ^ by;
      const files = await drop(new Blob([bytes])).catch((error) => {
        expect(error).toBeInstanceOf(Failure);
        return [];
      });
      for (const { blob } of files) expect(blob.size).toBeLessThanOrEqual(4000);
    }),
    { numRuns: 200 },
  );
});
