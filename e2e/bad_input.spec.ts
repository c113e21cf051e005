// What a person can get wrong: every bad file gets a sentence that says what, where and what to do, and what had been
// loaded before is still there. One page for all of it, as one person's bad day.
import { copyFileSync, cpSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, type Page, test } from "@playwright/test";
import sharp from "sharp";
import {
  demoZips,
  drop,
  dropZone,
  emptyFolder,
  loadTiny,
  open,
  pictureFolder,
  region,
  tinyModelFolder,
} from "./support.ts";

const weights = readFileSync(join(tinyModelFolder, "model.safetensors"));
const headerEnd = 8 + Number(weights.readBigUInt64LE(0));
const header = JSON.parse(weights.subarray(8, headerEnd).toString());
const config = JSON.parse(readFileSync(join(tinyModelFolder, "config.json"), "utf8"));

/** The tiny model's folder with some files replaced. */
function model(name: string, files: Record<string, Buffer | string>): string {
  const folder = emptyFolder(name);
  cpSync(tinyModelFolder, folder, { recursive: true });
  for (const [file, content] of Object.entries(files)) writeFileSync(join(folder, file), content);
  return folder;
}

/** The weights' file with another header of whatever length. */
function withHeader(entries: Record<string, unknown>): Buffer {
  const json = Buffer.from(JSON.stringify(entries));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, weights.subarray(headerEnd)]);
}

function withNaN(name: string): Buffer {
  const bytes = Buffer.from(weights);
  bytes.writeFloatLE(Number.NaN, headerEnd + header[name].data_offsets[0] + 8);
  return bytes;
}

/** A PNG of a few bytes that claims to be 20,000 pixels wide and high. */
async function hugePng(path: string): Promise<void> {
  const png = await sharp({ create: { width: 2, height: 2, channels: 3, background: "red" } })
    .png()
    .toBuffer();
  png.writeUInt32BE(20_000, 16);
  png.writeUInt32BE(20_000, 20);
  writeFileSync(path, png);
}

/** A zip (stored, not deflated) of these entries, which may share a name as no zip tool would let them. */
function zip(entries: [name: string, content: Buffer][]): Buffer {
  const locals: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of entries) {
    const path = Buffer.from(name);
    // Fields that local and central header share, from "version needed" to the length of the extra field.
    const shared = Buffer.alloc(26);
    shared.writeUInt16LE(20, 0);
    shared.writeUInt16LE(0x21, 8);
    shared.writeUInt32LE(crc32(content), 10);
    shared.writeUInt32LE(content.length, 14);
    shared.writeUInt32LE(content.length, 18);
    shared.writeUInt16LE(path.length, 22);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    central.push(Buffer.from("PK\x01\x02\x14\x00", "latin1"), shared, tail, path);
    const local = Buffer.concat([Buffer.from("PK\x03\x04", "latin1"), shared, path, content]);
    locals.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, directory, end]);
}

/** CRC-32 as zip and PNG have it. */
function crc32(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** Waits for a complaint with these words, and dismisses it. */
async function complaint(page: Page, ...words: (string | RegExp)[]): Promise<void> {
  const alert = page.locator(".failures .failure");
  await expect(alert).toHaveCount(1);
  for (const word of words) await expect(alert).toContainText(word);
  await alert.getByRole("button", { name: "Dismiss" }).click();
  await expect(alert).toHaveCount(0);
}

test("bad files are answered with a sentence, and nothing loaded is lost", async ({ page }) => {
  await open(page);
  await loadTiny(page);
  const nothingLost = async () => {
    await expect(region(page, "Model")).toContainText("2, 3, 24");
    await expect(region(page, "few")).toContainText("4 to validate, 8 to test");
    await expect(region(page, "Run")).toContainText("Ready");
  };
  await nothingLost();
  await page.getByRole("button", { name: "Load another model" }).click();

  const { "vit.layernorm.bias": _, ...rest } = header;
  const wrong = { ...header["classifier.weight"], shape: [5000, 24] };
  const models: [name: string, files: Record<string, Buffer | string>, words: (string | RegExp)[]][] = [
    [
      "truncated",
      { "model.safetensors": weights.subarray(0, weights.length - 5000) },
      ["truncated/model.safetensors", "cut off", "Download or save the file again."],
    ],
    [
      "lying",
      { "model.safetensors": withHeader({ ...header, "classifier.weight": wrong }) },
      ["lying/model.safetensors", '"classifier.weight" is F32 [5000, 24], which needs 480000 bytes'],
    ],
    [
      "holed",
      { "model.safetensors": withHeader(rest) },
      ["holed/model.safetensors", "there is a hole between them"],
    ],
    [
      "endless",
      { "model.safetensors": Buffer.concat([Buffer.alloc(8, 0xff), weights.subarray(8)]) },
      ["endless/model.safetensors", "its header should be longer than the 25000000 bytes"],
    ],
    [
      "swin",
      { "config.json": JSON.stringify({ ...config, model_type: "swin" }) },
      ["swin/config.json", "This is Swin", "Choose a Vision Transformer"],
    ],
    [
      "missing",
      { "config.json": JSON.stringify({ ...config, num_hidden_layers: 3 }) },
      ["missing/model.safetensors", "do not make up a ViT of transformers"],
    ],
    [
      "nan",
      { "model.safetensors": withNaN("vit.encoder.layer.1.attention.output.dense.weight") },
      ["nan/model.safetensors", "output.dense.weight", "holds NaN at index 2", "use another copy"],
    ],
    ["garbled", { "config.json": "{ this is no JSON" }, ["garbled/config.json"]],
  ];
  for (const [name, files, words] of models) {
    await test.step(`a model that is ${name}`, async () => {
      await drop(page, dropZone(page, "Model"), [model(name, files)]);
      await complaint(page, ...words);
      await nothingLost();
    });
  }
  await test.step("a folder without a model", async () => {
    await drop(page, dropZone(page, "Model"), [emptyFolder("nothing")]);
    await complaint(page, "There are no files.", "Choose model.safetensors");
    await nothingLost();
  });

  const cats = await pictureFolder("cats", demoZips.target, ["animal"], { test: 3 });
  const notes = emptyFolder("notes");
  writeFileSync(join(notes, "read me.txt"), "No pictures here, only words.");
  const targets: [name: string, folder: string, words: (string | RegExp)[]][] = [
    ["an empty folder", emptyFolder("empty"), ["The folder is empty.", "one folder of PNG"]],
    ["only a text file", notes, ["notes", "The one file is no image that can be read."]],
    ["one class", cats, ["cats", /class/, /two|second|another/i]],
  ];
  for (const [name, folder, words] of targets) {
    await test.step(name, async () => {
      await drop(page, dropZone(page, "Target images"), [folder]);
      await complaint(page, ...words);
      await nothingLost();
    });
  }

  await test.step("an OOD set that shares no class", async () => {
    const others = await pictureFolder("strangers", demoZips.ood, ["food", "plant"], { test: 1 });
    await drop(page, dropZone(page, "OOD images"), [others]);
    await expect(region(page, "strangers")).toContainText(
      "No class of this set is one of the target's classes",
    );
    await expect(region(page, "strangers")).toContainText(
      "Rename its folders or map its classes by hand, or load another.",
    );
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await complaint(page, "strangers", "counts as one of the target's classes", "remove the set");
    await page.getByRole("button", { name: "Remove strangers" }).click();
    await nothingLost();
  });

  await test.step("two files of one name, and a picture that claims 20,000 x 20,000 pixels", async () => {
    const folder = await pictureFolder("sketches", demoZips.ood, ["animal", "vehicle"], { test: 2 });
    await hugePng(join(folder, "animal", "huge.png"));
    for (const name of ["Same.png", "same.png"])
      await sharp({ create: { width: 9, height: 9, channels: 3, background: "blue" } })
        .png()
        .toFile(join(folder, "vehicle", name));
    await drop(page, dropZone(page, "OOD images"), [folder]);
    const set = region(page, "sketches");
    await expect(set).toContainText("The image is 20000 x 20000 pixels; at most 100 megapixels are decoded.");
    await expect(set).toContainText("huge.png");
    await expect(set).toContainText("differ in name only by upper and lower case");
    await nothingLost();
  });

  await test.step("a zip with two files of one name", async () => {
    const png = await sharp({ create: { width: 9, height: 9, channels: 3, background: "blue" } })
      .png()
      .toBuffer();
    const path = join(dirname(emptyFolder("x")), "twins.zip");
    writeFileSync(
      path,
      zip([
        ["animal/1.png", png],
        ["animal/1.png", png],
        ["vehicle/1.png", png],
      ]),
    );
    await drop(page, dropZone(page, "OOD images"), [path]);
    await expect(region(page, "twins")).toContainText(
      "1 file came twice under one name; the first of each is used.",
    );
    await expect(region(page, "twins")).toContainText("2 images");
    await nothingLost();
  });

  await test.step("a corrupt image among good ones is named before training", async () => {
    const folder = await pictureFolder("mixed", demoZips.target, ["animal", "vehicle"], { train: 4, val: 1 });
    copyFileSync(join(tinyModelFolder, "config.json"), join(folder, "train", "animal", "broken.png"));
    const cut = await sharp({ create: { width: 64, height: 64, channels: 3, background: "blue" } })
      .png()
      .toBuffer();
    writeFileSync(join(folder, "train", "vehicle", "cut.png"), cut.subarray(0, cut.length - 30));
    await drop(page, dropZone(page, "Target images"), [folder]);
    const set = region(page, "mixed");
    await expect(set).toContainText("1 file is called an image and is a JSON file; left out.");
    await expect(set).toContainText("1 image cannot be read and is left out");
    await expect(set).toContainText("mixed/train/animal/broken.png");
    await expect(set).toContainText("mixed/train/vehicle/cut.png");
    await expect(region(page, "Run")).toContainText("Ready");
  });
});
