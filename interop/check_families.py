"""Checks exports of every family with their real consumers: transformers (4 or 5), open_clip, timm and torchvision.

    npx tsx interop/export_families.mts OUT && interop/.venv/bin/python interop/check_families.py OUT

Every folder loads in the library of its source without a missing or unexpected key, the tensors that were not asked to
change are those of the source bit for bit (text tower included), and the logits (of the library's own classifier, or of
classifier.safetensors on what its metadata says it reads) agree with the engine's to 1e-4. Exit code 0 when all holds.
"""

import json
import re
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import open_clip
import timm
import torch
import torchvision
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoImageProcessor, AutoModelForImageClassification
from transformers import CLIPModel, CLIPVisionModel, CLIPVisionModelWithProjection, DINOv3ViTModel, SiglipModel, SiglipVisionModel, __version__
from transformers.utils import logging

import tiny_open_clip  # registers the trunk of the fixtures

FIXTURES = Path(__file__).resolve().parent.parent / "src" / "checkpoint" / "fixtures"
CLASSES = {c.__name__: c for c in (CLIPModel, CLIPVisionModel, CLIPVisionModelWithProjection, DINOv3ViTModel, SiglipModel, SiglipVisionModel)}
VERSION = int(__version__.split(".")[0])
TOLERANCE = 1e-4
problems = []


def check(holds, sentence):
    if not holds:
        problems.append(sentence)


def loaded(model_class, folder):
    model, info = model_class.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    for key in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        check(not info[key], f"{folder.name}: {key} {sorted(map(str, info[key]))[:4]}")
    return model.eval()


def timm_model(folder):
    """timm's own names hold every tensor and no other; the original ones pass through timm's converter, which is strict.
    It folds the class token's position into the token in the file's dtype; widened first, nothing is rounded there."""
    if not folder.name.startswith("timm"):
        wide = Path(tempfile.mkdtemp()) / folder.name
        shutil.copytree(folder, wide)
        save_file({k: v.float() for k, v in load_file(folder / "model.safetensors").items()}, wide / "model.safetensors")
        model = timm.create_model(f"local-dir:{wide}", pretrained=True).eval()
        shutil.rmtree(wide.parent)
        return model
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    stored, own = set(load_file(folder / "model.safetensors")), set(model.state_dict())
    check(stored == own, f"{folder.name}: timm has other tensors: {sorted(stored ^ own)[:4]}")
    return model


def torchvision_model(folder, config):
    """As the note of an export has it; load_state_dict is strict."""
    model = torchvision.models.VisionTransformer(
        image_size=config["image_size"], patch_size=config["patch_size"], num_layers=config["num_hidden_layers"],
        num_heads=config["num_attention_heads"], hidden_dim=config["hidden_size"], mlp_dim=config["intermediate_size"],
        num_classes=len(config["id2label"]),
    )  # fmt: skip
    model.load_state_dict({k: v.float() for k, v in load_file(folder / "model.safetensors").items()})
    return model.eval()


def features_of(folder, pooling):
    """-> function of normalised pixels, by the library that the source is of"""
    if (folder / "open_clip_config.json").exists():
        model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder}")
        stored, own = set(load_file(folder / "open_clip_model.safetensors")), set(model.state_dict())
        check(stored == own, f"{folder.name}: open_clip has other tensors: {sorted(stored ^ own)[:4]}")
        return model.eval().encode_image
    if "architecture" in json.loads((folder / "config.json").read_text()):
        model = timm_model(folder)
        ahead = model.num_prefix_tokens
        if pooling == "cls-mean":
            return lambda x: torch.cat([(t := model.forward_features(x))[:, 0], t[:, ahead:].mean(1)], 1)
        return lambda x: model.forward_features(x)[:, 0]
    config = AutoConfig.from_pretrained(folder)
    model = loaded(CLASSES[config.architectures[0]], folder)
    if isinstance(model, (CLIPModel, SiglipModel)):
        # Version 4 gives the features themselves.
        return lambda x: getattr(given := model.get_image_features(x), "pooler_output", given)
    if isinstance(model, CLIPVisionModelWithProjection):
        return lambda x: model(x).image_embeds
    return lambda x: model(x).pooler_output


def logits_of(folder, pooling, x):
    apart = folder / "classifier.safetensors"
    if apart.exists():
        with safe_open(apart, "pt") as file:
            stated = json.loads(file.metadata()["selora"])
            weight, bias = file.get_tensor("classifier.weight").float(), file.get_tensor("classifier.bias").float()
        check(stated["pooling"] == pooling, f"{folder.name}: says it reads {stated['pooling']}")
        check(len(stated["labels"]) == len(bias), f"{folder.name}: labels {stated['labels']}")
        return features_of(folder, pooling)(x) @ weight.T + bias
    config = json.loads((folder / "config.json").read_text())
    if "architecture" in config:
        return timm_model(folder)(x)
    if config["architectures"] == ["VisionTransformer"]:
        return torchvision_model(folder, config)(x)
    model = loaded(AutoModelForImageClassification, folder)
    check(type(model).__name__ == config["architectures"][0], f"{folder.name}: loaded as {type(model).__name__}")
    AutoImageProcessor.from_pretrained(folder, use_fast=False)
    return model(x).logits


def same_bytes(folder, source, changed):
    """How many tensors are those of the source, bit for bit; the rest must be as many as were asked to change."""
    read = lambda path: {k: v for f in path.glob("*.safetensors") for k, v in load_file(f).items()}
    before, after = read(source), read(folder)
    # What a training script put before the names goes.
    before |= {re.sub(r"^((module|base_encoder|target_encoder)\.)+", "", k): v for k, v in before.items()}
    equal = 0
    for name, tensor in after.items():
        bare = name.split(".", 1)[-1]
        # A base without a head has no prefix, and timm calls a distilled DeiT's other token a register.
        old = before.get(name, before.get(bare, before.get("dist_token") if name == "reg_token" else None))
        equal += old is not None and old.dtype == tensor.dtype and torch.equal(
            old.contiguous().view(-1).view(torch.uint8), tensor.contiguous().view(-1).view(torch.uint8)
        )
    check(len(after) - equal == changed, f"{folder.name}: {len(after) - equal} tensors changed instead of {changed}")
    return equal, len(after)


def main():
    out = Path(sys.argv[1])
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    expected = json.loads((out / "expected.json").read_text())
    for name, case in expected.items():
        if VERSION < 5 and name in ("clip-vision.cls", "siglip-vision.attention", "vit-v5-names.cls"):
            print(f"{name}: left out, since the source's names are those that only transformers 5 reads")
            continue
        i = np.arange(2 * case["size"] ** 2 * 3)
        pixels = ((i * 7919 + (i >> 3)) % 256).reshape(2, case["size"], case["size"], 3) / 255
        x = torch.from_numpy((pixels - case["mean"]) / case["std"]).permute(0, 3, 1, 2).float()
        with torch.no_grad():
            logits = logits_of(out / name, case["pooling"], x).numpy()
        worst = float(np.abs(logits - np.array(case["logits"])).max())
        check(worst <= TOLERANCE, f"{name}: logits differ by {worst:.3g}")
        equal, total = same_bytes(out / name, FIXTURES / case["source"], case["changed"])
        print(f"{name}: logits within {worst:.2g}, {equal} of {total} tensors byte-identical")
    for problem in problems:
        print(f"FAILED {problem}")
    print(f"transformers {__version__}, timm {timm.__version__}, open_clip {open_clip.__version__}: {len(expected)} exports")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
