"""The bench's work in PyTorch with PEFT, on the CPU with all cores or with `--device cuda` on a GPU, in f32: the same
weights, batch and AdamW as src/session/benchmark/work.ts. It is asked by lines of JSON on standard input, as the other
hosts are by messages."""

import argparse
import json
import sys
import time

import numpy as np
import peft
import torch
import torch.nn.functional as F
import transformers

arguments = argparse.ArgumentParser()
arguments.add_argument("--device", default="cpu")
DEVICE = torch.device(arguments.parse_args().device)
# Everybody here computes in f32; TF32 would be another arithmetic.
torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False

CLASSES, RANK, ALPHA, RATE, DECAY = 10, 4, 8, 1e-3, 0.01


def draw(name: str, size: int, scale: float, offset: float = 0.0) -> np.ndarray:
    """Uniform draws of `random(seedFor(1, name))` in src/random.ts: mulberry32 over a counter, FNV-1a over the name."""
    return (offset + scale * (2 * uniform(name, size) - 1)).astype(np.float32)


def uniform(name: str, size: int) -> np.ndarray:
    seed = (0x811C9DC5 ^ 1) & 0xFFFFFFFF
    for code in name.encode("utf-16-le")[::2]:
        seed = ((seed ^ code) * 0x01000193) & 0xFFFFFFFF
    mask = np.uint64(0xFFFFFFFF)
    counter = np.arange(1, size + 1, dtype=np.uint64)
    state = (np.uint64(seed) + counter * np.uint64(0x6D2B79F5)) & mask
    t = ((state ^ (state >> np.uint64(15))) * (state | np.uint64(1))) & mask
    t ^= (t + (((t ^ (t >> np.uint64(7))) * (t | np.uint64(61))) & mask)) & mask
    return ((t ^ (t >> np.uint64(14))) & mask).astype(np.float64) / 4294967296


def spread(width: int) -> float:
    return 0.5 * (3 / width) ** 0.5


# Places of a linear map of a layer and of its norms in transformers' ViT.
NAMES = {
    "q": "attention.q_proj",
    "k": "attention.k_proj",
    "v": "attention.v_proj",
    "o": "attention.o_proj",
    "fc1": "mlp.fc1",
    "fc2": "mlp.fc2",
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
}


class Network(torch.nn.Module):
    """transformers' ViT with a classifier on CLS, over 8-bit pixels."""

    def __init__(self, a: dict):
        super().__init__()
        config = transformers.ViTConfig(
            hidden_size=a["hiddenSize"],
            num_hidden_layers=a["layers"],
            num_attention_heads=a["heads"],
            intermediate_size=a["mlpSize"],
            image_size=a["imageSize"],
            patch_size=a["patchSize"],
            layer_norm_eps=a["layerNormEps"],
            hidden_act="gelu",
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            num_labels=CLASSES,
        )
        self.vit = transformers.ViTForImageClassification(config)

    def forward(self, pixels):
        x = (pixels.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
        return self.vit(x).logits


def build(a: dict, train: bool) -> torch.nn.Module:
    d, m, patch = a["hiddenSize"], a["mlpSize"], a["patchSize"]
    tokens = (a["imageSize"] // patch) ** 2 + 1
    shapes = {name: (d, d) for name in "qkvo"} | {"fc1": (m, d), "fc2": (d, m)}
    network = Network(a)
    inside = network.vit.vit

    def put(target, values):
        with torch.no_grad():
            target.copy_(torch.from_numpy(values).reshape(target.shape))

    def affine(target, name):
        put(target.weight, draw(f"{name}.weight", d, 0.05, 1))
        put(target.bias, draw(f"{name}.bias", d, 0.05))

    def linear(target, name, out, width):
        put(target.weight, draw(f"{name}.weight", out * width, spread(width)))
        put(target.bias, draw(f"{name}.bias", out, 0.05))

    put(inside.embeddings.cls_token, draw("cls_token", d, 0.2))
    put(inside.embeddings.position_embeddings, draw("pos_embed", tokens * d, 0.2))
    linear(inside.embeddings.patch_embeddings.projection, "patch_embed", d, 3 * patch * patch)
    paths = {}
    for i, layer in enumerate(inside.layers):
        for name, path in NAMES.items():
            module = layer.get_submodule(path)
            if name in shapes:
                linear(module, f"layer.{i}.{name}", *shapes[name])
                paths[f"vit.vit.layers.{i}.{path}"] = (i, name)
            else:
                affine(module, f"layer.{i}.{name}")
    affine(inside.layernorm, "norm")
    linear(network.vit.classifier, "head", CLASSES, d)
    if not train:
        return network.eval()

    lora = peft.LoraConfig(
        r=RANK,
        lora_alpha=ALPHA,
        lora_dropout=0.0,
        target_modules=list(paths),
        modules_to_save=["classifier"],
    )
    model = peft.get_peft_model(network, lora)
    found = {full.removeprefix("base_model.model."): module for full, module in model.named_modules()}
    for path, (i, name) in paths.items():
        out, width = shapes[name]
        module = found[path]
        start = f"layer.{i}.{name}.lora_"
        put(module.lora_A["default"].weight, draw(start + "A", RANK * width, spread(width)))
        put(module.lora_B["default"].weight, draw(start + "B", out * RANK, 0.02))
    return model.train()


class Step:
    def __init__(self, task: dict, a: dict):
        batch, size = task["batch"], a["imageSize"]
        self.train = task["mode"] != "inference"
        self.model = build(a, self.train).to(DEVICE)
        values = np.floor(uniform("pixels", batch * size * size * 3) * 256).astype(np.uint8)
        self.pixels = torch.from_numpy(values).reshape(batch, size, size, 3).to(DEVICE)
        self.labels = (torch.arange(batch) % CLASSES).to(DEVICE)
        if self.train:
            learned = [p for p in self.model.parameters() if p.requires_grad]
            self.optimiser = torch.optim.AdamW(learned, lr=RATE, weight_decay=DECAY)

    def __call__(self) -> float:
        if not self.train:
            with torch.inference_mode():
                return F.cross_entropy(self.model(self.pixels), self.labels).item()
        loss = F.cross_entropy(self.model(self.pixels), self.labels)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return loss.item()


def main() -> None:
    steps: dict[int, Step] = {}

    def answer(request: dict):
        call, handle = request["call"], request.get("handle")
        if call == "open":
            steps[len(steps) + 1] = Step(request["task"], request["architecture"])
            if DEVICE.type == "cuda":
                where = f"{torch.cuda.get_device_name(DEVICE)}, f32 without TF32"
            else:
                where = f"CPU, {torch.get_num_threads()} threads"
            return {"handle": len(steps), "adapter": f"PyTorch {torch.__version__}, {where}"}
        if call == "step":
            start, used = time.perf_counter(), time.process_time()
            loss = steps[handle]()
            return {
                "milliseconds": 1000 * (time.perf_counter() - start),
                "cpuMilliseconds": 1000 * (time.process_time() - used),
                "loss": loss,
            }
        if call == "close":
            del steps[handle]
            return None
        raise ValueError(f"{call} is not for PyTorch")

    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = {"id": request["id"], "value": answer(request)}
        except Exception as error:  # whatever it is, the bench says it and goes on
            reply = {"id": request["id"], "error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


main()
