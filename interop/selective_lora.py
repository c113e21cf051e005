"""Selective LoRA in plain PyTorch: the reference that Selora's engine is checked against, and a bench to tune on.

For any transformers ViTForImageClassification (or a distilled DeiT): LoRA on q, k, v, o, fc1, fc2 of every layer,
each matrix under a gate g = 1[s >= tau] that opens or closes a block, a layer or a matrix. Straight-through gradient
to the score s, penalty lambda * mean|s| after a warm-up, and at the end a settling phase in which the gates are
frozen and only open blocks and the classifier learn. Method after TAPS (arXiv 2203.16708) and its LoRA form
(arXiv 2501.15377); score start 0.15 and tau 0.1 are TAPS's.

    from selective_lora import Recipe, finetune, accuracy
    tuned = finetune(model, pixels, labels, classes, Recipe(rank=8, epochs=5), validation=(val_pixels, val_labels))
    accuracy(tuned.logits, val_pixels, val_labels)            # target
    accuracy(tuned.own_logits, retention_pixels, retention_labels)  # what the model knew
    tuned.apply(strength=0.5)                                 # WiSE-FT; apply(open=[...]) opens gates by hand
    merged = tuned.merged()                                   # an ordinary ViTForImageClassification

`pixels` are float [n, 3, H, W], normalised as the model wants them.
"""

import copy
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

MATRICES = ("q", "k", "v", "o", "fc1", "fc2")
SCORE_START = 0.15
LR_WARMUP = 0.05
L2_GRID = (1.0, 0.1, 0.01, 0.001, 0.0001)


@dataclass
class Recipe:
    """The fields and defaults of src/session/recipe.ts; `optimiser` is for tests of the trajectory."""

    method: str = "selective"  # or "lora": every gate open and fixed
    granularity: str = "block"  # block | layer | matrix
    target: str = "both"  # both | attention | mlp
    rank: int = 16
    alpha: float = 32.0
    tau: float = 0.1
    lam: float = 1.0
    warmup: float = 0.2
    settle: float = 0.3
    epochs: int = 10
    batch: int = 16
    learning_rate: float = 1e-3
    head_learning_rate: float = 1e-3
    score_learning_rate: float = 0.01
    weight_decay: float = 0.0
    augmentation: str = "flip"  # none | flip | crop-flip
    seed: int = 0
    optimiser: str = "adamw"  # or "sgd" (momentum 0.9), for A, B and the classifier


class Indicator(torch.autograd.Function):
    """1[s >= tau] forward, identity backward (straight-through)."""

    @staticmethod
    def forward(ctx, score, tau):
        return (score >= tau).to(score.dtype)

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


class GatedLoRA(nn.Module):
    """y = base(x) + g * strength * (alpha / r) * (x A^T) B^T; A ~ U(+-1/sqrt(in)), B = 0."""

    def __init__(self, base, rank, alpha, generator):
        super().__init__()
        self.base = base
        self.scale = alpha / rank
        bound = 1 / math.sqrt(base.in_features)
        self.lora_A = nn.Parameter((torch.rand(rank, base.in_features, generator=generator) * 2 - 1) * bound)
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, rank))
        self.gate = None  # a 0-d tensor while a step runs, None when shut for good

    def forward(self, x):
        y = self.base(x)
        if self.gate is None:
            return y
        return y + self.gate * self.scale * F.linear(F.linear(x, self.lora_A), self.lora_B)

    def delta(self):
        return self.scale * self.lora_B @ self.lora_A


def list_gates(layers, granularity, target):
    """-> [(layer, column, matrices)], layer by layer, attention before MLP, q k v o fc1 fc2."""
    attention = ["q", "k", "v", "o"] if target in ("both", "attention") else []
    mlp = ["fc1", "fc2"] if target in ("both", "mlp") else []
    gates = []
    for layer in range(layers):
        if granularity == "layer":
            gates.append((layer, "layer", attention + mlp))
        elif granularity == "block":
            gates += [(layer, name, part) for name, part in (("attention", attention), ("mlp", mlp)) if part]
        else:
            gates += [(layer, matrix, [matrix]) for matrix in attention + mlp]
    return gates


def backbone(model):
    return model.vit if hasattr(model, "vit") else model.deit


class SelectiveLora(nn.Module):
    """A copy of `model` with adapters, gates and a new classifier on the CLS token."""

    def __init__(self, model, classes, recipe):
        super().__init__()
        self.recipe = recipe
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        generator = torch.Generator().manual_seed(recipe.seed)
        layers = backbone(self.model).layers
        self.gates = list_gates(len(layers), recipe.granularity, recipe.target)
        self.sites = nn.ModuleDict()  # "3.q" -> GatedLoRA
        self.gate_of = {}
        for index, (layer, _, matrices) in enumerate(self.gates):
            for matrix in matrices:
                parent, name = self._parent(layers[layer], matrix)
                site = GatedLoRA(getattr(parent, name), recipe.rank, recipe.alpha, generator)
                setattr(parent, name, site)
                self.sites[f"{layer}_{matrix}"] = site
                self.gate_of[f"{layer}_{matrix}"] = index
        self.scores = nn.Parameter(torch.full((len(self.gates),), SCORE_START))
        self.frozen = None if recipe.method == "selective" else torch.ones(len(self.gates))
        hidden = model.config.hidden_size
        self.head = nn.Linear(hidden, classes)
        self.probe = None  # (weight, bias) the head started from
        self.strength = 1.0
        self.apply()

    @staticmethod
    def _parent(layer, matrix):
        if matrix in ("fc1", "fc2"):
            return layer.mlp, matrix
        return layer.attention, f"{matrix}_proj"

    def indicator(self):
        """0/1 a gate; frozen gates as they were frozen."""
        return self.frozen if self.frozen is not None else Indicator.apply(self.scores, self.recipe.tau)

    def set_gates(self, values, keep_closed=False):
        """Hands every site its gate; a closed one is switched off unless it may re-open (`keep_closed`)."""
        for key, site in self.sites.items():
            value = values[self.gate_of[key]]
            site.gate = value if keep_closed or value.item() != 0 else None

    def apply(self, open=None, strength=1.0):
        """Which change stands in the network from now on: gates by hand (or as they are), scaled by `strength`."""
        values = self.indicator().detach() if open is None else torch.as_tensor(open, dtype=torch.float32)
        self.strength = strength
        self.set_gates(values * strength)
        return self

    def features(self, pixels):
        """-> [n, D] CLS after the final LayerNorm"""
        return backbone(self.model)(pixels).last_hidden_state[:, 0]

    def logits(self, pixels):
        """Of the new classifier; with strength < 1 the classifier is interpolated from the probe as well (WiSE-FT)."""
        weight, bias = self.head.weight, self.head.bias
        if self.probe is not None and self.strength != 1:
            weight = torch.lerp(self.probe[0], weight, self.strength)
            bias = torch.lerp(self.probe[1], bias, self.strength)
        return F.linear(self.features(pixels), weight, bias)

    def own_logits(self, pixels):
        """Of the classifier the model came with."""
        return self.model(pixels).logits

    def penalty(self):
        return self.recipe.lam * self.scores.abs().mean()

    def open_gates(self):
        """-> bool [gates]"""
        return self.indicator().detach().bool()

    def delta_norms(self):
        """||c B A|| / ||W|| of each gate's matrices together, open or not."""
        top, bottom = torch.zeros(len(self.gates)), torch.zeros(len(self.gates))
        with torch.no_grad():
            for key, site in self.sites.items():
                top[self.gate_of[key]] += site.delta().square().sum()
                bottom[self.gate_of[key]] += site.base.weight.square().sum()
        return (top / bottom).sqrt()

    def merged(self, open=None, strength=1.0):
        """-> the model without adapters, W + g * strength * c * B A in their place (own classifier untouched)."""
        values = self.indicator().detach() if open is None else torch.as_tensor(open, dtype=torch.float32)
        plain = copy.deepcopy(self.model)
        for key, site in self.sites.items():
            layer, matrix = key.split("_")
            parent, name = self._parent(backbone(plain).layers[int(layer)], matrix)
            base = getattr(parent, name).base
            gate = values[self.gate_of[key]].item()
            if gate:
                base.weight.data = base.weight.data + gate * strength * site.delta().detach()
            setattr(parent, name, base)
        return plain


@torch.no_grad()
def in_batches(function, pixels, batch=64):
    return torch.cat([function(pixels[i : i + batch]) for i in range(0, len(pixels), batch)])


def accuracy(logits, pixels, labels, batch=64):
    """Share of `pixels` whose highest logit is the label."""
    return (in_batches(logits, pixels, batch).argmax(1) == labels).float().mean().item()


def fit_logistic(x, y, classes, l2, start=None):
    """L2-regularised multinomial logistic regression, mean loss + l2/2 ||W||^2, bias free. -> W [C, D], b [C] (f64)"""
    weight = torch.zeros(classes, x.shape[1], dtype=torch.float64) if start is None else start[0].clone()
    bias = torch.zeros(classes, dtype=torch.float64) if start is None else start[1].clone()
    weight.requires_grad_(), bias.requires_grad_()
    solver = torch.optim.LBFGS([weight, bias], max_iter=200, tolerance_grad=1e-5, line_search_fn="strong_wolfe")

    def closure():
        solver.zero_grad()
        loss = F.cross_entropy(F.linear(x, weight, bias), y) + l2 / 2 * weight.square().sum()
        loss.backward()
        return loss

    solver.step(closure)
    return weight.detach(), bias.detach()


def linear_probe(features, labels, classes, validation=None):
    """The classifier training starts from. Features are standardised for the fit and the scale folded back; the L2
    is the one of L2_GRID with the best validation accuracy, then the lowest validation loss. -> W [C, D], b [C], l2"""
    x = features.double()
    mean, std = x.mean(0), x.std(0, unbiased=False).clamp_min(1e-6)
    best, start = None, None
    for l2 in L2_GRID if validation is not None else (0.01,):
        start = fit_logistic((x - mean) / std, labels, classes, l2, start)
        weight = start[0] / std
        bias = start[1] - weight @ mean
        key = (0.0, 0.0)
        if validation is not None:
            logits = F.linear(validation[0].double(), weight, bias)
            key = ((logits.argmax(1) == validation[1]).double().mean().item(), -F.cross_entropy(logits, validation[1]).item())
        if best is None or key > best[0]:
            best = (key, weight.float(), bias.float(), l2)
    return best[1:]


def learning_rate_factor(step, steps):
    """Linear over the first 5 % of the steps, then a cosine to 0. `step` counts from 0."""
    warm = max(1, round(LR_WARMUP * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def augment(pixels, kind, generator):
    """flip: half of the images mirrored. crop-flip: also a random shift of up to 1/8 of the side, edges reflected."""
    if kind == "none":
        return pixels
    mirrored = torch.rand(len(pixels), generator=generator) < 0.5
    pixels = torch.where(mirrored[:, None, None, None], pixels.flip(-1), pixels)
    if kind == "crop-flip":
        side = pixels.shape[-1]
        pad = side // 8
        padded = F.pad(pixels, (pad,) * 4, mode="reflect")
        at = torch.randint(0, 2 * pad + 1, (len(pixels), 2), generator=generator).tolist()
        pixels = torch.stack([image[:, y : y + side, x : x + side] for image, (y, x) in zip(padded, at)])
    return pixels


class Run:
    """The optimisers and the schedule of one run; `step` is one batch."""

    def __init__(self, tuned, recipe, steps):
        self.tuned, self.recipe, self.steps, self.done = tuned, recipe, steps, 0
        self.penalty_from = round(recipe.warmup * steps)
        self.settle_from = steps - round(recipe.settle * steps)
        self.adapters = [p for s in tuned.sites.values() for p in (s.lora_A, s.lora_B)]
        groups = [
            {"params": self.adapters, "base": recipe.learning_rate},
            {"params": list(tuned.head.parameters()), "base": recipe.head_learning_rate},
        ]
        if recipe.optimiser == "adamw":
            self.weights = torch.optim.AdamW(groups, lr=0.0, weight_decay=recipe.weight_decay)
        else:
            self.weights = torch.optim.SGD(groups, lr=0.0, momentum=0.9, weight_decay=recipe.weight_decay)
        self.gates = torch.optim.SGD([tuned.scores], lr=recipe.score_learning_rate, momentum=0.9)

    def step(self, pixels, labels):
        """One batch. -> cross-entropy of the batch before the step, as a float"""
        tuned, recipe, at = self.tuned, self.recipe, self.done
        if tuned.frozen is None and at >= self.settle_from:
            tuned.frozen = tuned.indicator().detach()
        learning = tuned.frozen is None
        tuned.set_gates(tuned.indicator(), keep_closed=learning)
        factor = learning_rate_factor(at, self.steps)
        for group in self.weights.param_groups:
            group["lr"] = group["base"] * factor
        self.weights.zero_grad(set_to_none=True)
        self.gates.zero_grad(set_to_none=True)
        task = F.cross_entropy(tuned.logits(pixels), labels)
        loss = task + tuned.penalty() if learning and at >= self.penalty_from else task
        loss.backward()
        self.weights.step()
        if learning:
            self.gates.step()
        self.done += 1
        return task.item()


def finetune(model, pixels, labels, classes, recipe=Recipe(), validation=None, on_epoch=None):
    """Probe, then train. `validation` (pixels, labels) chooses the probe's L2; `on_epoch(epoch, tuned)` may look in
    (gates applied as they stand). -> SelectiveLora with the final gates applied"""
    tuned = SelectiveLora(model, classes, recipe)
    tuned.apply(open=[0] * len(tuned.gates))
    held = None if validation is None else (in_batches(tuned.features, validation[0]), validation[1])
    weight, bias, _ = linear_probe(in_batches(tuned.features, pixels), labels, classes, held)
    tuned.probe = (weight, bias)
    tuned.head.weight.data, tuned.head.bias.data = weight.clone(), bias.clone()
    generator = torch.Generator().manual_seed(recipe.seed + 1)
    batches = math.ceil(len(pixels) / recipe.batch)
    run = Run(tuned, recipe, batches * recipe.epochs)
    for epoch in range(recipe.epochs):
        order = torch.randperm(len(pixels), generator=generator)
        for chosen in order.split(recipe.batch):
            run.step(augment(pixels[chosen], recipe.augmentation, generator), labels[chosen])
        if on_epoch is not None:
            on_epoch(epoch, tuned.apply())
    return tuned.apply()
