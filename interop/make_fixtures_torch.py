"""Writes the small PyTorch files that src/checkpoint/torch_zip.test.ts reads, with facts about their tensors.

    interop/.venv/bin/python interop/make_fixtures_torch.py

The good ones are what torch.save and torch.jit.save make of random tensors; facts.json has shape, dtype and SHA-256 of
every one as torch reads it back. The hostile ones would run code in Python's own unpickler, and are never loaded here.
"""

import argparse
import hashlib
import json
import os
import shutil
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

CHECKPOINT = Path(__file__).resolve().parent.parent / "src" / "checkpoint"
ROOT = CHECKPOINT / "fixtures_torch"
DTYPES = {
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float64: "F64",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def facts(tensors: dict) -> dict:
    result = {}
    for name, tensor in tensors.items():
        raw = tensor.detach().contiguous()
        raw = raw.view(torch.uint8) if raw.dim() else raw.reshape(1).view(torch.uint8)
        result[name] = {
            "shape": list(tensor.shape),
            "dtype": DTYPES[tensor.dtype],
            "sha256": hashlib.sha256(raw.numpy().tobytes()).hexdigest(),
        }
    return result


def backbone(seed: int) -> OrderedDict:
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator)
    return OrderedDict(cls_token=draw(1, 1, 8), **{"blocks.0.attn.qkv.weight": draw(24, 8), "norm.bias": draw(8)})


def prefixed(prefix: str, tensors: dict) -> OrderedDict:
    return OrderedDict((prefix + name, tensor) for name, tensor in tensors.items())


def layouts() -> dict:
    base = torch.arange(60, dtype=torch.float32).reshape(3, 4, 5)
    cube = torch.arange(24, dtype=torch.float64).reshape(2, 3, 4)
    return {
        "rows": base,
        "first_row": base[0],
        "same_storage": base[1:, :2],
        "transposed": base.reshape(12, 5).t(),
        "column": base[:, :, 2],
        "permuted": cube.permute(2, 0, 1),
        "halves_transposed": torch.arange(6, dtype=torch.float16).reshape(2, 3).t(),
        "bytes_transposed": torch.arange(6, dtype=torch.uint8).reshape(2, 3).t(),
        "one_by_one": torch.ones(1, 3, 1)[:, ::2],
        "scalar": torch.tensor(4.5),
        "nothing": torch.zeros(0, 4),
        "position_ids": torch.arange(5).unsqueeze(0),
        "mask": torch.tensor([True, False]),
        "parameter": nn.Parameter(torch.full((2, 2), 0.25)),
    }


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(3, 2)
        self.register_buffer("position_ids", torch.arange(3))
        self.sizes = [1, 2]

    def forward(self, x):
        return self.lin(x)


class Scripted(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])
        self.proj = nn.Parameter(torch.randn(2, 2))

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


class Calls:
    """Pickles as a call of `function` with `arguments`."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def main() -> None:
    torch.manual_seed(0)
    shutil.rmtree(ROOT, ignore_errors=True)
    ROOT.mkdir()
    good: dict[str, dict] = {}

    def save(name: str, value, tensors: dict, **more) -> None:
        torch.save(value, ROOT / name, **more)
        good[name] = facts(tensors)

    plain = backbone(1)
    save("f32.pth", plain, plain)
    for name, dtype in (("f16.bin", torch.float16), ("bf16.bin", torch.bfloat16)):
        tensors = {key: value.to(dtype) for key, value in plain.items()}
        save(name, tensors, tensors)
    save("layouts.pt", layouts(), layouts())

    module = nn.Linear(3, 2)
    module.register_buffer("steps", torch.tensor(3))
    save("metadata.pth", module.state_dict(), module.state_dict())

    # What a whole DINO training run leaves behind.
    student, teacher, head = backbone(2), backbone(3), {"head.mlp.0.weight": torch.randn(4, 8)}
    optimizer = torch.optim.AdamW(nn.Linear(3, 2).parameters())
    optimizer.param_groups[0]["params"][0].grad = torch.ones(2, 3)
    optimizer.step()
    save(
        "dino_full.pth",
        {
            "student": prefixed("module.", {**prefixed("backbone.", student), **head}),
            "teacher": prefixed("module.", {**prefixed("backbone.", teacher), **head}),
            "optimizer": optimizer.state_dict(),
            "epoch": 100,
            "args": argparse.Namespace(arch="vit_small", global_crops_scale=(0.4, 1.0), gpu=0, fp16=True, size=2**40),
            "dino_loss": OrderedDict(center=torch.zeros(1, 4)),
            "fp16_scaler": {"scale": 65536.0},
        },
        teacher,
    )
    # The same around a whole network, that of fixtures/families/dino_vitsmall4.
    network = load_file(CHECKPOINT / "fixtures" / "families" / "dino_vitsmall4" / "model.safetensors")
    save(
        "dino_training.pth",
        {
            "student": prefixed("module.", {"backbone.cls_token": network["cls_token"] + 1, **head}),
            "teacher": {**prefixed("backbone.", network), **head},
            "optimizer": optimizer.state_dict(),
            "epoch": 100,
        },
        network,
    )
    save("model.pth", {"model": plain, "epoch": 3, "size": torch.Size([1, 2])}, plain)
    save("lightning.ckpt", {"state_dict": prefixed("module.", plain), "big": -(2**70), "none": None}, plain)
    vit = load_file(CHECKPOINT / "fixtures" / "vit" / "model.safetensors")
    save("vit.bin", vit, vit)
    # As transformers split a model before it wrote safetensors.
    for i in range(2):
        shard = OrderedDict(list(vit.items())[i::2])
        save(f"vit_{i + 1}_of_2.bin", shard, shard)

    scripted = torch.jit.script(Scripted().half())
    torch.jit.save(scripted, str(ROOT / "scripted.pt"))
    good["scripted.pt"] = facts(scripted.state_dict())
    (ROOT / "facts.json").write_text(json.dumps(good, indent=1) + "\n")

    torch.save(plain, ROOT / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(module, ROOT / "whole_module.pt")
    torch.save({"model": plain, "note": Calls(os.system, "echo pwned > /tmp/pwned")}, ROOT / "os_system.pth")
    torch.save({"model": plain, "note": Calls(eval, "1 + 1")}, ROOT / "eval.pth")
    torch.save({"model": plain, "note": Calls(getattr, "text", "upper")}, ROOT / "getattr.pth")
    torch.save({"model": plain, "note": Calls(exec, "pass")}, ROOT / "exec.pth")
    torch.save({"model": plain, "tags": {"a", "b"}}, ROOT / "set.pth")
    torch.save(plain, ROOT / "protocol_4.pth", pickle_protocol=4)
    torch.save({"epoch": 3}, ROOT / "no_tensors.pth")
    torch.save([torch.ones(2)], ROOT / "list.pth")
    torch.save({"expanded": torch.ones(1).expand(1000)}, ROOT / "expanded.pth")


if __name__ == "__main__":
    main()
