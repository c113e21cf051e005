// Tokenizers against the ids that transformers' own give, and against files that mean no good.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Failure } from "../failure.ts";
import type { SourceFile } from "../source_file.ts";
import { expectedText, textFiles } from "./testing/load.ts";
import { findTokenizerFiles, openTokenizer } from "./tokenizer.ts";
import type { TextTokenizer } from "./types.ts";

const file = (path: string, text: string): SourceFile => ({ path, blob: new Blob([text]) });
const gemma = new URL("./fixtures/siglip2-tokenizer.json", import.meta.url);

async function tokenizerOf(name: string, leave: RegExp = /^$/): Promise<TextTokenizer> {
  const files =
    name === "siglip2"
      ? [file("siglip2/tokenizer.json", readFileSync(gemma, "utf8"))]
      : await textFiles(name);
  const kept = files.filter(({ path }) => !leave.test(path));
  const made = await openTokenizer(findTokenizerFiles(kept), name !== "clip", {});
  if (!made) throw new Error("no tokenizer was made");
  return made;
}

describe("ids", () => {
  it.each(["clip", "siglip", "siglip2"])("are transformers': %s", async (name) => {
    const fixture = await expectedText();
    const sentences = fixture.json<string[]>("sentences");
    const ids = fixture.json<Record<string, number[][]>>("ids")[name] as number[][];
    const tokenizer = await tokenizerOf(name);
    expect(sentences.map((sentence) => tokenizer.encode(sentence, 1000))).toEqual(ids);
  });

  it("are the same from CLIP's two files as from its one", async () => {
    const sentences = (await expectedText()).json<string[]>("sentences");
    const one = await tokenizerOf("clip");
    const two = await tokenizerOf("clip", /tokenizer\.json$/);
    for (const sentence of sentences) expect(two.encode(sentence, 16)).toEqual(one.encode(sentence, 16));
  });

  it("keep their end when the sentence is cut", async () => {
    const tokenizer = await tokenizerOf("clip");
    const whole = tokenizer.encode("a photo of a cat", 100);
    expect(tokenizer.encode("a photo of a cat", 4)).toEqual([...whole.slice(0, 3), whole.at(-1)]);
  });

  it("are padded as the files say, or else as the family is", async () => {
    expect((await tokenizerOf("siglip")).pad).toEqual({ id: 1, side: "right" });
    // SigLIP 1 pads with its end token though it has a <pad>; SigLIP 2 has one and uses it.
    expect((await tokenizerOf("siglip", /tokenizer_config/)).pad.id).toBe(1);
    expect((await tokenizerOf("siglip2")).pad.id).toBe(0);
  });
});

describe("files that cannot be used", () => {
  const openText = (text: string) =>
    openTokenizer({ tokenizer: file("tokenizer.json", text) }, false, {}).then(
      () => null,
      (error: unknown) => error,
    );

  it("are refused with a sentence", async () => {
    const good = await (await textFiles("clip"))
      .find(({ path }) => path.endsWith("tokenizer.json"))
      ?.blob.text();
    const json = JSON.parse(good as string);
    const evil = { ...json, normalizer: { type: "Replace", pattern: { Regex: "(a+)+$" }, content: "" } };
    for (const text of [
      "",
      "[]",
      "{}",
      '{"model":{}}',
      JSON.stringify({ ...json, model: { type: "WordLevel" } }),
    ])
      expect(await openText(text)).toMatchObject({ parts: { code: "bad-file" } });
    expect(await openText(JSON.stringify(evil))).toMatchObject({
      parts: { what: "The tokenizer has a pattern that may never end." },
    });
    expect(await openTokenizer({}, false, {})).toBeNull();
    expect(await openTokenizer({ merges: file("merges.txt", "") }, false, {})).toBeNull();
    const noVocabulary = { vocabulary: file("vocab.json", "{}"), merges: file("merges.txt", "a b") };
    await expect(openTokenizer(noVocabulary, false, {})).rejects.toBeInstanceOf(Failure);
  });

  it("never end in anything but a Failure, whatever is changed in them", async () => {
    const files = await textFiles("siglip");
    const text = (await files.find(({ path }) => path.endsWith("tokenizer.json"))?.blob.text()) as string;
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.tuple(fc.nat(text.length - 1), fc.constantFrom('"', "{", "}", "[", "]", "0", "null", ",", "x")),
        ),
        async (changes) => {
          let changed = text;
          for (const [at, put] of changes) changed = changed.slice(0, at) + put + changed.slice(at + 1);
          const error = await openText(changed);
          expect(error === null || error instanceof Failure).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });
});
