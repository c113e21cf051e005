// Text towers against transformers' embeddings of the same prompts, in every naming, and against files that lack a part.
import { expect, it } from "vitest";
import "../tensor/allclose.ts";
import { onEveryBackend } from "../tensor/testing/backends.ts";
import { readTextConfig } from "./config.ts";
import { encodeSentences } from "./encoder.ts";
import { matchText } from "./names.ts";
import { fillTemplates } from "./prompts.ts";
import { expectedText, textFiles, textSource } from "./testing/load.ts";
import { openText, type TextSource, textWeights } from "./tower.ts";
import type { TextTower } from "./types.ts";

async function towerOf(name: string): Promise<TextTower> {
  const files = await textFiles(name);
  const { tower, problem } = await openText(await textSource(files), files, "gelu");
  expect(problem).toBeNull();
  return tower as TextTower;
}

onEveryBackend((backend) => {
  // What differs between backends is in the doors below; one tower is enough for the slower one.
  it.each(backend === "wasm" ? ["clip", "siglip"] : ["clip"])(
    "embeds prompts as transformers does: %s",
    async (name) => {
      const fixture = await expectedText();
      const tower = await towerOf(name);
      const classes = fixture.json<string[]>("classes");
      const prompts = classes.map((label) => `a photo of a ${label}.`);
      const progress: number[] = [];
      const embeddings = await tower.embed(prompts, (done, total) => progress.push(done / total));
      expect(embeddings).toBeAllClose(fixture.values(`${name}.text_embeds`), { atol: 1e-5 });
      expect(progress).toEqual([0, 0.5, 1]);
      expect(await tower.embed(prompts)).toBe(embeddings);
      if (backend === "webgpu") return;
      // More sentences than one forward pass takes, and of different lengths.
      const many = Array.from({ length: 40 }, (_, i) => prompts[i % 5] as string);
      const repeated = await tower.embed([...many, "cat"]);
      const size = tower.architecture.embeddingSize;
      for (const i of [0, 31, 32, 39])
        expect(repeated.subarray(i * size, (i + 1) * size)).toBeAllClose(
          fixture.values(`${name}.text_embeds`).subarray((i % 5) * size, ((i % 5) + 1) * size),
          { atol: 1e-5 },
        );
    },
  );

  if (backend !== "wasm") return;

  it("reads the first end token, or with the old id the highest one", async () => {
    const fixture = await expectedText();
    const files = await textFiles("clip");
    const { tensors, config } = await textSource(files);
    const rows = fixture.values("clip.odd_ids");
    const ids = [Array.from(rows.subarray(0, 5)), Array.from(rows.subarray(5))];
    const text = config?.text_config as Record<string, unknown>;
    const run = async (eos: number, sentences: number[][]) => {
      const said = readTextConfig({ ...config, text_config: { ...text, eos_token_id: eos } }, "config.json");
      const match = matchText(tensors, said, "gelu");
      if (match.tensors === null) throw new Error(String(match.problem));
      return encodeSentences(match.architecture, textWeights(match.tensors), sentences);
    };
    const now = await run(Number(text.eos_token_id), ids);
    expect(now).toBeAllClose(fixture.values("clip.odd_embeds"), { atol: 1e-5 });
    expect(await run(2, ids)).toBeAllClose(fixture.values("clip.legacy_embeds"), { atol: 1e-5 });
  });

  // open_clip's own files hold no tokenizer of ours; the prompts were cut by the same ones.
  it.each([
    ["openclip", "clip"],
    ["openclip-siglip", "siglip"],
  ])("embeds prompts as open_clip does: %s", async (name, tokens) => {
    const fixture = await expectedText();
    const files = (await textFiles(tokens)).filter(({ path }) => /token|vocab|merges/.test(path));
    const source = await textSource(await textFiles(name));
    const { tower, problem } = await openText(source, files, "gelu");
    expect(problem).toBeNull();
    const prompts = fixture.json<string[]>("classes").map((label) => `a photo of a ${label}.`);
    const expected = fixture.values(`${name}.text_embeds`);
    expect(await tower?.embed(prompts)).toBeAllClose(expected, { atol: 1e-5 });
    expect(tower?.bias).toBe(name === "openclip" ? 0 : -3);
    expect(tower?.scale).toBeCloseTo(1 / 0.07, 4);
  });

  it("says why there is none", async () => {
    const files = await textFiles("clip");
    const source = await textSource(files);
    const open = (change: (tensors: TextSource["tensors"]) => TextSource["tensors"], given = files) =>
      openText({ ...source, tensors: change([...source.tensors]) }, given, "gelu");
    const without = (part: RegExp) => (tensors: TextSource["tensors"]) =>
      tensors.filter(({ name }) => !part.test(name));

    expect(await open(without(/^text|^logit/))).toEqual({ tower: null, problem: null });
    expect(await open(without(/text_projection/))).toMatchObject({ problem: /projection is missing/ });
    expect((await open(without(/layers\.1\.mlp\.fc1\.bias/))).problem).toContain(
      '"text_model.encoder.layers.1.mlp.fc1.bias" is missing',
    );
    expect((await open(without(/logit_scale/))).problem).toContain("logit_scale");
    const cut = (tensors: TextSource["tensors"]) =>
      tensors.map((t) => (t.name.endsWith("position_embedding.weight") ? { ...t, shape: [16, 31] } : t));
    expect((await open(cut)).problem).toContain("has shape [16, 31] instead of [any, 32]");
    const none = files.filter(({ path }) => !/tokenizer|vocab/.test(path));
    expect((await open((t) => t, none)).problem).toContain("tokenizer.json (or vocab.json and merges.txt)");
  });

  it("refuses weights that are no numbers", async () => {
    const files = await textFiles("clip");
    const { tensors, config } = await textSource(files);
    const broken = tensors.map((tensor) =>
      tensor.name.endsWith("final_layer_norm.weight")
        ? { ...tensor, bytes: new Blob([new Float32Array(32).fill(Number.NaN)]) }
        : tensor,
    );
    const { tower } = await openText({ tensors: broken, config }, files, "gelu");
    await expect(tower?.embed(["a cat"])).rejects.toMatchObject({ parts: { code: "bad-model" } });
  });
});

it("writes class names as they are spoken", () => {
  expect(fillTemplates(["a {} and a {}."], "golden_retriever")).toEqual([
    "a golden retriever and a golden retriever.",
  ]);
  expect(fillTemplates(["{}"], "tench, Tinca tinca")).toEqual(["tench"]);
  expect(fillTemplates(["{}"], "$& cost")).toEqual(["$& cost"]);
});
