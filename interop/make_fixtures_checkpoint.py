"""Writes the small checkpoints that src/checkpoint and src/export are tested on, with facts about them.

    interop/.venv/bin/python interop/make_fixtures_checkpoint.py

Random weights, real writers: every folder is what transformers' save_pretrained left there, except `vit-v5-names`,
which holds the names transformers 5 uses in memory. facts.json has a few values of every tensor as torch reads them;
dtypes.json has SHA-256 sums of numpy's and torch's conversions, over every half and around every rounding border.
"""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    DeiTConfig,
    DeiTForImageClassification,
    DeiTForImageClassificationWithTeacher,
    DeiTImageProcessorPil,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessorPil,
    ViTModel,
)

ROOT = Path(__file__).resolve().parent.parent / "src" / "checkpoint" / "fixtures"
SHAPE = dict(
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=40,
    image_size=16,
    patch_size=4,
)
LABELS = {0: "cat", 1: "dog", 2: "a bird, of any kind", 3: "été", 4: "__proto__"}


def randomise(model: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Every weight drawn anew, so that no bias is zero and no two tensors are alike."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
            if "layernorm" in name and name.endswith("weight"):
                parameter.add_(1)
    return model.eval()


def save(name: str, model: torch.nn.Module, processor=None) -> Path:
    folder = ROOT / name
    model.save_pretrained(folder)
    if processor is not None:
        processor.save_pretrained(folder)
    return folder


def facts(folder: Path) -> dict:
    tensors = load_file(folder / "model.safetensors")
    result = {}
    for name, tensor in tensors.items():
        flat = tensor.to(torch.float32).flatten()
        result[name] = {
            "shape": list(tensor.shape),
            "dtype": {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}[tensor.dtype],
            "sha256": hashlib.sha256(flat.numpy().tobytes()).hexdigest(),
        }
    return result


def rounding_inputs() -> np.ndarray:
    """f32 bit patterns: every half and bfloat, the borders between neighbours, one bit either side, and 100,000 others."""
    halves = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32).view(np.uint32)
    brains = np.arange(65536, dtype=np.uint32) << 16
    offsets = np.array([0, 1, 0xFFF, 0x1000, 0x1001, 0x7FFF, 0x8000, 0x8001], dtype=np.uint32)
    near = (np.concatenate([halves, brains])[:, None] + offsets[None, :]).ravel()
    # Numerical Recipes' linear congruential generator, so that the test can draw the same.
    others = np.empty(100_000, dtype=np.uint32)
    state = 1
    for i in range(others.size):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        others[i] = state
    # Between the smallest subnormal halves the borders lie far apart; walk them bit by bit there.
    tiny = np.arange(0x32FFFF00, 0x33000100, dtype=np.uint32)
    bits = np.concatenate([near, others, tiny])
    return bits[np.isfinite(bits.view(np.float32)) | ((bits & 0x7FFFFF) == 0)]


def dtype_facts() -> dict:
    sha = lambda array: hashlib.sha256(array.tobytes()).hexdigest()
    patterns = np.arange(65536, dtype=np.uint16)
    f16 = patterns.view(np.float16).astype(np.float32)
    bf16 = torch.from_numpy(patterns.view(np.int16)).view(torch.bfloat16).to(torch.float32).numpy()
    quiet = lambda wide: np.where(np.isnan(wide), np.uint32(0x7FC00000), wide.view(np.uint32)).astype(np.uint32)
    inputs = rounding_inputs()
    with np.errstate(over="ignore"):
        to_f16 = inputs.view(np.float32).astype(np.float16).view(np.uint16)
    torch_f16 = torch.from_numpy(inputs.view(np.float32)).to(torch.float16).view(torch.int16).numpy().view(np.uint16)
    assert np.array_equal(to_f16, torch_f16), "numpy and torch disagree"
    to_bf16 = torch.from_numpy(inputs.view(np.float32)).to(torch.bfloat16).view(torch.int16).numpy()
    return {
        "f16_to_f32": sha(quiet(f16)),
        "bf16_to_f32": sha(quiet(bf16)),
        "rounding_inputs": sha(inputs),
        "rounding_count": int(inputs.size),
        "f32_to_f16": sha(to_f16),
        "f32_to_bf16": sha(to_bf16),
    }


def main() -> None:
    torch.set_num_threads(1)
    for old in ROOT.glob("*/"):
        shutil.rmtree(old)
    labels = dict(id2label=LABELS, label2id={label: i for i, label in LABELS.items()})
    # A new config each time: save_pretrained writes the model's dtype and class into the one it was given.
    vit = lambda **more: ViTConfig(**SHAPE, **labels, **more)
    deit = lambda: DeiTConfig(**SHAPE, **labels)
    square = ViTImageProcessorPil(size={"height": 16, "width": 16})
    cropped = DeiTImageProcessorPil(
        size={"height": 18, "width": 18},
        crop_size={"height": 16, "width": 16},
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    folders = [
        save("vit", randomise(ViTForImageClassification(vit()), 1), square),
        save("vit-f16", randomise(ViTForImageClassification(vit()), 2).half(), square),
        save("vit-bf16", randomise(ViTForImageClassification(vit()), 3).bfloat16(), square),
        save("vit-model", randomise(ViTModel(ViTConfig(**SHAPE), use_mask_token=True), 4), square),
        save("vit-no-qkv-bias", randomise(ViTForImageClassification(vit(qkv_bias=False)), 5)),
        save("deit-teacher", randomise(DeiTForImageClassificationWithTeacher(deit()), 6), cropped),
        save("deit-teacher-f16", randomise(DeiTForImageClassificationWithTeacher(deit()), 7).half(), cropped),
        save("deit", randomise(DeiTForImageClassification(deit()), 8), cropped),
    ]
    model = randomise(ViTForImageClassification(vit()), 9)
    folder = ROOT / "vit-v5-names"
    folder.mkdir()
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / "model.safetensors")
    model.config.architectures = ["ViTForImageClassification"]
    model.config.save_pretrained(folder)
    folders.append(folder)

    for folder in folders:
        (folder / "model.safetensors").chmod(0o644)
    everything = {folder.name: facts(folder) for folder in folders}
    (ROOT / "facts.json").write_text(json.dumps(everything, indent=1) + "\n")
    (ROOT / "dtypes.json").write_text(json.dumps(dtype_facts(), indent=1) + "\n")


if __name__ == "__main__":
    main()
