"""Ways to an exact budget side by side: the k highest scores open, k falling on a cubic curve (what the engine does); tau
and lambda as without a budget, and the k highest from the settling on; lambda steered by a controller so that the count
above tau follows the same curve.

    interop/.venv/bin/python interop/budget_ways.py public/demo/model --target ZIP --retention ZIP [--budget 3] [--seeds 5] [--way NAME]

Scored on the target's validation images and on what the model knew, as regime.py does. Prints, for each way and seed, the
gates open when they freeze (and, of the controller, how far the count was from the curve on the way), and mean and
standard deviation.
"""

import argparse
import math
import statistics
from pathlib import Path

import regime
import torch
from selective_lora import Recipe, Run, augment, in_batches, linear_probe
from selective_lora import SelectiveLora as Tuned
from transformers import AutoModelForImageClassification


class CutAtTheEnd(Run):
    """Tau and the penalty decide until the gates settle, and then the `budget` highest."""

    def __init__(self, tuned, recipe, steps, budget):
        super().__init__(tuned, recipe, steps)
        self.budget = budget

    def step(self, pixels, labels):
        if self.done == self.settle_from:
            self.recipe.budget = self.tuned.count = self.budget
        return super().step(pixels, labels)


class Controlled(Run):
    """Multiplies lambda by exp(gain * error / gates) each step of the selection, from the recipe's lambda on."""

    def __init__(self, tuned, recipe, steps, budget, gain):
        super().__init__(tuned, recipe, steps)
        self.budget, self.gain, self.errors = budget, gain, []

    def step(self, pixels, labels):
        at, gates = self.done, len(self.tuned.gates)
        if self.penalty_from <= at < self.settle_from:
            progress = min(1.0, (at - self.penalty_from + 1) / max(1, self.settle_from - self.penalty_from))
            wanted = math.floor(self.budget + (gates - self.budget) * (1 - progress) ** 3 + 0.5)
            error = int(self.tuned.open_gates().sum()) - wanted
            self.errors.append(error)
            self.recipe.lam = min(1e4, max(1e-4, self.recipe.lam * math.exp(self.gain * error / gates)))
        return super().step(pixels, labels)


def train(model, data, recipe, budget, way):
    """-> (tuned, run); `way` a controller's gain, "highest k" or "cut at the end"."""
    classes = len(data["classes"])
    recipe.budget = budget if way == "highest k" else None
    tuned = Tuned(model, classes, recipe)
    tuned.apply(open=[0] * len(tuned.gates))
    held = (in_batches(tuned.features, data["val"][0]), data["val"][1])
    pixels, labels = data["train"]
    weight, bias, _ = linear_probe(in_batches(tuned.features, pixels), labels, classes, held)
    tuned.probe = (weight, bias)
    tuned.head.weight.data, tuned.head.bias.data = weight.clone(), bias.clone()
    generator = torch.Generator().manual_seed(recipe.seed + 1)
    steps = math.ceil(len(pixels) / recipe.batch) * recipe.epochs
    if way == "highest k":
        run = Run(tuned, recipe, steps)
    elif way == "cut at the end":
        run = CutAtTheEnd(tuned, recipe, steps, budget)
    else:
        run = Controlled(tuned, recipe, steps, budget, way)
    for _ in range(recipe.epochs):
        for chosen in torch.randperm(len(pixels), generator=generator).split(recipe.batch):
            run.step(augment(pixels[chosen], recipe.augmentation, generator), labels[chosen])
    return tuned.apply(), run


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--target", type=Path, required=True)
    parser.add_argument("--retention", type=Path, action="append", required=True)
    parser.add_argument("--budget", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--way", help="only this one")
    args = parser.parse_args()
    torch.set_num_threads(1)
    data = regime.load(args)
    model = AutoModelForImageClassification.from_pretrained(args.model, dtype=torch.float32).eval()
    ways = {"highest k": "highest k", "cut at the end": "cut at the end", "controller, gain 1": 1.0, "controller, gain 5": 5.0}
    ways = {name: way for name, way in ways.items() if args.way in (None, name)}
    rows = {name: [] for name in ways}
    for seed in range(args.seeds):
        for name, way in ways.items():
            recipe = Recipe(learning_rate=0.005, epochs=args.epochs, seed=seed)
            tuned, run = train(model, data, recipe, args.budget, way)
            scores = regime.score(tuned, data)
            rows[name].append((int(tuned.open_gates().sum()), scores["target"], scores["retention"]))
            missed = "" if isinstance(way, str) else f" mean miss on the way {statistics.mean(map(abs, run.errors)):.1f}, lambda {recipe.lam:.2g}"
            print(f"seed {seed} {name}: open {rows[name][-1][0]} target {scores['target']} retention {scores['retention']}{missed}", flush=True)
    spread = lambda values: f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}" if len(values) > 1 else str(values[0])
    for name, found in rows.items():
        print(f"{name}: open {[open for open, _, _ in found]}, target {spread([t for _, t, _ in found])}, retention {spread([r for _, _, r in found])}")


if __name__ == "__main__":
    main()
