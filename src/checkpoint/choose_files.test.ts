// Folders as training scripts, libraries and the Hub's tools leave them: the model that from_pretrained would take is
// taken and told, and where nothing tells which, somebody is asked.
import { expect, test } from "vitest";
import { Failure } from "../failure.ts";
import type { SourceFile } from "../source_file.ts";
import { chooseFiles, plainName } from "./choose_files.ts";

const files = (...paths: string[]): SourceFile[] => paths.map((path) => ({ path, blob: new Blob(["x"]) }));

const shards = (kind: string, count: number) =>
  Array.from({ length: count }, (_, i) => `m/${kind.replace("*", `0000${i + 1}-of-0000${count}`)}`);

test.each<[what: string, taken: string, others: string[]]>([
  ["one file", "m/model.safetensors", ["m/config.json"]],
  [
    "a Trainer's output",
    "m/model.safetensors",
    ["m/checkpoint-500/model.safetensors", "m/checkpoint-1000/model.safetensors", "m/training_args.bin"],
  ],
  [
    "a Trainer's output with everything",
    "m/model.safetensors",
    ["m/optimizer.pt", "m/scheduler.pt", "m/rng_state_0.pth", "m/scaler.pt", "m/trainer_state.json"],
  ],
  [
    "Accelerate's",
    "m/model.safetensors",
    ["m/optimizer.bin", "m/scheduler.bin", "m/sampler.bin", "m/dl_state_dict.bin", "m/random_states_0.pkl"],
  ],
  ["Accelerate's with two models", "m/model.safetensors", ["m/model_1.safetensors", "m/optimizer.bin"]],
  ["PyTorch's beside safetensors", "m/model.safetensors", ["m/pytorch_model.bin", "m/tf_model.h5"]],
  ["another precision", "m/model.safetensors", ["m/model.fp16.safetensors"]],
  ["another precision in PyTorch's", "m/pytorch_model.bin", ["m/pytorch_model.fp16.bin"]],
  ["another average", "m/model.safetensors", ["m/model.non_ema.safetensors"]],
  ["the original beside it", "m/model.safetensors", ["m/original/consolidated.00.pth"]],
  ["an adapter beside it", "m/model.safetensors", ["m/adapter_model.safetensors", "m/adapter_config.json"]],
  ["an adapter below it", "m/model.safetensors", ["m/adapter/adapter_model.safetensors"]],
  [
    "OpenCLIP on the Hub",
    "m/model.safetensors",
    ["m/open_clip_model.safetensors", "m/open_clip_pytorch_model.bin"],
  ],
  [
    "OpenCLIP in both formats",
    "m/open_clip_model.safetensors",
    ["m/open_clip_pytorch_model.bin", "m/open_clip_config.json"],
  ],
  ["one model in two formats", "m/vit_small.safetensors", ["m/vit_small.pth", "m/config.json"]],
  ["OpenCLIP alone", "m/open_clip_model.safetensors", ["m/open_clip_config.json"]],
  ["OpenVINO beside PyTorch's", "m/pytorch_model.bin", ["m/openvino_model.bin", "m/openvino_model.xml"]],
  ["ONNX below it", "m/model.safetensors", ["m/onnx/model.onnx", "m/onnx/model.onnx_data"]],
  ["DeepSpeed's", "m/mp_rank_00_model_states.pt", ["m/zero_pp_rank_0_mp_rank_00_optim_states.pt"]],
  ["the Hub's cache", "m/snapshots/abc/model.safetensors", ["m/refs/main", "m/blobs/0123abcd"]],
  ["a second download", "m/model (1).safetensors", ["m/config (1).json"]],
  ["other letters", "m/Model.SafeTensors", ["m/Config.json"]],
  ["a training's archive by name", "m/checkpoint.pth.tar", ["m/log.txt"]],
  ["a classifier beside it", "m/model.safetensors", ["m/classifier.safetensors"]],
  ["an index that is stale", "m/model.safetensors", ["m/model.safetensors.index.json"]],
])("%s: the one is taken", (_, taken, others) => {
  const forwards = chooseFiles(files(taken, ...others), undefined);
  const backwards = chooseFiles(files(...others.toReversed(), taken), undefined);
  for (const { main, questions } of [forwards, backwards]) {
    expect(main.path).toBe(taken);
    expect(questions).toEqual([]);
  }
  // What might have been meant instead is named.
  const rivals = others.filter(
    (path) => /model[^/]*\.(safetensors|pth)$|consolidated/.test(path) && !/adapter_config/.test(path),
  );
  for (const rival of rivals.slice(0, 4)) expect(forwards.notes.join()).toContain(rival);
  if (forwards.notes.length > 0)
    expect(forwards.notes[0]).toMatch(/^The weights are those of ".*", not of "/);
});

test("shards are one model: by their index, by an index of another precision, or by their names", () => {
  const safetensors = shards("model-*.safetensors", 2);
  const indexed = chooseFiles(files(...safetensors, "m/model.safetensors.index.json"), undefined);
  expect([indexed.index?.path, indexed.notes]).toEqual(["m/model.safetensors.index.json", []]);
  const variant = chooseFiles(files(...safetensors, "m/model.safetensors.index.fp16.json"), undefined);
  expect(variant.index?.path).toBe("m/model.safetensors.index.fp16.json");
  for (const paths of [safetensors, shards("pytorch_model-*.bin", 3)]) {
    const { index, parts } = chooseFiles(files(...paths.toReversed()), undefined);
    expect([index, parts.map(({ path }) => path)]).toEqual([null, paths]);
  }
});

test.each<[what: string, index: string, own: string[], others: string[]]>([
  [
    "another precision's beside the usual",
    "m/model.safetensors.index.json",
    shards("model-*.safetensors", 2),
    ["m/model.fp16.safetensors.index.json", ...shards("model.fp16-*.safetensors", 2)],
  ],
  [
    "another precision's beside the usual, as diffusers name them",
    "m/model.safetensors.index.json",
    shards("model-*.safetensors", 2),
    ["m/model.safetensors.index.fp16.json", ...shards("model-*.fp16.safetensors", 2)],
  ],
  [
    "PyTorch's beside safetensors",
    "m/model.safetensors.index.json",
    shards("model-*.safetensors", 2),
    ["m/pytorch_model.bin.index.json", ...shards("pytorch_model-*.bin", 3)],
  ],
  [
    "PyTorch's beside an index whose files were not fetched",
    "m/pytorch_model.bin.index.json",
    shards("pytorch_model-*.bin", 3),
    ["m/model.safetensors.index.json"],
  ],
  [
    "another precision's alone",
    "m/model.fp16.safetensors.index.json",
    shards("model.fp16-*.safetensors", 2),
    [],
  ],
])("of shards, %s: each index with its own", (_, index, own, others) => {
  for (const paths of [[index, ...own, ...others], [...others, ...own, index].toReversed()]) {
    const chosen = chooseFiles(files(...paths), undefined);
    expect(chosen.index?.path).toBe(index);
    expect(chosen.parts.map(({ path }) => path).sort()).toEqual(own);
    expect(chosen.questions).toEqual([]);
  }
});

test.each<[what: string, choices: string[], usual: string]>([
  [
    "states of a training",
    ["t/checkpoint-500/model.safetensors", "t/checkpoint-1000/model.safetensors"],
    "t/checkpoint-1000/model.safetensors",
  ],
  [
    "two snapshots",
    ["m/snapshots/abc/model.safetensors", "m/snapshots/def/model.safetensors"],
    "m/snapshots/def/model.safetensors",
  ],
  ["two models by name", ["m/vit_small.pth", "m/vit_tiny.pth"], "m/vit_tiny.pth"],
  ["two models by folder", ["a/model.safetensors", "b/pytorch_model.bin"], "b/pytorch_model.bin"],
])("%s: somebody must choose", (_, choices, usual) => {
  const { questions, main } = chooseFiles(files(...choices, "m/README.md"), undefined);
  expect(questions).toMatchObject([{ key: "weights", open: true, usual, choices }]);
  expect(questions[0]?.question).toMatch(/Which model is meant\? There are 2/);
  expect(main.path).toBe(usual);
  for (const choice of choices) {
    for (const answer of [choice, `${choice}:ema`]) {
      const chosen = chooseFiles(files(...choices), answer);
      expect([chosen.main.path, chosen.questions]).toEqual([choice, []]);
    }
  }
  expect(() => chooseFiles(files(...choices), "ema")).toThrow(/no weights called "ema".*Choose one of/);
});

test.each([
  ["m/model.gguf", /GGUF/],
  ["m/tf_model.h5", /HDF5.*Keras/],
  ["m/model.onnx", /ONNX/],
  ["m/flax_model.msgpack", /Flax/],
  ["m/ViT-B_16.npz", /numpy \(npz\).*timm/],
  ["m/model.ckpt.data-00000-of-00001", /TensorFlow/],
  ["m/openvino_model.bin", /OpenVINO/],
  ["m/__0_0.distcp", /distributed checkpoint.*Merge/],
  ["m/model.tar.gz", /gzip/],
  ["m/cat.jpg", /an image/],
  ["m/model.safetensors.crdownload", /a download that has not ended\. Wait/],
  ["m/archive/data.pkl", /PyTorch's files that was unpacked.*zip -0 -r/],
])("%s alone is said by what it is", (path, sentence) => {
  expect(() => chooseFiles(files(path, "m/config.json"), undefined)).toThrow(sentence);
});

test("nothing, or nothing that is known, is said too", () => {
  expect(() => chooseFiles([], undefined)).toThrow(Failure);
  expect(() => chooseFiles(files("m/config.json"), undefined)).toThrow(
    /no weights .*only "m\/config\.json"\. Choose model/,
  );
  expect(() => chooseFiles(files("m/optimizer.pt", "m/training_args.bin"), undefined)).toThrow(
    /only "m\/optimizer\.pt"/,
  );
});

test.each([
  ["model (1).safetensors", "model.safetensors"],
  ["config (12).json", "config.json"],
  ["Config.JSON", "config.json"],
  ["model copy.safetensors", "model.safetensors"],
  ["model copy 2.safetensors", "model.safetensors"],
  ["model - Copy (2).safetensors", "model.safetensors"],
  ["model-00001-of-00002 (1).safetensors", "model-00001-of-00002.safetensors"],
  ["my model (best).pth", "my model (best).pth"],
])("%s is a %s", (name, plain) => {
  expect(plainName(name)).toBe(plain);
});
