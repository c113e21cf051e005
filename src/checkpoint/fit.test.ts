// A network under whatever tools and scripts put before its names: every way that is known from the field, and 500 that
// are made up, are read as the plain file is, or asked about; none is read wrongly without a word.
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { Failure } from "../failure.ts";
import type { SourceFile } from "../source_file.ts";
import { familyFixture, fixture } from "./fixtures/load.ts";
import { openCheckpoint } from "./open_checkpoint.ts";
import { readSafetensors, writeSafetensors } from "./safetensors.ts";
import type { Checkpoint, ModelAnswers, NamedTensor } from "./types.ts";

const f32 = (name: string, shape: number[], fill = 0.1): NamedTensor => {
  const values = new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(fill);
  return { name, dtype: "F32", shape, bytes: new Blob([values]) };
};
const whole = (name: string): NamedTensor => ({
  ...f32(name, [1]),
  dtype: "I64",
  shape: [],
  bytes: new Blob([new Uint8Array(8)]),
});

interface Base {
  tensors: NamedTensor[];
  rest: SourceFile[];
  plain: Checkpoint;
  answers: ModelAnswers;
}

const sources: Record<string, [SourceFile[], ModelAnswers]> = {
  timm: [familyFixture("timm-vit"), {}],
  distilled: [familyFixture("timm-distilled"), {}],
  "timm-dinov3": [familyFixture("timm-dinov3"), {}],
  vit: [fixture("vit"), {}],
  "vit-model": [fixture("vit-model"), {}],
  deit: [fixture("deit-teacher"), {}],
  "hf-dinov2": [familyFixture("hf-dinov2"), {}],
  "hf-dinov3": [familyFixture("hf-dinov3"), {}],
  clip: [fixture("clip"), {}],
  siglip: [fixture("siglip"), {}],
  "open-clip": [fixture("open-clip"), { heads: 2, activation: "gelu" }],
  "open-clip-siglip": [fixture("open-clip-siglip"), { heads: 2 }],
};
const bases: Record<string, Base> = {};

beforeAll(async () => {
  for (const [name, [files, answers]] of Object.entries(sources)) {
    const weights = files.find(({ path }) => path.endsWith(".safetensors")) as SourceFile;
    const rest = files.filter((file) => file !== weights);
    const { tensors } = await readSafetensors(weights.blob, name);
    bases[name] = { tensors, rest, answers, plain: await openCheckpoint(files, answers) };
  }
});

/** Opens these tensors with the base's other files. */
function open({ rest, answers }: Base, tensors: NamedTensor[], more: ModelAnswers = {}): Promise<Checkpoint> {
  const folder = rest[0]?.path.split("/")[0] ?? "model";
  const file = { path: `${folder}/model.safetensors`, blob: writeSafetensors(tensors, {}) };
  return openCheckpoint([...rest, file], { ...answers, ...more });
}

const renamed = (tensors: NamedTensor[], change: (name: string) => string) =>
  tensors.map((tensor) => ({ ...tensor, name: change(tensor.name) }));
const under = (base: Base, prefix: string) => renamed(base.tensors, (name) => prefix + name);
/** The same network with other numbers: each bit of the first mantissas turned. */
const other = async (tensors: NamedTensor[]): Promise<NamedTensor[]> =>
  Promise.all(
    tensors.map(async (tensor) => {
      const bytes = new Uint8Array(await tensor.bytes.arrayBuffer());
      return { ...tensor, bytes: new Blob([bytes.map((byte) => byte ^ 1)]) };
    }),
  );

async function same(a: Checkpoint, b: Checkpoint): Promise<boolean> {
  if (JSON.stringify(a.architecture) !== JSON.stringify(b.architecture)) return false;
  if ([...a.roles.keys()].sort().join() !== [...b.roles.keys()].sort().join()) return false;
  for (const role of a.roles.keys()) {
    const [x, y] = [await a.read(role), await b.read(role)];
    if (x.length !== y.length || x.some((value, i) => value !== y[i])) return false;
  }
  return true;
}

test.each<[what: string, base: string, change: (name: string) => string]>([
  ["DistributedDataParallel", "vit", (n) => `module.${n}`],
  ["torch.compile", "timm", (n) => `_orig_mod.${n}`],
  ["both, in either order", "timm", (n) => `module._orig_mod.${n}`],
  ["both, the other way round", "clip", (n) => `_orig_mod.module.${n}`],
  ["every block compiled", "timm", (n) => n.replace(/^blocks\.(\d+)\./, "blocks.$1._orig_mod.")],
  ["Lightning", "vit", (n) => `model.${n}`],
  ["Lightning with self.vit", "vit", (n) => `vit.${n}`],
  ["Lightning with self.vit of a bare backbone", "vit-model", (n) => `vit.${n}`],
  ["MMPretrain", "timm", (n) => `backbone.${n}`],
  ["FSDP", "hf-dinov2", (n) => `_fsdp_wrapped_module.${n}`],
  [
    "FSDP around every block",
    "timm",
    (n) => `_fsdp_wrapped_module.${n.replace(/^blocks\.(\d+)\./, "blocks.$1._fsdp_wrapped_module.")}`,
  ],
  [
    "activation checkpoints",
    "timm",
    (n) => n.replace(/^blocks\.(\d+)\./, "blocks.$1._checkpoint_wrapped_module."),
  ],
  ["PEFT, merged", "vit", (n) => `base_model.model.${n}`],
  [
    "PEFT, merged and not unloaded",
    "vit",
    (n) =>
      `base_model.model.${n.replace(/(query|value)\./, "$1.base_layer.").replace(/^classifier\./, "classifier.modules_to_save.default.")}`,
  ],
  ["timm inside transformers", "timm", (n) => `timm_model.${n}`],
  ["DeepSpeed", "timm", (n) => `module.module.${n}`],
  ["ModelEma", "timm", (n) => `ema_model.module.${n}`],
  ["stochastic weight averaging", "timm", (n) => `averaged_model.module.${n}`],
  ["a CLIP inside a class", "clip", (n) => `clip.${n}`],
  ["a CLIP under a deeper nest", "open-clip", (n) => `state_dict.module.model.${n}`],
  ["a vision tower of a language model", "siglip", (n) => `model.vision_tower.${n}`],
  ["names that mean something elsewhere", "timm", (n) => `visual.encoder.decoder.head.${n}`],
])("%s: the network is read as without it", async (_, name, change) => {
  const base = bases[name] as Base;
  const opened = await open(base, [...renamed(base.tensors, change), whole("n_averaged")]);
  expect(await same(opened, base.plain)).toBe(true);
  expect(opened.questions).toEqual(base.plain.questions);
  // A prefix that is the family's own stays; no export is the worse for it.
  expect([base.plain.source.prefix, "vit."]).toContain(opened.source.prefix);
  expect(opened.notes.at(-1)).toBe('One tensor beside the network is left out: "n_averaged".');
});

test("what stands beside the network is left out and told, whatever it is", async () => {
  const base = bases.timm as Base;
  const opened = await open(base, [
    ...under(base, "state_dict.model."),
    f32("state_dict.criterion.weight", [3]),
    { ...f32("state_dict.train_acc.tp", [3]), dtype: "I32" },
    whole("state_dict.bn.num_batches_tracked"),
    f32("optimizer.state.0.exp_avg", [4]),
    f32("state_dict.model.projector.0.weight", [4]),
  ]);
  expect(await same(opened, base.plain)).toBe(true);
  expect(opened.notes).toEqual([
    'The weights are those under "state_dict.model".',
    '5 tensors beside the network are left out: "state_dict.model.projector.0.weight", "state_dict.criterion.weight", "state_dict.train_acc.tp" and 2 more.',
  ]);
  expect(opened.table.filter(({ role }) => role === null).map(({ problem }) => problem)).toContain(
    "Not used, and left out of an export.",
  );
});

test.each<[what: string, first: string, second: string, taken: string, asked: boolean]>([
  ["timm's training", "state_dict", "state_dict_ema", "state_dict_ema", true],
  ["DeiT's training", "model", "model_ema", "model_ema", true],
  ["an average with its decay", "net", "ema_0.999", "ema_0.999", true],
  ["Lightning with an average", "state_dict.model", "state_dict.model_ema.module", "model_ema.module", true],
  ["stochastic weight averaging", "model_state_dict", "swa_model", "swa_model", true],
  ["DINO and iBOT", "student.module.backbone", "teacher.backbone", "teacher.backbone", false],
  ["I-JEPA", "encoder.module", "target_encoder.module", "target_encoder.module", false],
  ["MoCo v3", "state_dict.module.momentum_encoder", "state_dict.module.base_encoder", "base_encoder", false],
  ["MoCo", "module.encoder_k", "module.encoder_q", "encoder_q", false],
  ["BYOL", "target_network", "online_network", "online_network", false],
])(
  "%s: of two networks the field's is taken, told, and the other can be had",
  async (_, first, second, taken, asked) => {
    const base = bases["vit-model"] as Base;
    const changed = await other(base.tensors);
    const isSecond = second.endsWith(taken);
    const at = (prefix: string, tensors: NamedTensor[]) => renamed(tensors, (name) => `${prefix}.${name}`);
    // The base's numbers stand where the taken ones should be.
    const file = [...at(first, changed), ...at(second, base.tensors)];
    const opened = await open(base, file);
    expect(isSecond && (await same(opened, base.plain))).toBe(true);
    expect(opened.notes[0]).toMatch(/^The weights are those under ".*not those under "/);
    const questions = opened.questions.filter(({ key }) => key === "weights");
    expect(questions.length).toBe(Number(asked));
    if (asked) expect(questions[0]).toMatchObject({ usual: taken });
    expect(questions[0]?.open).toBeUndefined();

    const names = /under "([^"]*)".*not those under "([^"]*)"/.exec(
      opened.notes[0] as string,
    ) as RegExpExecArray;
    const rest = await open(base, file, { weights: names[2] });
    expect(await same(rest, base.plain)).toBe(false);
    expect(rest.questions).toEqual([]);
    expect(await same(await open(base, file, { weights: second }), base.plain)).toBe(true);
  },
);

test("two networks of which nothing says more are asked about, and a wrong answer is refused", async () => {
  const base = bases.timm as Base;
  const file = [...under(base, "left."), ...under(base, "right.")];
  const { questions } = await open(base, file);
  expect(questions).toMatchObject([{ key: "weights", open: true, choices: ["left", "right"] }]);
  const error = await open(base, file, { weights: "middle" }).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(Failure);
  expect((error as Failure).message).toMatch(/no weights called "middle".*Choose one of: left, right/);
});

test("a network that fits goes before one that does not", async () => {
  const base = bases.timm as Base;
  const broken = base.tensors.filter(({ name }) => !name.includes("blocks.1.attn"));
  const opened = await open(base, [...renamed(broken, (name) => `a_ema.${name}`), ...under(base, "z.")]);
  expect(await same(opened, base.plain)).toBe(true);
  expect(opened.questions).toEqual([]);
  expect(opened.notes[1]).toMatch(
    /under "z", not those under "a_ema", which are no whole ViT of timm: "blocks\.1\.attn\.\w+\.weight" is missing/,
  );
});

test("nothing is taken off that would leave another network", async () => {
  const base = bases.timm as Base;
  const error = await open(base, [...under(base, "model."), f32("model.blocks.0.adapter.weight", [2])]).catch(
    (e: unknown) => e,
  );
  expect((error as Failure).message).toMatch(/"blocks\.0\.adapter\.weight" is no part of a ViT of timm/);
});

// --- Made up --------------------------------------------------------------------------------------------------------

const word = fc.oneof(
  fc.constantFrom(
    ..."model module state_dict net network encoder backbone vit visual trunk vision_model deit dinov2 ema teacher student head blocks layers weights params 0 features base_model target_encoder".split(
      " ",
    ),
  ),
  fc.stringMatching(/^[a-z_][a-z0-9_]{0,8}$/),
);
const nest = fc.array(word, { maxLength: 5 }).map((words) => words.map((part) => `${part}.`).join(""));
const noise = fc.array(
  fc.record({
    name: fc.oneof(
      fc.constantFrom(
        "criterion.weight",
        "norm.weight",
        "head.weight",
        "cls_token",
        "optimizer.state.0.exp_avg",
        "bn.running_mean",
        "patch_embed.proj.bias",
        "embeddings.cls_token",
      ),
      fc.tuple(nest, word).map(([before, last]) => before + last),
    ),
    shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
    dtype: fc.constantFrom("F32", "I32"),
  }),
  { maxLength: 6 },
);

test("500 networks in made-up nests, with noise and seconds beside them: found, or asked, or refused", async () => {
  const seen = { found: 0, asked: 0, refused: 0, wrong: [] as string[] };
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...Object.keys(sources)),
      nest,
      fc.option(nest, { freq: 2 }),
      noise,
      fc.boolean(),
      async (name, prefix, second, extra, compiled) => {
        const base = bases[name] as Base;
        const inner = (n: string) => (compiled ? n.replace(/\.(\d+)\./, ".$1._orig_mod.") : n);
        const file = new Map(renamed(base.tensors, (n) => prefix + inner(n)).map((t) => [t.name, t]));
        const two = second !== null && second !== prefix;
        if (two) {
          for (const t of renamed(await other(base.tensors), (n) => second + n))
            if (!file.has(t.name)) file.set(t.name, t);
        }
        for (const { name: n, shape, dtype } of extra)
          if (!file.has(n)) file.set(n, { ...f32(n, shape), dtype });
        let opened: Checkpoint;
        try {
          opened = await open(base, [...file.values()]);
        } catch (error) {
          expect(error).toBeInstanceOf(Failure);
          seen.refused++;
          return;
        }
        const questions = opened.questions.filter(({ key }) => key === "weights");
        if (two && (questions.length > 0 || opened.notes.some((note) => note.includes("not those under"))))
          seen.asked++;
        else if (await same(opened, base.plain)) seen.found++;
        else seen.wrong.push(`${name} under ${prefix} beside ${second}: ${opened.notes.join(" ")}`);
      },
    ),
    { numRuns: 500 },
  );
  expect(seen.wrong).toEqual([]);
  expect(seen.found).toBeGreaterThan(200);
  expect(seen.asked).toBeGreaterThan(50);
  // Noise may stand where the network's own tensors would, which makes it another one.
  expect(seen.refused).toBeLessThan(100);
}, 120_000);
