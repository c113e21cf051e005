// Files that were saved or taken for weights: each is said by what it is, whatever it is called, with a step that works.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Failure } from "../failure.ts";
import { openCheckpoint } from "./open_checkpoint.ts";

const bytes = (...parts: (string | number[])[]) =>
  Uint8Array.from(
    parts.flatMap((part) => (typeof part === "string" ? [...part].map((c) => c.charCodeAt(0)) : part)),
  );
const padded = (start: Uint8Array<ArrayBuffer>, length = 3000) => {
  const file = new Uint8Array(length).fill(7);
  file.set(start);
  return file;
};

const endings = ["model.safetensors", "model.pth", "pytorch_model.bin", "last.ckpt"];

async function said(name: string, content: Uint8Array<ArrayBuffer> | string): Promise<string> {
  const error = await openCheckpoint([{ path: name, blob: new Blob([content]) }], {}).catch(
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(Failure);
  expect((error as Failure).parts.remedy.length).toBeGreaterThan(10);
  return (error as Failure).message;
}

test.each<[what: string, content: Uint8Array<ArrayBuffer> | string, sentence: RegExp]>([
  ["nothing", "", /empty \(0 bytes\)/],
  ["a web page", '<!DOCTYPE html><html lang="en"><head>', /a web page.*signed in/],
  ["a web page after spaces", "\n\n  <html>\n<body>not found", /a web page/],
  ["a web page with a mark before it", bytes([0xef, 0xbb, 0xbf], "<!doctype HTML>"), /a web page/],
  ["the Hub's refusal", "Access to model x/y is restricted.", /refused the download.*signed in/],
  ["the Hub's refusal in short", "Invalid username or password.", /refused the download/],
  ["a configuration in place of weights", '{"model_type": "vit"}', /in JSON.*Choose the file of weights/],
  ["a database", "SQLite format 3\0", /a database/],
  ["a refusal in JSON", '{"error":"Repository not found"}', /refused the download/],
  ["a storage's refusal", '<?xml version="1.0"?><Error><Code>AccessDenied</Code>', /server in XML/],
  [
    "an LFS pointer",
    "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    /LFS pointer.*git lfs pull/,
  ],
  ["an annex pointer", "/annex/objects/SHA256E-s1--ab.bin\n", /git-annex/],
  ["gzip", padded(bytes([0x1f, 0x8b, 8, 0])), /a gzip file.*Unpack/],
  ["bzip2", padded(bytes("BZh91AY")), /a bzip2 file.*Unpack/],
  ["xz", padded(bytes([0xfd], "7zXZ", [0])), /an xz file.*Unpack/],
  ["zstd", padded(bytes([0x28, 0xb5, 0x2f, 0xfd])), /a Zstandard file.*Unpack/],
  ["7z", padded(bytes("7z", [0xbc, 0xaf, 0x27, 0x1c])), /7z archive/],
  ["RAR", padded(bytes("Rar!", [0x1a, 7, 1, 0])), /RAR/],
  ["tar", padded(bytes("m/", new Array(255).fill(0), "ustar")), /tar archive.*Unpack/],
  ["GGUF", padded(bytes("GGUF", [3, 0, 0, 0])), /GGUF.*llama\.cpp/],
  ["HDF5", padded(bytes([0x89], "HDF\r\n", [0x1a, 10])), /HDF5.*transformers/],
  ["ONNX", padded(bytes([8, 7, 0x12, 7], "pytorch", [0x1a, 3], "2.1")), /ONNX/],
  ["TensorFlow Lite", padded(bytes([0x1c, 0, 0, 0], "TFL3")), /TensorFlow Lite/],
  ["one array of numpy", padded(bytes([0x93], "NUMPY", [1, 0])), /numpy/],
  ["Flax", padded(bytes([0x81, 0xa6], "params")), /Flax/],
  ["OpenVINO", '<?xml version="1.0"?>\n<net name="torch-jit-export" version="10">', /OpenVINO/],
  ["a photograph", padded(bytes([0xff, 0xd8, 0xff, 0xe0])), /an image.*belong to the data/],
  ["zeros", new Uint8Array(5000), /zeros.*Download it again/],
  ["anything else", padded(bytes("hello there, what is this?")), /no file of weights that is known/],
])("%s", async (_, content, sentence) => {
  for (const name of endings) {
    const message = await said(name, content);
    expect(message).toMatch(sentence);
    expect(message).not.toMatch(/claims|\d{12}/);
  }
});

test("any bytes under a weight's name: a Failure that claims no nonsense", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...endings),
      fc.uint8Array({ minLength: 1, maxLength: 300 }),
      async (name, content) => {
        const message = await said(name, Uint8Array.from(content));
        expect(message.length).toBeLessThan(600);
        expect(message).not.toMatch(/\d{12}/);
      },
    ),
    { numRuns: 500 },
  );
});
