"""Checks an exported folder with its real consumer, transformers.

    check_export.py FOLDER [--logits FILE.npz|FILE.json] [--source FOLDER --weights FILE.json]

Always: the folder loads through AutoModelForImageClassification without a missing, unexpected or mismatched key, and
its image processor loads. --logits: `inputs` [B, 3, H, W] and `logits` [B, C] agree to 1e-4 (max abs, in f32).
--weights: every tensor named there equals the values given, rounded by torch to the file's dtype, and every other one
equals the tensor of the same name in --source, bit for bit. Exit code 0 when all holds.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoModelForImageClassification
from transformers.utils import logging

TOLERANCE = 1e-4


def fail(sentence: str) -> None:
    print(f"FAILED: {sentence}")
    sys.exit(1)


def load(folder: Path):
    config = json.loads((folder / "config.json").read_text())
    model, info = AutoModelForImageClassification.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    for key in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        if info[key]:
            fail(f"{key}: {sorted(map(str, info[key]))[:5]}")
    if type(model).__name__ != config["architectures"][0]:
        fail(f"loaded as {type(model).__name__}, config.json says {config['architectures']}")
    labels = [model.config.id2label[i] for i in range(model.config.num_labels)]
    if model.classifier.weight.shape[0] != len(labels):
        fail(f"{len(labels)} labels for {model.classifier.weight.shape[0]} rows")
    return model.eval(), labels


def check_logits(model, path: Path) -> float:
    if path.suffix == ".npz":
        data = dict(np.load(path))
    else:
        data = {key: np.asarray(value, dtype=np.float32) for key, value in json.loads(path.read_text()).items()}
    inputs = torch.from_numpy(np.ascontiguousarray(data["inputs"], dtype=np.float32))
    with torch.no_grad():
        logits = model(inputs).logits.numpy()
    if logits.shape != data["logits"].shape:
        fail(f"logits have shape {logits.shape}, expected {data['logits'].shape}")
    worst = float(np.abs(logits - data["logits"]).max())
    if not worst <= TOLERANCE:
        fail(f"logits differ by {worst:.3g}, more than {TOLERANCE}")
    return worst


def check_weights(folder: Path, source: Path, asked_path: Path) -> tuple[int, int]:
    """Goes through the model: what transformers loaded is saved again by it, under the names it writes."""
    asked = json.loads(asked_path.read_text())
    model = AutoModelForImageClassification.from_pretrained(folder, dtype="auto")
    with tempfile.TemporaryDirectory() as scratch:
        model.save_pretrained(scratch)
        saved = load_file(next(Path(scratch).glob("*.safetensors")))
    exported = load_file(next(folder.glob("*.safetensors")))
    original = load_file(next(source.glob("*.safetensors")))
    same = lambda a, b: a.dtype == b.dtype and a.shape == b.shape and bool(
        torch.equal(a.contiguous().view(torch.uint8), b.contiguous().view(torch.uint8))
    )
    if len(saved) != len(exported):
        fail(f"{len(exported)} tensors were exported, transformers kept {len(saved)}")
    for name, tensor in exported.items():
        if name in asked:
            wanted = torch.tensor(asked[name], dtype=torch.float32).reshape(tensor.shape).to(tensor.dtype)
        else:
            # A base without a head has no prefix; in a file of version 5's names nothing is renamed.
            wanted = original.get(name, original.get(name.split(".", 1)[1]))
        if wanted is None:
            fail(f"{name} is not in the source")
        if not same(tensor, wanted):
            fail(f"{name} is not what was asked for")
        if not any(same(tensor, kept) for kept in ([saved[name]] if name in saved else saved.values())):
            fail(f"{name} changed on its way through transformers")
    return len(asked), len(exported)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--logits", type=Path)
    parser.add_argument("--source", type=Path)
    parser.add_argument("--weights", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()

    model, labels = load(options.folder)
    processor = AutoImageProcessor.from_pretrained(options.folder, backend="pil")
    size = model.config.image_size
    pixels = processor(np.zeros((size + 30, size + 50, 3), np.uint8), return_tensors="np")["pixel_values"]
    if pixels.shape != (1, 3, size, size):
        fail(f"the image processor makes {pixels.shape}")
    words = [f"{type(model).__name__}, {len(labels)} classes, no missing or unexpected key, {type(processor).__name__}"]
    if options.logits:
        words.append(f"logits within {check_logits(model, options.logits):.2g}")
    if options.weights:
        changed, total = check_weights(options.folder, options.source, options.weights)
        words.append(f"{changed} tensors as asked, {total - changed} of {total} byte-identical")
    print(f"OK {options.folder.name}: {'; '.join(words)}")


if __name__ == "__main__":
    main()
