"""Selective LoRA in plain PyTorch: the reference that Selora's engine is checked against, and a bench to tune on.

For any transformers ViTForImageClassification (or a distilled DeiT): a change of q, k, v, o, fc1, fc2 of every layer,
each matrix under a gate g = 1[s >= tau] that opens or closes a block, a layer or a matrix. Straight-through gradient
to the score s, penalty lambda * mean|s| after a warm-up, and at the end a settling phase in which the gates are
frozen and only open blocks and the classifier learn. With a budget the k highest scores are open instead, k falling
from all of them to the budget on a cubic curve between warm-up and settling, and there is no penalty. Method after
TAPS (arXiv 2203.16708) and its LoRA form (arXiv 2501.15377); score start 0.15 and tau 0.1 are TAPS's.

`method` says what the change is and how it is gated: "selective" (LoRA), "taps" (a matrix of the weight's shape), "dora"
(arXiv 2402.09353, gated as a whole), "l0" (LoRA under hard-concrete gates, arXiv 1712.01312), "lora" (every gate open and
fixed), "full" (every parameter of the network moves), "linear" (only the classifier). `select` says what ranks the gates
under a budget: the learned score, or one of the measures of src/training/selection.ts. `keep` is the weight of a term
that holds the features near those of the frozen network, 1 - cos. `class_weights` "balanced" weighs an image of class c
n / (k n_c) in every cross-entropy, the probe's and its choice of L2 included.

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

    method: str = "selective"  # selective | taps | l0 | dora | lora | full | linear
    granularity: str = "block"  # block | layer | matrix
    target: str = "both"  # both | attention | mlp
    rank: int = 16
    alpha: float = 32.0
    tau: float = 0.1
    budget: int | None = None  # gates open at the end; None: tau and the penalty decide
    select: str = "learned"  # learned | sensitivity | magnitude | output | random | first | last
    lam: float = 1.0
    warmup: float = 0.2
    settle: float = 0.3
    epochs: int = 10
    batch: int = 16
    learning_rate: float = 1e-3  # of whole matrices too: taps and full want 5e-5
    head_learning_rate: float = 1e-3
    score_learning_rate: float = 0.01
    weight_decay: float = 0.0
    class_weights: str = "none"  # none | balanced
    augmentation: str = "flip"  # none | flip | crop-flip
    keep: float = 0.0  # weight of staying near the frozen network's features
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


class Highest(torch.autograd.Function):
    """1 for the `count` highest scores (of equal ones the first) forward, identity backward."""

    @staticmethod
    def forward(ctx, scores, count):
        mask = torch.zeros_like(scores)
        mask[scores.argsort(descending=True, stable=True)[:count]] = 1
        return mask

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


# Hard-concrete gates, as src/adaptation/hard_concrete.ts has them.
BETA, GAMMA, ZETA = 2 / 3, -0.1, 1.1
LOGIT_START, LOGIT_RATE = math.log(9), 100


def uniform(seed, purpose):
    """The engine's stream of random numbers for one purpose (src/random.ts): mulberry32 over an FNV-1a seed."""
    mask = 0xFFFFFFFF
    state = 0x811C9DC5 ^ seed
    for letter in purpose:
        state = (state ^ ord(letter)) * 0x01000193 & mask
    while True:
        state = (state + 0x6D2B79F5) & mask
        t = (state ^ state >> 15) * (state | 1) & mask
        t ^= (t + ((t ^ t >> 7) * (t | 61) & mask)) & mask
        yield (t ^ t >> 14) / 2**32


def gate_noise(seed, step, count):
    """log u - log(1-u) of every gate in a step"""
    stream = uniform(seed, f"gate noise {step}")
    u = torch.tensor([min(1 - 1e-6, max(1e-6, next(stream))) for _ in range(count)])
    return u.log() - (1 - u).log()


def hard_concrete(logits, noise):
    """A gate in 0..1; without noise, that of a test"""
    s = torch.sigmoid(logits) if noise is None else torch.sigmoid((noise + logits) / BETA)
    return (s * (ZETA - GAMMA) + GAMMA).clamp(0, 1)


class GatedResidual(nn.Module):
    """y = x (W + g * strength * R)^T + b; R = 0 of W's shape (TAPS, and full fine-tuning)."""

    def __init__(self, base):
        super().__init__()
        self.base = base
        self.residual = nn.Parameter(torch.zeros_like(base.weight))
        self.gate = None

    def forward(self, x):
        if self.gate is None:
            return self.base(x)
        return F.linear(x, self.base.weight + self.gate * self.residual, self.base.bias)

    def delta(self):
        return self.residual


class GatedDoRA(nn.Module):
    """y = x (W + g * strength * (m V / ||V|| - W))^T + b by row, V = W + (alpha / r) B A, ||V|| constant in backward."""

    def __init__(self, base, rank, alpha, generator):
        super().__init__()
        self.base = base
        self.scale = alpha / rank
        bound = 1 / math.sqrt(base.in_features)
        self.lora_A = nn.Parameter((torch.rand(rank, base.in_features, generator=generator) * 2 - 1) * bound)
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, rank))
        self.lora_magnitude_vector = nn.Parameter(base.weight.detach().norm(dim=1))
        self.gate = None

    def forward(self, x):
        if self.gate is None:
            return self.base(x)
        return F.linear(x, self.base.weight + self.gate * self.delta(), self.base.bias)

    def delta(self):
        direction = self.base.weight + self.scale * self.lora_B @ self.lora_A
        norms = direction.norm(dim=1).detach()
        return (self.lora_magnitude_vector / norms)[:, None] * direction - self.base.weight


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
        # Beside the tuned copy, which full fine-tuning changes.
        self.teacher = self.model if recipe.method != "full" else copy.deepcopy(self.model)
        generator = torch.Generator().manual_seed(recipe.seed)
        layers = backbone(self.model).layers
        self.gates = list_gates(len(layers), recipe.granularity, recipe.target)
        self.sites = nn.ModuleDict()  # "3.q" -> GatedLoRA
        self.gate_of = {}
        for index, (layer, _, matrices) in enumerate(self.gates):
            for matrix in matrices:
                parent, name = self._parent(layers[layer], matrix)
                base = getattr(parent, name)
                if recipe.method in ("taps", "full"):
                    site = GatedResidual(base)
                else:
                    kind = GatedDoRA if recipe.method == "dora" else GatedLoRA
                    site = kind(base, recipe.rank, recipe.alpha, generator)
                setattr(parent, name, site)
                self.sites[f"{layer}_{matrix}"] = site
                self.gate_of[f"{layer}_{matrix}"] = index
        start = LOGIT_START if recipe.method == "l0" else SCORE_START if recipe.select == "learned" else 0.0
        self.scores = nn.Parameter(torch.full((len(self.gates),), start))
        self.count = None if recipe.budget is None else len(self.gates)
        self.noise = None  # of the step at hand, for hard-concrete gates
        self.resting = True  # they have not begun to draw it: all are open
        fixed = {"lora": 1.0, "full": 1.0, "linear": 0.0}.get(recipe.method)
        self.frozen = None if fixed is None else torch.full((len(self.gates),), fixed)
        hidden = model.config.hidden_size
        self.head = nn.Linear(hidden, classes)
        self.probe = None  # (weight, bias) the head started from
        self.strength = 1.0
        self.to(model.device)
        if self.frozen is not None:
            self.frozen = self.frozen.to(model.device)
        self.apply()

    @staticmethod
    def _parent(layer, matrix):
        if matrix in ("fc1", "fc2"):
            return layer.mlp, matrix
        return layer.attention, f"{matrix}_proj"

    def indicator(self):
        """0/1 a gate; frozen gates as they were frozen."""
        if self.frozen is not None:
            return self.frozen
        if self.recipe.method == "l0":
            if self.resting:
                # Open, while the score hears what a gate without noise would.
                values = hard_concrete(self.scores, None)
                return values + (1 - values).detach()
            values = hard_concrete(self.scores, self.noise)
            if self.count is None:
                return values
            # Straight through the ranks, so that a closed gate may re-open.
            return values + (values * self.highest() - values).detach()
        if self.count is not None:
            return Highest.apply(self.scores, self.count)
        return Indicator.apply(self.scores, self.recipe.tau)

    def highest(self):
        """1 for the `count` highest scores"""
        return Highest.apply(self.scores.detach(), self.count)

    def harden(self):
        """Freezes the gates, each 0 or 1."""
        if self.recipe.method == "l0" and self.count is not None:
            self.frozen = self.highest()
        elif self.recipe.method == "l0":
            self.frozen = (hard_concrete(self.scores.detach(), None) > 0).to(self.scores.dtype)
        else:
            self.frozen = self.indicator().detach()

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
        if self.count is not None:
            return self.scores.sum() * 0
        if self.recipe.method == "l0":
            return self.recipe.lam * torch.sigmoid(self.scores - BETA * math.log(-GAMMA / ZETA)).mean()
        return self.recipe.lam * self.scores.abs().mean()

    def kept(self, pixels):
        """-> [n], how far the features have turned from those of the frozen network"""
        with torch.no_grad():
            before = backbone(self.teacher)(pixels) if self.teacher is not self.model else self._frozen_states(pixels)
        return 1 - F.cosine_similarity(self.features(pixels), before.last_hidden_state[:, 0], dim=1)

    def _frozen_states(self, pixels):
        gates = [site.gate for site in self.sites.values()]
        for site in self.sites.values():
            site.gate = None
        states = backbone(self.model)(pixels)
        for site, gate in zip(self.sites.values(), gates):
            site.gate = gate
        return states

    def change_norms(self):
        """||delta||_F of each gate's matrices together"""
        squares = torch.zeros(len(self.gates))
        with torch.no_grad():
            for key, site in self.sites.items():
                squares[self.gate_of[key]] += site.delta().square().sum()
        return squares.sqrt()

    @torch.no_grad()
    def output_norms(self, pixels):
        """Mean over tokens of ||delta x||, summed over each gate's matrices; behind the last attention only the class
        token counts, which alone is read"""
        sums = torch.zeros(len(self.gates))
        handles = []

        last = f"{len(backbone(self.model).layers) - 1}_"

        def listen(key, site):
            def hook(_, args):
                x = args[0][:, :1] if key in (last + "o", last + "fc1", last + "fc2") else args[0]
                sums[self.gate_of[key]] += F.linear(x, site.delta()).norm(dim=-1).mean()

            handles.append(site.register_forward_pre_hook(hook))

        for key, site in self.sites.items():
            listen(key, site)
        self.features(pixels)
        for handle in handles:
            handle.remove()
        return sums

    def open_gates(self):
        """-> bool [gates]"""
        return self.indicator().detach().bool()

    def delta_norms(self):
        """||c B A|| / ||W|| of each gate's matrices together, open or not."""
        top, bottom = torch.zeros(2, len(self.gates), device=self.scores.device)
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


def balanced(labels, classes):
    """What each class weighs: n / (k n_c), k classes that occur (scikit-learn's "balanced"). -> [classes]"""
    counts = torch.bincount(labels, minlength=classes).double()
    return torch.where(counts > 0, len(labels) / ((counts > 0).sum() * counts.clamp_min(1)), 0.0)


def fit_logistic(x, y, classes, l2, start=None, weights=None):
    """L2-regularised multinomial logistic regression, mean loss + l2/2 ||W||^2, bias free. -> W [C, D], b [C] (f64)"""
    weight = torch.zeros(classes, x.shape[1], dtype=torch.float64, device=x.device) if start is None else start[0].clone()
    bias = torch.zeros(classes, dtype=torch.float64, device=x.device) if start is None else start[1].clone()
    weight.requires_grad_(), bias.requires_grad_()
    solver = torch.optim.LBFGS([weight, bias], max_iter=200, tolerance_grad=1e-5, line_search_fn="strong_wolfe")

    def closure():
        solver.zero_grad()
        loss = F.cross_entropy(F.linear(x, weight, bias), y, weight=weights) + l2 / 2 * weight.square().sum()
        loss.backward()
        return loss

    solver.step(closure)
    return weight.detach(), bias.detach()


def linear_probe(features, labels, classes, validation=None, weights=None):
    """The classifier training starts from. Features are standardised for the fit and the scale folded back; the L2
    is the one of L2_GRID with the best validation accuracy, then the lowest validation loss; `weights` of classes count
    in all three. -> W [C, D], b [C], l2"""
    x = features.double()
    mean, std = x.mean(0), x.std(0, unbiased=False).clamp_min(1e-6)
    best, start = None, None
    for l2 in L2_GRID if validation is not None else (0.01,):
        start = fit_logistic((x - mean) / std, labels, classes, l2, start, weights)
        weight = start[0] / std
        bias = start[1] - weight @ mean
        key = (0.0, 0.0)
        if validation is not None:
            logits = F.linear(validation[0].double(), weight, bias)
            right, each = (logits.argmax(1) == validation[1]).double(), torch.ones(len(logits), dtype=torch.float64)
            each = each if weights is None else weights[validation[1]]
            loss = F.cross_entropy(logits, validation[1], weight=weights)
            key = ((right * each).sum().item() / each.sum().item(), -loss.item())
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
    mirrored = (torch.rand(len(pixels), generator=generator) < 0.5).to(pixels.device)
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

    def __init__(self, tuned, recipe, steps, class_weights=None):
        self.tuned, self.recipe, self.steps, self.done = tuned, recipe, steps, 0
        self.class_weights = class_weights
        self.penalty_from = round(recipe.warmup * steps)
        self.settle_from = steps - round(recipe.settle * steps)
        names = ("lora_A", "lora_B", "lora_magnitude_vector", "residual")
        self.adapters = [getattr(s, n) for s in tuned.sites.values() for n in names if hasattr(s, n)]
        if recipe.method == "full":
            # The matrices move by their residuals, everything else by itself.
            body = [p for n, p in backbone(tuned.model).named_parameters() if not n.endswith(("base.weight", "residual"))]
            self.adapters += [p.requires_grad_() for p in body]
        if recipe.method == "linear":
            self.adapters = []
        groups = [
            {"params": self.adapters, "base": recipe.learning_rate},
            {"params": list(tuned.head.parameters()), "base": recipe.head_learning_rate},
        ]
        if recipe.optimiser == "adamw":
            self.weights = torch.optim.AdamW(groups, lr=0.0, weight_decay=recipe.weight_decay)
        else:
            self.weights = torch.optim.SGD(groups, lr=0.0, momentum=0.9, weight_decay=recipe.weight_decay)
        self.rank = self.fixed_ranks()
        if self.rank is not None:
            tuned.scores.data = self.rank
        rate = recipe.score_learning_rate * (LOGIT_RATE if recipe.method == "l0" else 1)
        self.gates = torch.optim.SGD([tuned.scores], lr=rate, momentum=0.9)

    def fixed_ranks(self):
        """What ranks the gates from the start, where that is neither learned nor measured"""
        count = len(self.tuned.gates)
        in_order = (torch.arange(count) + 1) / count
        if self.recipe.select == "first":
            return in_order.flip(0)
        if self.recipe.select == "last":
            return in_order
        if self.recipe.select != "random":
            return None
        stream, order = uniform(self.recipe.seed, "select"), in_order.tolist()
        for i in range(count - 1, 0, -1):
            j = math.floor(next(stream) * (i + 1))
            order[i], order[j] = order[j], order[i]
        return torch.tensor(order)

    def measure(self, sample):
        """Ranks the gates anew by what they have learned"""
        tuned = self.tuned
        if self.recipe.select == "magnitude":
            tuned.scores.data = tuned.change_norms()
        elif self.recipe.select == "output":
            tuned.set_gates(tuned.indicator().detach(), keep_closed=True)
            tuned.scores.data = tuned.output_norms(sample)

    def left_open(self, at):
        """Gates open in step `at` on the way to the budget."""
        gates, budget = len(self.tuned.gates), self.recipe.budget
        if at >= self.settle_from:
            return budget
        progress = min(1.0, max(0.0, (at - self.penalty_from + 1) / max(1, self.settle_from - self.penalty_from)))
        return math.floor(budget + (gates - budget) * (1 - progress) ** 3 + 0.5)

    def step(self, pixels, labels, sample=None, kept=None):
        """One batch. `sample`: images that outputs are measured on; `kept`: images without classes to stay the same on.
        -> cross-entropy of the batch before the step, as a float"""
        tuned, recipe, at = self.tuned, self.recipe, self.done
        if recipe.budget is not None and tuned.frozen is None:
            count = self.left_open(at)
            falls, tuned.count = count < tuned.count, count
            if falls:
                self.measure(sample)
        if tuned.frozen is None and at >= self.settle_from:
            tuned.harden()
        learning = tuned.frozen is None
        tuned.resting = at < self.penalty_from
        tuned.noise = None if tuned.resting else gate_noise(recipe.seed, at, len(tuned.gates))
        tuned.set_gates(tuned.indicator(), keep_closed=learning)
        factor = learning_rate_factor(at, self.steps)
        for group in self.weights.param_groups:
            group["lr"] = group["base"] * factor
        self.weights.zero_grad(set_to_none=True)
        self.gates.zero_grad(set_to_none=True)
        task = F.cross_entropy(tuned.logits(pixels), labels, weight=self.class_weights)
        loss = task + tuned.penalty() if learning and at >= self.penalty_from else task
        if recipe.keep > 0:
            loss = loss + recipe.keep * tuned.kept(pixels if kept is None else torch.cat([pixels, kept])).mean()
        loss.backward()
        self.weights.step()
        if learning and recipe.select == "sensitivity":
            tuned.scores.data += tuned.scores.grad.abs()
        elif learning and recipe.select == "learned":
            self.gates.step()
        self.done += 1
        return task.item()


def finetune(model, pixels, labels, classes, recipe=Recipe(), validation=None, on_epoch=None):
    """Probe, then train. `validation` (pixels, labels) chooses the probe's L2; `on_epoch(epoch, tuned)` may look in
    (gates applied as they stand). -> SelectiveLora with the final gates applied"""
    tuned = SelectiveLora(model, classes, recipe)
    tuned.apply(open=[0] * len(tuned.gates))
    held = None if validation is None else (in_batches(tuned.features, validation[0]), validation[1])
    weights = balanced(labels, classes) if recipe.class_weights == "balanced" else None
    weight, bias, _ = linear_probe(in_batches(tuned.features, pixels), labels, classes, held, weights)
    tuned.probe = (weight, bias)
    tuned.head.weight.data, tuned.head.bias.data = weight.clone(), bias.clone()
    generator = torch.Generator().manual_seed(recipe.seed + 1)
    batches = math.ceil(len(pixels) / recipe.batch)
    run = Run(tuned, recipe, batches * recipe.epochs, None if weights is None else weights.to(pixels.dtype))
    for epoch in range(recipe.epochs):
        order = torch.randperm(len(pixels), generator=generator)
        for chosen in order.split(recipe.batch):
            run.step(augment(pixels[chosen], recipe.augmentation, generator), labels[chosen])
        if on_epoch is not None:
            on_epoch(epoch, tuned.apply())
    return tuned.apply()
