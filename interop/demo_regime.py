"""Looks for the demo's regime: settings in which plain LoRA forgets and a few open gates do not.

    node demo/render.mjs --pretrain
    interop/.venv/bin/python interop/demo_regime.py search lora|selective|topk
    interop/.venv/bin/python interop/demo_regime.py table [--seeds 3]

The method is selective_lora.py's, on the demo's own model and data. `search` runs a method's grid (GRIDS) with one
seed and scores it on validation emoji only; `table` runs the chosen recipes (RECIPES) over seeds and scores them on
test emoji: target, each OOD set, retention (the model's own ten-way head on held-out emoji of its colour sets).
`topk` is the alternative to the penalty: after the warm-up the k highest scores are open, k falling from all to `keep`
on a cubic curve until the gates settle.
"""

import argparse
import io
import json
import math
import time
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import ViTForImageClassification
from transformers.utils import logging as transformers_logging

import selective_lora as sl

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "public" / "demo" / "data"
PRETRAIN = ROOT / ".cache" / "demo-pretrain"
RESULTS = ROOT / ".cache" / "demo-regime"


@dataclass
class Trial(sl.Recipe):
    keep: int | None = None  # top-k: how many gates are left open; None: threshold and penalty


class TopK(sl.SelectiveLora):
    """Gates open by rank among the scores instead of by threshold."""

    count = None

    def indicator(self):
        if self.frozen is not None:
            return self.frozen
        mask = torch.zeros_like(self.scores)
        mask[self.scores.detach().argsort(descending=True)[: self.count or len(self.gates)]] = 1
        return self.scores + (mask - self.scores).detach()

    def penalty(self):
        return self.scores.sum() * 0


def finetune(model, data, trial):
    """sl.finetune with the probe given and, for top-k, the falling count."""
    pixels, labels = data["train"]
    tuned = (TopK if trial.keep else sl.SelectiveLora)(model, len(data["classes"]), trial)
    weight, bias = data["probe"]
    tuned.probe = (weight, bias)
    tuned.head.weight.data, tuned.head.bias.data = weight.clone(), bias.clone()
    generator = torch.Generator().manual_seed(trial.seed + 1)
    run = sl.Run(tuned, trial, math.ceil(len(pixels) / trial.batch) * trial.epochs)
    span = max(1, run.settle_from - run.penalty_from)
    opens = []
    for _ in range(trial.epochs):
        order = torch.randperm(len(pixels), generator=generator)
        for chosen in order.split(trial.batch):
            if trial.keep and tuned.frozen is None:
                progress = min(1.0, max(0.0, (run.done - run.penalty_from + 1) / span))
                tuned.count = round(trial.keep + (len(tuned.gates) - trial.keep) * (1 - progress) ** 3)
            run.step(sl.augment(pixels[chosen], trial.augmentation, generator), labels[chosen])
        opens.append(int(tuned.open_gates().sum()))
    return tuned.apply(), opens


def read_zip(path, classes, prefix=""):
    """-> (normalised pixels, class indices) of the members under `prefix`, which are <class>/<emoji>.png"""
    images, labels = [], []
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            label = member.removeprefix(prefix).split("/")[0]
            if not member.startswith(prefix) or label not in classes:
                continue
            images.append(np.asarray(Image.open(io.BytesIO(archive.read(member))).convert("RGB")).transpose(2, 0, 1))
            labels.append(classes.index(label))
    return (torch.from_numpy(np.stack(images)).float() / 255 - 0.5) / 0.5, torch.tensor(labels)


def load(model):
    index = json.loads((PAGE / "index.json").read_text())
    classes = index["classes"]
    assert [model.config.id2label[i] for i in range(len(classes))] == classes
    target = PAGE / index["target"]["file"]
    known = [read_zip(PRETRAIN / f"{name}.zip", classes, "val/") for name in index["retention"][0]["sets"]]
    data = {
        "classes": classes,
        "train": read_zip(target, classes, "train/"),
        "val": read_zip(target, classes, "val/"),
        "test": read_zip(target, classes, "test/"),
        "retention_val": tuple(torch.cat(part) for part in zip(*known)),
        "retention": read_zip(PAGE / index["retention"][0]["file"], classes),
        "ood": {entry["name"]: read_zip(PAGE / entry["file"], classes) for entry in index["ood"]},
    }
    features = lambda part: sl.in_batches(lambda x: sl.backbone(model)(x).last_hidden_state[:, 0], data[part][0])
    weight, bias, l2 = sl.linear_probe(features("train"), data["train"][1], len(classes), (features("val"), data["val"][1]))
    data["probe"] = (weight, bias)
    return data


def score(tuned, data, test):
    percent = lambda logits, part: round(100 * sl.accuracy(logits, *part), 2)
    if not test:
        return {"target": percent(tuned.logits, data["val"]), "retention": percent(tuned.own_logits, data["retention_val"])}
    result = {"target": percent(tuned.logits, data["test"]), "retention": percent(tuned.own_logits, data["retention"])}
    result |= {name: percent(tuned.logits, part) for name, part in data["ood"].items()}
    return result


def describe(tuned):
    opened = tuned.open_gates().tolist()
    return [f"{layer}.{column}" for (layer, column, _), is_open in zip(tuned.gates, opened) if is_open]


def before(model, data, test):
    """The probe on frozen features, and the model's own head on the target (zero-shot)."""
    tuned = sl.SelectiveLora(model, len(data["classes"]), Trial(rank=1))
    tuned.head.weight.data, tuned.head.bias.data = data["probe"]
    tuned.apply(open=[0] * len(tuned.gates))
    result = score(tuned, data, test)
    result["own_head_on_target"] = round(100 * sl.accuracy(tuned.own_logits, *data["test" if test else "val"]), 2)
    return result


# What was tried. Everything unnamed is sl.Recipe's default (rank 16, alpha 32, 10 epochs of batch 16, flips).
GRIDS = {
    "lora": [
        Trial(method="lora", learning_rate=rate, epochs=epochs)
        for rate, epochs in [(2e-3, 10), (3e-3, 10), (5e-3, 10), (7e-3, 10), (1e-2, 10), (5e-3, 16)]
    ],
    "selective": [
        Trial(learning_rate=rate, lam=lam, score_learning_rate=score_rate)
        for rate, lam, score_rate in [
            (5e-3, 0.3, 0.01), (5e-3, 0.5, 0.01), (5e-3, 1, 0.01), (5e-3, 3, 0.01), (5e-3, 1, 0.03), (7e-3, 1, 0.01)]
    ],
    "topk": [Trial(learning_rate=rate, keep=keep) for rate, keep in [(5e-3, 2), (5e-3, 3), (7e-3, 3)]],
}

RECIPES = {
    "lora": Trial(method="lora", learning_rate=5e-3),
    "selective": Trial(learning_rate=5e-3, lam=1),
    "topk": Trial(learning_rate=5e-3, keep=3),
}


def run_one(model, data, trial, test):
    began = time.time()
    tuned, opens = finetune(model, data, trial)
    return {**score(tuned, data, test), "open": opens[-1], "blocks": describe(tuned), "opens": opens,
            "seconds": round(time.time() - began, 1), "trial": asdict(trial)}


def search(args, model, data):
    RESULTS.mkdir(parents=True, exist_ok=True)
    with (RESULTS / f"{args.method}.jsonl").open("w") as out:
        for setting in GRIDS[args.method]:
            row = run_one(model, data, setting, test=False)
            out.write(json.dumps(row) + "\n")
            out.flush()
            trial = row["trial"]
            print(f"{args.method} r{trial['rank']} lr {trial['learning_rate']} epochs {trial['epochs']} lam {trial['lam']} "
                  f"lr_s {trial['score_learning_rate']} keep {trial['keep']}: target {row['target']} retention "
                  f"{row['retention']} open {row['open']} {row['opens']} {row['seconds']} s", flush=True)


def table(args, model, data):
    print("before", before(model, data, True), flush=True)
    for name, trial in RECIPES.items():
        rows = [run_one(model, data, replace(trial, seed=seed), test=True) for seed in range(args.seeds)]
        columns = [key for key in rows[0] if isinstance(rows[0][key], float) and key != "seconds"] + ["open"]
        cells = {key: f"{np.mean([row[key] for row in rows]):.1f} ± {np.std([row[key] for row in rows], ddof=1):.1f}" for key in columns}
        print(name, cells, [row["blocks"] for row in rows] if rows[0]["open"] < 24 else "", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, default=ROOT / "public" / "demo" / "model")
    parser.add_argument("--threads", type=int, default=1)
    commands = parser.add_subparsers(dest="command", required=True)
    searching = commands.add_parser("search")
    searching.add_argument("method", choices=["lora", "selective", "topk"])
    tabulating = commands.add_parser("table")
    tabulating.add_argument("--seeds", type=int, default=3)
    commands.add_parser("before")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    transformers_logging.disable_progress_bar()
    model = ViTForImageClassification.from_pretrained(args.model, dtype=torch.float32).eval()
    data = load(model)
    if args.command == "search":
        print("before", before(model, data, False), flush=True)
        search(args, model, data)
    elif args.command == "table":
        table(args, model, data)
    else:
        print("val", before(model, data, False), "test", before(model, data, True))


if __name__ == "__main__":
    main()
