// Real files of transformers, read to the last weight; and everything that is not such a file, refused by a sentence.
import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Failure } from "../failure.ts";
import type { SourceFile } from "../source_file.ts";
import { familyFixture, fixture, fixtureJson } from "./fixtures/load.ts";
import { BadCheckpoint, openCheckpoint } from "./open_checkpoint.ts";
import { readSafetensors, writeSafetensors } from "./safetensors.ts";
import type { ModelAnswers, NamedTensor } from "./types.ts";

type Facts = Record<string, Record<string, { shape: number[]; dtype: string; sha256: string }>>;
const facts = fixtureJson<Facts>("facts.json");

/** A fixture with its config.json or its tensors changed. */
async function altered(
  name: string,
  change: {
    config?: (config: Record<string, unknown>) => Record<string, unknown> | null;
    tensors?: (tensors: NamedTensor[]) => NamedTensor[];
    preprocessor?: (json: Record<string, unknown>) => Record<string, unknown> | null;
  },
): Promise<SourceFile[]> {
  const result: SourceFile[] = [];
  for (const { path, blob } of fixture(name)) {
    if (path.endsWith(".safetensors") && change.tensors) {
      const { tensors, metadata } = await readSafetensors(blob, path);
      result.push({ path, blob: writeSafetensors(change.tensors(tensors), metadata) });
      continue;
    }
    const edit = path.endsWith("/config.json")
      ? change.config
      : path.endsWith("preprocessor_config.json")
        ? change.preprocessor
        : undefined;
    const json = edit ? edit(JSON.parse(await blob.text())) : undefined;
    if (json === undefined) result.push({ path, blob });
    else if (json) result.push({ path, blob: new Blob([JSON.stringify(json)]) });
  }
  return result;
}

async function failure(files: SourceFile[], answers: ModelAnswers = {}): Promise<Failure> {
  const error = await openCheckpoint(files, answers).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(Failure);
  return error as Failure;
}

const f32 = (name: string, shape: number[], fill = 0.1): NamedTensor => {
  const values = new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(fill);
  return { name, dtype: "F32", shape, bytes: new Blob([values]) };
};

test.each(Object.keys(facts))("%s: every weight is what torch reads", async (name) => {
  const checkpoint = await openCheckpoint(fixture(name), {});
  expect(checkpoint.name).toBe(name);
  const expected = facts[name]!;
  expect(checkpoint.table.map((row) => row.name).sort()).toEqual(Object.keys(expected).sort());
  for (const [role, { shape, source }] of checkpoint.roles) {
    const values = await checkpoint.read(role);
    expect(values.length).toBe(shape.reduce((a, b) => a * b, 1));
    const sha = createHash("sha256").update(new Uint8Array(values.buffer)).digest("hex");
    expect(sha, role).toBe(expected[source]!.sha256);
  }
  // Nothing the network needs is left without a role.
  const unused = checkpoint.table.filter(({ role }) => role === null).map((row) => row.name);
  expect(unused).toEqual(
    name === "vit-model" ? ["embeddings.mask_token", "pooler.dense.bias", "pooler.dense.weight"] : [],
  );
});

test("the architecture of a ViT, an F16 one, a base, a DeiT with two heads", async () => {
  const vit = (await openCheckpoint(fixture("vit"), {})).architecture;
  expect(vit).toEqual({
    family: "hf-vit",
    imageSize: 16,
    patchSize: 4,
    hiddenSize: 24,
    layers: 2,
    heads: 3,
    mlpSize: 40,
    activation: "gelu",
    layerNormEps: 1e-12,
    qkvBias: true,
    prefixTokens: 1,
    pooling: "cls",
    distillationHead: false,
    labels: ["cat", "dog", "a bird, of any kind", "été", "__proto__"],
  });
  expect((await openCheckpoint(fixture("vit-f16"), {})).architecture).toEqual(vit);
  expect((await openCheckpoint(fixture("vit-v5-names"), {})).architecture).toEqual(vit);
  expect((await openCheckpoint(fixture("vit-no-qkv-bias"), {})).architecture).toEqual({
    ...vit,
    qkvBias: false,
  });
  const base = await openCheckpoint(fixture("vit-model"), {});
  expect(base.architecture).toEqual({ ...vit, labels: null });
  expect(base.source.prefix).toBe("");
  const teacher = await openCheckpoint(fixture("deit-teacher"), {});
  expect(teacher.architecture).toEqual({
    ...vit,
    family: "hf-deit",
    prefixTokens: 2,
    distillationHead: true,
  });
  expect(teacher.source.prefix).toBe("deit.");
  expect(teacher.roles.get("pos_embed")).toEqual({
    shape: [18, 24],
    source: "deit.embeddings.position_embeddings",
  });
  expect(teacher.roles.get("head_dist.weight")?.shape).toEqual([5, 24]);
  const deit = await openCheckpoint(fixture("deit"), {});
  expect(deit.architecture).toEqual({ ...vit, family: "hf-deit", prefixTokens: 2 });
  expect(deit.roles.has("head_dist.weight")).toBe(false);
});

test("legacy and version 5 names end in the same roles", async () => {
  const legacy = await openCheckpoint(fixture("vit"), {});
  const v5 = await openCheckpoint(fixture("vit-v5-names"), {});
  expect([...v5.roles.keys()].sort()).toEqual([...legacy.roles.keys()].sort());
  expect(legacy.roles.get("layer.1.o.weight")?.source).toBe(
    "vit.encoder.layer.1.attention.output.dense.weight",
  );
  expect(legacy.roles.get("layer.1.fc2.weight")?.source).toBe("vit.encoder.layer.1.output.dense.weight");
  expect(v5.roles.get("layer.1.o.weight")?.source).toBe("vit.layers.1.attention.o_proj.weight");
  expect(v5.roles.get("layer.1.fc2.weight")?.source).toBe("vit.layers.1.mlp.fc2.weight");
});

test("with all three files nothing is asked", async () => {
  for (const name of ["vit", "vit-bf16", "vit-model", "deit-teacher", "deit"]) {
    expect((await openCheckpoint(fixture(name), {})).questions).toEqual([]);
  }
});

test("weights alone: everything the tensors cannot tell is asked, with the usual value in use", async () => {
  const alone = fixture("vit").filter(({ path }) => path.endsWith(".safetensors"));
  const { architecture, preprocessing, questions, table } = await openCheckpoint(alone, {});
  expect(questions.map(({ key, usual }) => [key, usual])).toEqual([
    ["heads", "1"],
    ["activation", "gelu"],
    ["layerNormEps", "1e-12"],
    ["mean", "0.5, 0.5, 0.5"],
    ["std", "0.5, 0.5, 0.5"],
    ["resize", "16"],
    ["interpolation", "bilinear"],
  ]);
  expect(architecture).toMatchObject({ heads: 1, imageSize: 16, patchSize: 4, layers: 2 });
  expect(architecture.labels).toEqual(["LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3", "LABEL_4"]);
  expect(table.find(({ role }) => role === "head.weight")?.problem).toMatch(/LABEL_0/);
  expect(preprocessing).toEqual({
    resize: { mode: "exact", height: 16, width: 16 },
    crop: null,
    interpolation: "bilinear",
    mean: [0.5, 0.5, 0.5],
    std: [0.5, 0.5, 0.5],
  });
});

test("answers stand above the files, and what is answered is asked no more", async () => {
  const alone = fixture("deit").filter(({ path }) => path.endsWith(".safetensors"));
  const answers: ModelAnswers = {
    heads: 4,
    activation: "quick_gelu",
    layerNormEps: 1e-6,
    mean: [0, 0.1, 0.2],
    std: [1, 2, 3],
    resize: 20,
    interpolation: "lanczos",
  };
  for (const files of [alone, fixture("deit")]) {
    const { architecture, preprocessing, questions } = await openCheckpoint(files, answers);
    expect(questions).toEqual([]);
    expect(architecture).toMatchObject({ heads: 4, activation: "quick_gelu", layerNormEps: 1e-6 });
    expect(preprocessing).toEqual({
      resize: { mode: "exact", height: 20, width: 20 },
      crop: { height: 16, width: 16 },
      interpolation: "lanczos",
      mean: [0, 0.1, 0.2],
      std: [1, 2, 3],
    });
  }
});

test.each<[ModelAnswers, RegExp]>([
  [{ heads: 5 }, /24 cannot be shared by 5/],
  [{ heads: 0 }, /"heads"/],
  [{ layerNormEps: Number.NaN }, /"layerNormEps"/],
  [{ mean: [0.5, Number.NaN, 0.5] }, /"mean\.1"/],
  [{ std: [0.5, 0, 0.5] }, /"std"/],
  [{ resize: 8 }, /cannot be resized to 8/],
])("an answer that cannot be is refused: %j", async (answers, sentence) => {
  expect((await failure(fixture("vit"), answers)).message).toMatch(sentence);
});

test("a folder in a folder, hidden files and loose files are fine", async () => {
  const files = fixture("vit");
  const nested = files.map(({ path, blob }) => ({ path: `drop/${path}`, blob }));
  nested.push({ path: "drop/.cache/other.safetensors", blob: new Blob(["x"]) });
  nested.push({ path: "__MACOSX/drop/vit/._model.safetensors", blob: new Blob(["x"]) });
  nested.push({ path: "drop/README.md", blob: new Blob(["x"]) });
  expect(await openCheckpoint(nested, {})).toMatchObject({ name: "vit", questions: [] });
  const loose = files.map(({ path, blob }) => ({ path: path.split("/").at(-1)!, blob }));
  expect(await openCheckpoint(loose, {})).toMatchObject({ name: "model", questions: [] });
});

test("what is in a drop, when it is no model", async () => {
  const weights = fixture("vit").find(({ path }) => path.endsWith(".safetensors"))!;
  const config = fixture("vit").find(({ path }) => path.endsWith("/config.json"))!;
  expect((await failure([weights, config, config])).message).toMatch(/config\.json: There are 2 files/);
  expect((await failure([])).message).toMatch(/no files/);
  expect((await failure([config])).message).toMatch(/no weights .*only "vit\/config\.json"/);
  const named = (path: string): SourceFile => ({ path, blob: new Blob(["x"]) });
  expect((await failure([named("m/pytorch_model.bin")])).message).toMatch(/no file of weights that is known/);
  expect((await failure([named("model-00001-of-00002.safetensors")])).message).toMatch(/split/);
  const huge = { path: "vit/config.json", blob: new Blob([new Uint8Array(9_000_000)]) };
  expect((await failure([weights, huge])).message).toMatch(/9000000 bytes/);
  const broken = { path: "vit/config.json", blob: new Blob(['{"hidden_size": 24']) };
  expect((await failure([weights, broken])).message).toMatch(/^vit\/config\.json: This is not valid JSON/);
});

test.each<[string, (t: NamedTensor[]) => NamedTensor[], RegExp]>([
  [
    "a missing tensor",
    (t) => t.filter(({ name }) => name !== "vit.layernorm.bias"),
    /"vit\.layernorm\.bias" is missing\. Check/,
  ],
  [
    "a missing classifier bias",
    (t) => t.filter(({ name }) => name !== "classifier.bias"),
    /"classifier.bias" is missing/,
  ],
  [
    "a missing layer",
    (t) => t.filter(({ name }) => !name.includes("layer.1.")),
    /num_hidden_layers" is 2.*say 1.*And 1[45] more/,
  ],
  [
    "a hole between layers",
    (t) => t.map((x) => ({ ...x, name: x.name.replace("layer.1.", "layer.7.") })),
    /say 8/,
  ],
  [
    "a layer number beyond counting",
    (t) => t.map((x) => ({ ...x, name: x.name.replace("layer.1.", "layer.999999999.") })),
    /numbers 1000000000 layers/,
  ],
  [
    "one bias of q, k, v missing",
    (t) => t.filter(({ name }) => !name.endsWith("1.attention.attention.key.bias")),
    /key\.bias" is missing/,
  ],
  [
    "a transposed matrix",
    (t) => t.map((x) => (x.name.endsWith("0.output.dense.weight") ? { ...x, shape: [40, 24] } : x)),
    /"vit\.encoder\.layer\.0\.output\.dense\.weight" has shape \[40, 24\] instead of \[24, 40\]/,
  ],
  [
    "position embeddings of another size",
    (t) => t.map((x) => (x.name.endsWith("position_embeddings") ? f32(x.name, [1, 26, 24]) : x)),
    /"image_size" is 16, but the tensors say 20/,
  ],
  [
    "position embeddings of no square",
    (t) => t.map((x) => (x.name.endsWith("position_embeddings") ? f32(x.name, [1, 19, 24]) : x)),
    /19 positions, which is not 1 and a square/,
  ],
  [
    "weights of another dtype",
    (t) => t.map((x) => (x.name.endsWith("cls_token") ? { ...x, dtype: "I32" } : x)),
    /"vit\.embeddings\.cls_token" is stored as I32/,
  ],
  [
    "layer scale",
    (t) => [...t, f32("vit.encoder.layer.0.lambda_1", [24])],
    /"vit\.encoder\.layer\.0\.lambda_1" is no part/,
  ],
  [
    "infrared",
    (t) => t.map((x) => (x.shape.length === 4 ? f32(x.name, [24, 4, 4, 4]) : x)),
    /4 colour channels/,
  ],
  ["oblong patches", (t) => t.map((x) => (x.shape.length === 4 ? f32(x.name, [24, 3, 4, 2]) : x)), /4 x 2/],
  ["no width", (t) => t.map((x) => (x.shape.length === 4 ? f32(x.name, [0, 3, 4, 4]) : x)), /\[0, 3, 4, 4\]/],
  ["no classes", (t) => t.map((x) => (x.name === "classifier.weight" ? f32(x.name, [0, 24]) : x)), /no rows/],
  ["two classifiers", (t) => [...t, f32("cls_classifier.weight", [5, 24])], /two classifiers/],
])("%s is refused by name", async (_, change, sentence) => {
  const error = await failure(await altered("vit", { tensors: change }));
  expect(error.message).toMatch(sentence);
  expect(error.parts.code).toBe("bad-model");
  // Everything is in the table that comes with it, the missing included.
  expect(error).toBeInstanceOf(BadCheckpoint);
});

test("the table of a refused checkpoint shows each tensor's problem", async () => {
  const files = await altered("vit", {
    tensors: (t) =>
      t
        .filter(({ name }) => name !== "vit.layernorm.bias")
        .map((x) => (x.name === "classifier.weight" ? f32(x.name, [5, 12]) : x)),
  });
  const { table, parts } = (await failure(files)) as BadCheckpoint;
  // A table does not cross a worker's border; its problems do.
  expect(parts.details).toEqual(
    table.filter(({ problem }) => problem).map(({ name, problem }) => `${name}: ${problem}`),
  );
  expect(parts.details?.length).toBeGreaterThan(1);
  expect(table.filter(({ problem }) => problem).map(({ name, problem }) => [name, problem])).toEqual([
    ["classifier.weight", "has shape [5, 12] instead of [5, 24]"],
    ["vit.layernorm.bias", "is missing"],
  ]);
});

test.each<[string, Record<string, unknown>, RegExp]>([
  ["another width", { hidden_size: 48 }, /"hidden_size" is 48, but the tensors say 24/],
  ["more layers", { num_hidden_layers: 3 }, /num_hidden_layers/],
  ["a billion layers", { num_hidden_layers: 1e9 }, /"num_hidden_layers" cannot be used/],
  ["another MLP", { intermediate_size: 96 }, /intermediate_size/],
  ["another patch", { patch_size: 8 }, /patch_size/],
  ["another image", { image_size: [32, 32] }, /"image_size" is 32/],
  ["an oblong image", { image_size: [16, 32] }, /16 x 32; only square/],
  ["heads that do not divide", { num_attention_heads: 7 }, /24 cannot be shared by 7/],
  ["heads as text", { num_attention_heads: "3" }, /"num_attention_heads"/],
  ["a strange activation", { hidden_act: "relu6" }, /"relu6"/],
  ["a negative eps", { layer_norm_eps: -1 }, /layer_norm_eps/],
  ["labels that are lists", { id2label: { 0: [] } }, /"id2label\.0"/],
  ["CLIP", { model_type: "clip" }, /says "clip"/],
  ["DeiT's name on ViT's tensors", { model_type: "deit" }, /says "deit", but the tensors are those of a ViT/],
])("config.json with %s is refused", async (_, change, sentence) => {
  const files = await altered("vit", { config: (config) => ({ ...config, ...change }) });
  expect((await failure(files)).message).toMatch(sentence);
});

test("config.json may leave things out, and may say them in other ways", async () => {
  const less = await altered("vit", {
    config: ({ hidden_act: _, layer_norm_eps: __, num_attention_heads: ___, ...rest }) => ({
      ...rest,
      unknown_key: { deep: [1, 2, 3] },
      image_size: [16, 16],
      patch_size: null,
    }),
  });
  expect((await openCheckpoint(less, {})).questions.map(({ key }) => key)).toEqual([
    "heads",
    "activation",
    "layerNormEps",
  ]);
  const tanh = await altered("vit", { config: (config) => ({ ...config, hidden_act: "gelu_new" }) });
  expect((await openCheckpoint(tanh, {})).architecture.activation).toBe("gelu_tanh");
  const inverse = await altered("vit", {
    config: ({ id2label: _, ...rest }) => ({ ...rest, label2id: { e: 4, d: 3, c: "2", b: 1, a: 0 } }),
  });
  expect((await openCheckpoint(inverse, {})).architecture.labels).toEqual(["a", "b", "c", "d", "e"]);
});

test("labels that do not fit the classifier are remarked on, not fatal", async () => {
  const files = await altered("vit", { config: (config) => ({ ...config, id2label: { 0: "a", 1: "b" } }) });
  const { architecture, table } = await openCheckpoint(files, {});
  expect(architecture.labels).toEqual(["a", "b", "LABEL_2", "LABEL_3", "LABEL_4"]);
  expect(table.find(({ role }) => role === "head.weight")?.problem).toMatch(
    /2 classes, the classifier has 5/,
  );
});

test("tensors a classifier never uses are ignored, and strangers remarked on", async () => {
  const { architecture, table, roles } = await openCheckpoint(
    await altered("vit", {
      tensors: (t) => [
        ...t,
        f32("decoder.0.weight", [3]),
        f32("projector.weight", [3]),
        { ...f32("vit.embeddings.position_ids", [2]), dtype: "I32" },
      ],
    }),
    {},
  );
  expect(architecture.labels).toHaveLength(5);
  expect(table.filter(({ problem }) => problem).map(({ name }) => name)).toEqual(["projector.weight"]);
  expect([...roles.values()].map(({ source }) => source)).not.toContain("projector.weight");
});

test.each<[string, string[], RegExp]>([
  ["CLIP", ["vision_model.embeddings.class_embedding", "text_model.final_layer_norm.weight"], /CLIP/],
  ["SigLIP", ["vision_model.head.probe"], /SigLIP/],
  ["OpenCLIP", ["visual.conv1.weight"], /OpenCLIP/],
  [
    "a text tower",
    ["text_model.embeddings.token_embedding.weight"],
    /text tower of a CLIP or SigLIP, without/,
  ],
  ["OpenAI's text tower", ["token_embedding.weight", "ln_final.bias"], /text tower of a CLIP/],
  [
    "CLIP with a ResNet",
    ["visual.conv1.weight", "visual.layer1.0.conv1.weight"],
    /convolutional image tower/,
  ],
  ["OpenCLIP's ConvNeXt", ["visual.trunk.stages.0.blocks.0.norm.weight"], /convolutional image tower/],
  ["timm", ["blocks.0.attn.qkv.weight", "cls_token"], /timm ViT/],
  ["DINOv2", ["encoder.layer.0.layer_scale1.lambda1"], /DINOv2 of transformers/],
  ["DINOv3", ["layer.0.attention.q_proj.weight", "embeddings.register_tokens"], /DINOv3/],
  ["Swin", ["swin.embeddings.norm.weight"], /Swin/],
  ["ResNet", ["layer1.0.conv1.weight", "bn1.running_mean"], /ResNet/],
  ["BERT", ["bert.embeddings.word_embeddings.weight"], /text model/],
  ["Llama", ["model.embed_tokens.weight"], /text model/],
  ["a diffusion model", ["model.diffusion_model.input_blocks.0.weight"], /diffusion/],
  ["something unheard of", ["foo.bar"], /no network that is known.*"foo\.bar"/],
])("%s is refused by name", async (_, names, sentence) => {
  const blob = writeSafetensors(
    names.map((name) => f32(name, [2])),
    {},
  );
  const { message, parts } = await failure([{ path: "x/model.safetensors", blob }]);
  expect(message).toMatch(sentence);
  expect(parts.code).toBe("bad-model");
});

test("a LoRA adapter is refused, and its base named", async () => {
  const files: SourceFile[] = [
    {
      path: "a/adapter_model.safetensors",
      blob: writeSafetensors([f32("base_model.model.vit.encoder.layer.0.x.lora_A.weight", [1])], {}),
    },
    { path: "a/adapter_config.json", blob: new Blob(['{"base_model_name_or_path":"google/vit-base"}']) },
  ];
  expect((await failure(files)).message).toMatch(/LoRA adapter for "google\/vit-base"/);
  expect((await failure(files.slice(0, 1))).message).toMatch(/LoRA adapter, not a whole model/);
});

test.each(["vit", "vit-f16", "vit-bf16"])(
  "a NaN in %s is found when it is read, by tensor and index",
  async (name) => {
    const target = "vit.encoder.layer.1.intermediate.dense.weight";
    const files = await altered(name, {
      tensors: (t) =>
        t.map((x) => {
          if (x.name !== target) return x;
          const wide = x.dtype === "F32";
          const values = wide ? new Uint32Array(960) : new Uint16Array(960);
          values[77] = wide ? 0x7fc00000 : x.dtype === "F16" ? 0x7e00 : 0x7fc0;
          return { ...x, bytes: new Blob([values]) };
        }),
    });
    const checkpoint = await openCheckpoint(files, {});
    expect((await checkpoint.read("norm.weight")).length).toBe(24);
    const error = await checkpoint.read("layer.1.fc1.weight").catch((e: unknown) => e);
    expect(error).toBeInstanceOf(Failure);
    expect((error as Failure).message).toContain(`"${target}" holds NaN at index 77 of 960`);
  },
);

test("a role the model lacks is a Failure", async () => {
  const { read } = await openCheckpoint(fixture("vit-model"), {});
  await expect(read("head.weight")).rejects.toThrow(/no "head\.weight"/);
});

// Whatever is done to a real folder: a Failure, or a checkpoint every weight of which can be read or is refused.
async function failsOrReads(files: SourceFile[], answers: ModelAnswers = {}): Promise<"failed" | "opened"> {
  let checkpoint: Awaited<ReturnType<typeof openCheckpoint>>;
  try {
    checkpoint = await openCheckpoint(files, answers);
  } catch (error) {
    expect(error).toBeInstanceOf(Failure);
    expect((error as Failure).message.length).toBeLessThan(1500);
    return "failed";
  }
  for (const [role, { shape }] of checkpoint.roles) {
    const values = await checkpoint.read(role).catch((e: unknown) => e);
    if (values instanceof Float32Array) expect(values.length).toBe(shape.reduce((a, b) => a * b, 1));
    else expect(values).toBeInstanceOf(Failure);
  }
  return "opened";
}

test("bytes flipped anywhere in a real model's files", async () => {
  const files = fixture("deit-teacher-f16");
  const originals = await Promise.all(
    files.map(async ({ blob }) => new Uint8Array(await blob.arrayBuffer())),
  );
  const seen = { failed: 0, opened: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.nat(files.length - 1),
      // Half the flips in the first 6,000 bytes, where the header is.
      fc.array(fc.tuple(fc.oneof(fc.nat(1_000_000), fc.nat(6000)), fc.nat(255)), {
        minLength: 1,
        maxLength: 4,
      }),
      async (which, flips) => {
        const copy = originals[which]!.slice();
        for (const [at, value] of flips) copy[at % copy.length] = value;
        const mutated = files.map((file, i) => (i === which ? { ...file, blob: new Blob([copy]) } : file));
        seen[await failsOrReads(mutated)]++;
      },
    ),
    { numRuns: 300 },
  );
  expect(seen.failed).toBeGreaterThan(20);
  expect(seen.opened).toBeGreaterThan(20);
}, 30_000);

test("any value in config.json and preprocessor_config.json", async () => {
  const names = [
    ...new Set([
      ...Object.keys(await json("config.json")),
      ...Object.keys(await json("preprocessor_config.json")),
    ]),
  ];
  async function json(file: string): Promise<Record<string, unknown>> {
    return JSON.parse(
      await fixture("vit")
        .find(({ path }) => path.endsWith(`/${file}`))!
        .blob.text(),
    );
  }
  const seen = { failed: 0, opened: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...names, "crop_size", "do_center_crop"),
      fc.oneof(
        fc.jsonValue(),
        fc.integer(),
        fc.constantFrom(null, { shortest_edge: 16 }, [16, 16], 3, "gelu", false),
      ),
      async (key, value) => {
        const change = (config: Record<string, unknown>) => ({ ...config, [key]: value });
        seen[await failsOrReads(await altered("vit", { config: change, preprocessor: change }))]++;
      },
    ),
    { numRuns: 300 },
  );
  expect(seen.failed).toBeGreaterThan(20);
  expect(seen.opened).toBeGreaterThan(20);
}, 30_000);

/** Every place in a parsed JSON, as the keys that lead to it. */
function placesIn(value: unknown, path: string[] = []): string[][] {
  const inside = typeof value === "object" && value !== null ? Object.entries(value) : [];
  return [
    ...(path.length > 0 ? [path] : []),
    ...inside.flatMap(([key, one]) => placesIn(one, [...path, key])),
  ];
}

function putAt(value: unknown, [key, ...rest]: string[], put: unknown): unknown {
  if (key === undefined) return put;
  const copy = Array.isArray(value) ? [...value] : { ...(value as object) };
  return Object.assign(copy, { [key]: putAt((value as Record<string, unknown>)[key], rest, put) });
}

test.each<[string, SourceFile[], string, ModelAnswers]>([
  ["OpenCLIP", fixture("open-clip"), "open_clip_config.json", {}],
  ["OpenCLIP around timm", fixture("open-clip-siglip"), "open_clip_config.json", { heads: 2 }],
  ["timm", familyFixture("timm-reg4"), "config.json", {}],
  ["a CLIP's two towers", fixture("clip"), "config.json", {}],
])(
  "any value anywhere in the config of %s",
  async (_, files, name, answers) => {
    const config = files.find(({ path }) => path.endsWith(`/${name}`)) as SourceFile;
    const original: unknown = JSON.parse(await config.blob.text());
    const seen = { failed: 0, opened: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...placesIn(original)),
        fc.oneof(
          fc.jsonValue(),
          fc.integer(),
          fc.constantFrom(null, true, 0, -1, 2, 1e300, "gelu", "avg", []),
        ),
        async (path, value) => {
          const blob = new Blob([JSON.stringify(putAt(original, path, value))]);
          const mutated = files.map((file) => (file === config ? { ...file, blob } : file));
          seen[await failsOrReads(mutated, answers)]++;
        },
      ),
      { numRuns: 150 },
    );
    expect(seen.failed).toBeGreaterThan(5);
    expect(seen.opened).toBeGreaterThan(5);
  },
  30_000,
);
