"""Makes the fixtures that hold every strategy, selection and budget to PyTorch: gradients by autograd, and runs of 20
steps through selective_lora.py, which draws the engine's own random numbers for order, noise and random choice.

    interop/.venv/bin/python interop/make_fixtures_strategies.py

DoRA's reference is first held to PEFT's own DoRA, with every gate open. All in float64, stored as f32.
"""

import copy
import math

import torch
import torch.nn.functional as F

from make_fixtures_training import (
    NETWORKS,
    SIZE,
    SRC,
    backbone,
    catch_entry,
    internal_weights,
    make_network,
    normalise,
    random_pixels,
    save,
)
from selective_lora import MATRICES, Recipe, Run, SelectiveLora, gate_noise, hard_concrete, uniform

RANK, ALPHA, CLASSES = 3, 5.0, 4
OPEN = {
    "taps": ("block", [1, 0, 1, 1, 0, 1]),
    "dora": ("matrix", [1, 1, 0, 1, 0, 1] + [1, 0, 1, 0, 1, 0] + [0, 0, 1, 1, 1, 0]),
    "l0": ("block", None),
    "full": ("block", [1] * 6),
    "keep": ("block", [1] * 6),
}
NOISE_STEP = 7


def hold_dora_to_peft(network):
    """Forward and every gradient of GatedDoRA with its gate open against PEFT's use_dora."""
    from peft import LoraConfig, get_peft_model

    tuned = SelectiveLora(network, CLASSES, Recipe(method="dora", granularity="matrix", rank=RANK, alpha=ALPHA))
    generator = torch.Generator().manual_seed(3)
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2"]
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, use_dora=True, lora_dropout=0.0, bias="none", target_modules=targets)
    theirs = get_peft_model(copy.deepcopy(network), config).double()
    layers = [module for module in theirs.modules() if hasattr(module, "lora_magnitude_vector")]
    ours = list(tuned.sites.values())
    assert len(layers) == len(ours)
    by_weight = {layer.get_base_layer().weight.data.sum().item(): layer for layer in layers}
    pairs = [(site, by_weight[site.base.weight.data.sum().item()]) for site in ours]
    for site, layer in pairs:
        site.lora_B.data = torch.randn(site.lora_B.shape, generator=generator) / 2
        site.lora_magnitude_vector.data *= 1.2
        layer.lora_A["default"].weight.data = site.lora_A.data.clone()
        layer.lora_B["default"].weight.data = site.lora_B.data.clone()
        layer.lora_magnitude_vector["default"].weight.data = site.lora_magnitude_vector.data.clone()
    x = normalise(random_pixels(3, 5))
    tuned.set_gates(torch.ones(len(tuned.gates)))
    a, b = tuned.own_logits(x), theirs(pixel_values=x).logits
    assert torch.allclose(a, b, atol=1e-9), (a - b).abs().max()
    a.square().sum().backward()
    b.square().sum().backward()
    for site, layer in pairs:
        for mine, other in (
            (site.lora_A, layer.lora_A["default"].weight),
            (site.lora_B, layer.lora_B["default"].weight),
            (site.lora_magnitude_vector, layer.lora_magnitude_vector["default"].weight),
        ):
            assert torch.allclose(mine.grad, other.grad, atol=1e-8), (mine.grad - other.grad).abs().max()
    print("DoRA agrees with PEFT")


def unwrapped(network, tuned, read):
    """A copy of `network` whose parameters are `read` of the tuned ones; a matrix's is its residual's."""
    plain = copy.deepcopy(network)
    found = dict(tuned.model.named_parameters())
    with torch.no_grad():
        for name, p in plain.named_parameters():
            module, leaf = name.rsplit(".", 1)
            own = found.get(f"{module}.residual") if f"{module}.residual" in found and leaf == "weight" else None
            own = own if own is not None else found.get(name, found.get(f"{module}.base.{leaf}"))
            value = read(own)
            p.copy_(torch.zeros_like(p) if value is None else value)
    return plain


def rest_of(model):
    """-> {name in a snapshot: tensor} of everything but the matrices"""
    roles = internal_weights(model)
    rest = {}
    for role, tensor in roles.items():
        part = role.split(".")
        if part[0] in ("head", "head_dist") or (part[-1] == "weight" and part[-2] in MATRICES):
            continue
        if part[-1] == "bias" and part[-2] in "qkv":
            if part[-2] == "q":
                rest[f"layer.{part[1]}.qkv.bias"] = torch.cat([roles[f"layer.{part[1]}.{m}.bias"] for m in "qkv"])
        elif role == "cls_token":
            rest["prefix"] = tensor
        else:
            rest[role] = tensor
    return rest


def gradients():
    spec = NETWORKS["vit"]
    network = make_network(spec)
    pixels = random_pixels(3, 10 + spec["seed"])
    labels, weights = torch.tensor([2, 0, 3]), torch.tensor([1.0, 1.0, 0.0])
    generator = torch.Generator().manual_seed(11)
    head = [(torch.randn(*shape, generator=generator) / 4).float().double() for shape in ((CLASSES, spec["D"]), (CLASSES,))]
    tensors = {"labels": labels.int(), "weights": weights, "head.weight": head[0], "head.bias": head[1]}
    for name, (granularity, open_gates) in OPEN.items():
        method = "selective" if name == "keep" else name
        recipe = Recipe(method=method, granularity=granularity, rank=RANK, alpha=ALPHA, keep=0.7 if name == "keep" else 0.0)
        tuned = SelectiveLora(network, CLASSES, recipe)
        if method == "full":
            Run(tuned, recipe, 1)
        tuned.head.weight.data, tuned.head.bias.data = (t.clone() for t in head)
        for key, site in tuned.sites.items():
            i, matrix = key.split("_")
            for part, p in site.named_parameters():
                if part.startswith("base"):
                    continue
                scale = 0.3 if part == "residual" else 1.0
                noise = torch.randn(p.shape, generator=generator) / math.sqrt(p.shape[-1]) * scale
                p.data = (p.data * 1.1 if part == "lora_magnitude_vector" else noise).float().double()
                tensors[f"{name}.layer.{i}.{matrix}.{part}"] = p.detach().clone()
        if method == "full":
            before = rest_of(unwrapped(network, tuned, lambda p: p))
            with torch.no_grad():
                for key, p in backbone(tuned.model).named_parameters():
                    if p.requires_grad and not key.endswith("residual"):
                        p += (torch.randn(p.shape, generator=generator) * 0.1).float()
            after = rest_of(unwrapped(network, tuned, lambda p: p))
            for key, value in after.items():
                tensors[f"full.rest.{key}"] = value - before[key]
        if name == "l0":
            tuned.scores.data = torch.tensor([1.5, -0.5, 2.0, -1.0, 0.5, 0.0])
            tuned.resting, tuned.noise = False, gate_noise(0, NOISE_STEP, 6)
            values = hard_concrete(tuned.scores, tuned.noise)
            assert ((values > 0) & (values < 1)).sum() >= 2 and ((values == 0) | (values == 1)).any(), values
            print("l0 gates", values.tolist())
            tensors["l0.scores"] = tuned.scores.detach()
        elif method != "full":
            tuned.scores.data = torch.where(torch.tensor(open_gates) == 1, 0.4, 0.05)
        tuned.set_gates(tuned.indicator(), keep_closed=True)
        seen, handle = catch_entry(tuned.model) if name not in ("full", "keep") else ({}, None)
        x = normalise(pixels)
        each = F.cross_entropy(tuned.logits(x), labels, reduction="none")
        loss = (each * weights).sum() / weights.sum()
        if recipe.keep:
            distance = (tuned.kept(x) * weights).sum() / weights.sum()
            tensors["keep.distance"] = distance
            loss = loss + recipe.keep * distance
        elif name == "l0":
            loss = loss + tuned.penalty()
        loss.backward()
        if handle:
            handle.remove()
            tensors[f"{name}.entry_gradient"] = seen["entry"].grad.flatten(0, 1)
        tensors[f"{name}.loss"] = ((each * weights).sum() / weights.sum()).detach()
        tensors[f"{name}.head_gradient"] = tuned.head.weight.grad
        if method != "full":
            tensors[f"{name}.score_gradient"] = tuned.scores.grad
            tensors[f"{name}.delta_norms"] = tuned.delta_norms()
            tensors[f"{name}.output_norms"] = tuned.output_norms(x)
        else:
            for key, value in rest_of(unwrapped(network, tuned, lambda p: p.grad)).items():
                tensors[f"full.rest_gradient.{key}"] = value
        for key, site in tuned.sites.items():
            i, matrix = key.split("_")
            for part, p in site.named_parameters():
                if not part.startswith("base"):
                    tensors[f"{name}.gradient.layer.{i}.{matrix}.{part}"] = p.grad
    save(
        SRC / "adaptation" / "fixtures" / "strategies.safetensors",
        tensors, rank=RANK, alpha=ALPHA, keep=0.7, noiseStep=NOISE_STEP,
        cases={name: dict(granularity=g, open=o) for name, (g, o) in OPEN.items()},
    )  # fmt: skip


RUNS = {
    "taps": dict(method="taps", learning_rate=0.01, score_learning_rate=0.05, budget=3),
    "taps-auto": dict(method="taps", learning_rate=0.01, score_learning_rate=0.06, lam=0.4),
    "dora": dict(method="dora", learning_rate=0.02, score_learning_rate=0.06, budget=3),
    "l0": dict(method="l0", learning_rate=0.02, score_learning_rate=0.02, budget=4),
    "l0-auto": dict(method="l0", learning_rate=0.02, score_learning_rate=0.6, lam=6.0),
    "full": dict(method="full", learning_rate=0.002, weight_decay=0.0),
    "linear": dict(method="linear"),
    "sensitivity": dict(select="sensitivity", learning_rate=0.02, budget=3),
    "magnitude": dict(select="magnitude", learning_rate=0.02, budget=3),
    "output": dict(select="output", learning_rate=0.02, budget=3),
    "random": dict(select="random", learning_rate=0.02, budget=3),
    "first": dict(select="first", learning_rate=0.02, budget=3),
    "last": dict(select="last", learning_rate=0.02, budget=3),
    "keep": dict(learning_rate=0.02, score_learning_rate=0.06, budget=3, keep=3.0),
}


def shuffled(count, seed, purpose):
    stream, order = uniform(seed, purpose), list(range(count))
    for i in range(count - 1, 0, -1):
        j = math.floor(next(stream) * (i + 1))
        order[i], order[j] = order[j], order[i]
    return order


def chosen_kept(at, count, batch, seed):
    rounds = math.ceil(count / min(batch, count))
    order = shuffled(count, seed, f"keep {at // rounds}")
    first = (at % rounds) * min(batch, count)
    return order[first : first + batch]


def trajectories():
    """20 steps of each, on the images of trajectory.safetensors. No two scores may come near where the budget cuts, and
    no score near what decides, or the two sides could disagree over rounding."""
    steps, batch, classes, images = 20, 4, 3, 80
    network = make_network(NETWORKS["deit"])
    labels = torch.randint(0, classes, (steps, batch), generator=torch.Generator().manual_seed(0)).flatten()
    pixels = random_pixels(images, 77)
    tint = torch.tensor([[90, 0, 0], [0, 90, 0], [0, 0, 90]], dtype=torch.uint8)
    pixels = pixels // 4 + tint[labels][:, None, None, :]
    kept = random_pixels(6, 78)
    tensors, recipes = {"kept": kept}, {}
    sample = normalise(pixels[[math.floor((i + 0.5) * images / batch) for i in range(batch)]])
    for name, values in RUNS.items():
        for seed in range(400):
            recipe = Recipe(**{
                **dict(rank=3, alpha=6.0, warmup=0.2, settle=0.2, batch=batch, weight_decay=0.05, granularity="matrix",
                       head_learning_rate=0.01, seed=seed), **values})  # fmt: skip
            tuned = SelectiveLora(network, classes, recipe).double()
            generator = torch.Generator().manual_seed(2000 + seed)
            weight = (torch.randn(classes, NETWORKS["deit"]["D"], generator=generator) / 8).float().double()
            tuned.head.weight.data, tuned.head.bias.data = weight.clone(), torch.zeros(classes)
            start = {f"{name}.head.weight": weight}
            for key, site in tuned.sites.items():
                i, matrix = key.split("_")
                if hasattr(site, "lora_A"):
                    site.lora_A.data = site.lora_A.data.float().double()
                    start[f"{name}.layer.{i}.{matrix}.lora_A"] = site.lora_A.detach().clone()
            run = Run(tuned, recipe, steps)
            order = shuffled(images, seed, "shuffle 0")
            losses, opened, scores, apart = [], [], [], True
            for at in range(steps):
                own = order[at * batch : (at + 1) * batch]
                beside = normalise(kept[chosen_kept(at, len(kept), batch, seed)]) if recipe.keep else None
                losses.append(run.step(normalise(pixels[own]), labels[own], sample, beside))
                scores.append(tuned.scores.detach().clone())
                # What a frame shows after this step: the gates that stand in the next, or rest.
                opened.append(after(tuned, run))
                apart = apart and clear(tuned, run)
            counts = [int(o.sum()) for o in opened]
            wanted = {"full": 12, "linear": 0}.get(recipe.method, recipe.budget)
            if apart and sum(losses[-5:]) < sum(losses[:5]) and (counts[-1] == wanted if wanted is not None else 0 < counts[-1] < 12):
                break
        else:
            raise SystemExit(f"{name}: no seed keeps clear of what decides")
        print(name, "seed", seed, "open", counts, "losses", [round(v, 3) for v in losses])
        tensors |= start
        tensors[f"{name}.losses"] = torch.tensor(losses)
        tensors[f"{name}.scores"] = torch.stack(scores)
        tensors[f"{name}.open"] = torch.stack(opened).to(torch.uint8)
        tensors[f"{name}.final_head.weight"] = tuned.head.weight
        recipes[name] = dict(
            method=recipe.method, select=recipe.select, granularity="matrix", targetModules="both", rank=recipe.rank,
            alpha=recipe.alpha, tau=recipe.tau, warmup=recipe.warmup, settle=recipe.settle, epochs=1, batch=batch,
            learningRate=recipe.learning_rate, fullLearningRate=recipe.learning_rate,
            headLearningRate=recipe.head_learning_rate, scoreLearningRate=recipe.score_learning_rate,
            weightDecay=recipe.weight_decay, augmentation="none", seed=seed, keep=recipe.keep,
            budget="auto" if recipe.budget is None else str(recipe.budget), **{"lambda": recipe.lam},
        )  # fmt: skip
    save(SRC / "training" / "fixtures" / "strategies.safetensors", tensors, recipes=recipes)


def after(tuned, run):
    """The gates as a reading right after a step finds them: by the count of the step just done."""
    if tuned.frozen is not None:
        return tuned.frozen
    if tuned.recipe.method == "l0" and tuned.resting:
        return torch.ones(len(tuned.gates))
    if tuned.count is not None:
        mask = torch.zeros(len(tuned.gates))
        mask[tuned.scores.argsort(descending=True, stable=True)[: tuned.count]] = 1
        return mask
    if tuned.recipe.method == "l0":
        return (hard_concrete(tuned.scores.detach(), None) > 0).double()
    return (tuned.scores.detach() >= tuned.recipe.tau).double()


def clear(tuned, run):
    """Whether no score is so near to what decides that rounding could decide."""
    if tuned.frozen is not None:
        return True
    scores = tuned.scores.detach()
    if tuned.recipe.budget is None:
        cut = math.log(0.1 / 1.1) if tuned.recipe.method == "l0" else tuned.recipe.tau
        return bool((scores - cut).abs().min() > 5e-4)
    ordered = scores.sort(descending=True).values
    # Ranks are taken by the count of the step done, and of the next one.
    cuts = {tuned.count, run.left_open(run.done)} - {0, len(scores)}
    if tuned.recipe.select == "magnitude" or tuned.recipe.select == "output":
        cuts = {tuned.count} - {0, len(scores)}
    spread = max(1e-12, ordered[0].abs().item()) if tuned.recipe.select != "learned" else 1
    # Of equal scores both sides take the first; first, last and random tie nowhere.
    return all((ordered[c - 1] - ordered[c]).item() > 2e-4 * spread for c in cuts)


if __name__ == "__main__":
    hold_dora_to_peft(make_network(NETWORKS["vit"]))
    gradients()
    trajectories()
