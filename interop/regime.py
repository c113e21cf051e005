"""Looks for a regime: settings in which plain LoRA visibly forgets, and what a few open gates do there.

    regime.py MODEL --target DIR|ZIP --retention DIR|ZIP [--retention ...] [--grid photos|demo] [--workers N] [--out F]

The method is selective_lora.py's. Every setting of the grid is run with one seed on the target's training images and
scored on its validation images (never on the test images) and on a part of what the model knew: a retention set's
own val/ folder where it has one, else every second image. Prints a row a setting; --out keeps them as JSON lines.

For the demo, after `node demo/render.mjs --pretrain`, --retention is each zip in .cache/demo-pretrain.
"""

import argparse
import io
import json
import time
import zipfile
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification
from transformers.utils import logging as transformers_logging

import selective_lora as sl

PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif"}


def photos():
    """For a pre-trained ViT at 224 and photographs."""
    for rate in (1e-3, 2e-3, 3e-3):
        for epochs in (8, 15):
            common = {"rank": 32, "alpha": 64.0, "learning_rate": rate, "epochs": epochs}
            yield sl.Recipe(method="lora", **common)
            for granularity, budget in (("block", 2), ("matrix", 7)):
                for score_rate in (0.01, 0.05):
                    yield sl.Recipe(granularity=granularity, budget=budget, score_learning_rate=score_rate, **common)


def demo():
    """For the demo's small ViT."""
    for rate in (3e-3, 5e-3, 7e-3, 1e-2):
        for epochs in (10, 16, 24):
            common = {"learning_rate": rate, "epochs": epochs}
            yield sl.Recipe(method="lora", **common)
            yield sl.Recipe(lam=1, **common)
            for granularity, budget in (("block", 2), ("matrix", 7)):
                yield sl.Recipe(granularity=granularity, budget=budget, **common)


GRIDS = {"photos": photos, "demo": demo}


def pictures(path):
    """-> [(parts of the path below the root, bytes)] of every picture in a folder or zip"""
    if path.is_dir():
        files = sorted(f for f in path.rglob("*") if f.suffix.lower() in PICTURES)
        return [(f.relative_to(path).parts, f.read_bytes()) for f in files]
    with zipfile.ZipFile(path) as archive:
        names = sorted(n for n in archive.namelist() if Path(n).suffix.lower() in PICTURES)
        return [(tuple(n.split("/")), archive.read(n)) for n in names]


def tensors(chosen, classes, process):
    """-> (normalised pixels, class indices) of [(class name, bytes)]"""
    images = [process(images=Image.open(io.BytesIO(data)).convert("RGB"), return_tensors="pt").pixel_values for _, data in chosen]
    return torch.cat(images), torch.tensor([classes.index(name) for name, _ in chosen])


def load(args):
    process = AutoImageProcessor.from_pretrained(args.model)
    config = json.loads((args.model / "config.json").read_text())
    labels = [config["id2label"][str(i)] for i in range(len(config["id2label"]))]
    own = {name.split(",")[0].strip().lower(): name for name in labels}
    found = pictures(args.target)
    classes = sorted({parts[-2] for parts, _ in found})
    split = lambda name: tensors([(p[-2], data) for p, data in found if p[0] == name], classes, process)
    known = []
    for path in args.retention:
        every = [(p, data) for p, data in pictures(path) if p[-2].lower() in own]
        held = [item for item in every if item[0][0] == "val"] or every[::2]
        known += [(own[p[-2].lower()], data) for p, data in held]
    return {"classes": classes, "train": split("train"), "val": split("val"), "retention": tensors(known, labels, process)}


def score(tuned, data):
    percent = lambda logits, part: round(100 * sl.accuracy(logits, *part), 2)
    return {"target": percent(tuned.logits, data["val"]), "retention": percent(tuned.own_logits, data["retention"])}


worker = {}


def start(model, data, device):
    torch.set_num_threads(1)
    transformers_logging.disable_progress_bar()
    worker["model"] = AutoModelForImageClassification.from_pretrained(model, dtype=torch.float32).eval().to(device)
    worker["data"] = {key: tuple(t.to(device) for t in part) if isinstance(part, tuple) else part for key, part in data.items()}


def run(recipe):
    data, began = worker["data"], time.time()
    opens = []
    tuned = sl.finetune(
        worker["model"], *data["train"], len(data["classes"]), recipe, data["val"],
        lambda _, tuned: opens.append(int(tuned.open_gates().sum())),
    )
    opened = tuned.open_gates().tolist()
    blocks = [f"{layer}.{column}" for (layer, column, _), is_open in zip(tuned.gates, opened) if is_open]
    return {**score(tuned, data), "open": sum(opened), "gates": len(opened), "opens": opens,
            "blocks": blocks if len(blocks) <= 12 else [], "seconds": round(time.time() - began, 1), "recipe": asdict(recipe)}


def before(_):
    """The probe on frozen features."""
    model, data = worker["model"], worker["data"]
    tuned = sl.SelectiveLora(model, len(data["classes"]), sl.Recipe(rank=1)).apply(open=[0] * 24)
    features = lambda name: sl.in_batches(tuned.features, data[name][0])
    weight, bias, _ = sl.linear_probe(features("train"), data["train"][1], len(data["classes"]), (features("val"), data["val"][1]))
    tuned.head.weight.data, tuned.head.bias.data = weight, bias
    return score(tuned, data)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--target", type=Path, required=True)
    parser.add_argument("--retention", type=Path, action="append", required=True)
    parser.add_argument("--grid", choices=GRIDS, default="photos")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    data = load(args)
    grid = list(GRIDS[args.grid]())
    out = args.out.open("w") if args.out else None
    with get_context("spawn").Pool(args.workers, start, (args.model, data, args.device)) as pool:
        first = pool.map(before, [None])[0]
        print(f"before: target {first['target']} retention {first['retention']}; {len(data['train'][0])} training images, "
              f"{len(data['val'][0])} of validation, {len(data['retention'][0])} of retention", flush=True)
        if out:
            out.write(json.dumps({"before": first}) + "\n")
        for row in pool.imap_unordered(run, grid):
            r = row["recipe"]
            print(f"{r['method']:9} {r['granularity']:6} budget {r['budget']} r {r['rank']} lr {r['learning_rate']} epochs {r['epochs']} "
                  f"lam {r['lam']} lr_s {r['score_learning_rate']}: target {row['target']} retention {row['retention']} "
                  f"open {row['open']} of {row['gates']} {row['seconds']} s", flush=True)
            if out:
                out.write(json.dumps(row) + "\n")
                out.flush()


if __name__ == "__main__":
    main()
