"""Makes the fixtures that hold forward, backward and training to transformers and PyTorch.

    interop/.venv/bin/python interop/make_fixtures_training.py

Three small random networks (ViT, distilled DeiT, a variant with odd sizes, no qkv bias and CLIP's activation), their
logits by transformers, every LoRA and gate gradient by autograd, and training trajectories of 20 steps by
selective_lora.py. All in float64, stored as f32 in safetensors; tensors carry Selora's internal names.
"""

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import (
    DeiTConfig,
    DeiTForImageClassificationWithTeacher,
    ViTConfig,
    ViTForImageClassification,
)

from selective_lora import MATRICES, Recipe, Run, SelectiveLora, backbone, linear_probe

SRC = Path(__file__).resolve().parent.parent / "src"
MEAN, STD = [0.5, 0.4, 0.3], [0.5, 0.6, 0.7]
SIZE, PATCH = 16, 4

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)

NETWORKS = {
    "vit": dict(kind="vit", D=24, M=48, layers=3, heads=2, act="gelu", eps=1e-12, bias=True, seed=1),
    "deit": dict(kind="deit", D=16, M=32, layers=2, heads=4, act="gelu_pytorch_tanh", eps=1e-6, bias=True, seed=2),
    "variant": dict(kind="vit", D=30, M=50, layers=2, heads=3, act="quick_gelu", eps=1e-5, bias=False, seed=3),
}
ACTIVATION = {"gelu": "gelu", "gelu_pytorch_tanh": "gelu_tanh", "quick_gelu": "quick_gelu"}


def make_network(spec, labels=5):
    generator = torch.Generator().manual_seed(spec["seed"])
    settings = dict(
        hidden_size=spec["D"], intermediate_size=spec["M"], num_hidden_layers=spec["layers"],
        num_attention_heads=spec["heads"], hidden_act=spec["act"], layer_norm_eps=spec["eps"],
        qkv_bias=spec["bias"], image_size=SIZE, patch_size=PATCH, num_labels=labels,
    )  # fmt: skip
    if spec["kind"] == "vit":
        model = ViTForImageClassification(ViTConfig(**settings))
    else:
        model = DeiTForImageClassificationWithTeacher(DeiTConfig(**settings))
    model = model.double().eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if "layernorm" in name:
                p.copy_(noise * 0.2 + (1 if name.endswith("weight") else 0))
            elif "embeddings" in name and "projection" not in name:
                p.copy_(noise * 0.5)
            elif p.dim() == 1:
                p.copy_(noise * 0.1)
            else:
                p.copy_(noise / math.sqrt(p[0].numel()))
            p.copy_(p.float())
    return model


def internal_weights(model):
    """-> {role: tensor}, as src/checkpoint/types.ts names them"""
    body = backbone(model)
    roles = {
        "cls_token": body.embeddings.cls_token.flatten(),
        "pos_embed": body.embeddings.position_embeddings[0],
        "patch_embed.weight": body.embeddings.patch_embeddings.projection.weight.flatten(1),
        "patch_embed.bias": body.embeddings.patch_embeddings.projection.bias,
    }

    def linear(name, module):
        roles[f"{name}.weight"] = module.weight
        if module.bias is not None:
            roles[f"{name}.bias"] = module.bias

    for i, layer in enumerate(body.layers):
        linear(f"layer.{i}.norm1", layer.layernorm_before)
        linear(f"layer.{i}.norm2", layer.layernorm_after)
        for matrix in MATRICES:
            parent, name = SelectiveLora._parent(layer, matrix)
            linear(f"layer.{i}.{matrix}", getattr(parent, name))
    linear("norm", body.layernorm)
    if hasattr(model, "classifier"):
        linear("head", model.classifier)
    else:
        roles["dist_token"] = body.embeddings.distillation_token.flatten()
        linear("head", model.cls_classifier)
        linear("head_dist", model.distillation_classifier)
    return roles


def normalise(pixels):
    """uint8 [n, H, W, 3] -> [n, 3, H, W]"""
    x = (pixels.double() / 255 - torch.tensor(MEAN)) / torch.tensor(STD)
    return x.permute(0, 3, 1, 2)


def random_pixels(count, seed):
    return torch.randint(0, 256, (count, SIZE, SIZE, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def save(path, tensors, **metadata):
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = {k: (t.detach().float() if t.is_floating_point() else t).contiguous().clone() for k, t in tensors.items()}
    # One entry: several would be written in random order, and the file would never be the same twice.
    save_file(stored, path, metadata={"fixture": json.dumps(metadata)})
    print(f"{path.relative_to(SRC)}: {path.stat().st_size} bytes")


def catch_entry(model):
    """Keeps the activation that enters layer 0, with its gradient."""
    seen = {}

    def hook(_, args, kwargs):
        x = args[0] if args else kwargs["hidden_states"]
        leaf = x.detach().requires_grad_()
        seen["entry"] = leaf
        return ((leaf, *args[1:]), kwargs) if args else ((), {**kwargs, "hidden_states": leaf})

    handle = backbone(model).layers[0].register_forward_pre_hook(hook, with_kwargs=True)
    return seen, handle


def network_fixture(name, spec):
    model = make_network(spec)
    pixels = random_pixels(3, 10 + spec["seed"])
    x = normalise(pixels)
    seen, handle = catch_entry(model)
    states = backbone(model)(x).last_hidden_state
    dcls = torch.randn(states[:, 0].shape, generator=torch.Generator().manual_seed(99))
    (states[:, 0] * dcls).sum().backward()
    handle.remove()
    d = dict(
        family="hf-vit" if spec["kind"] == "vit" else "hf-deit", imageSize=SIZE, patchSize=PATCH,
        hiddenSize=spec["D"], layers=spec["layers"], heads=spec["heads"], mlpSize=spec["M"],
        activation=ACTIVATION[spec["act"]], layerNormEps=spec["eps"], qkvBias=spec["bias"],
        prefixTokens=1 if spec["kind"] == "vit" else 2, distillationHead=spec["kind"] == "deit",
        labels=["a", "b", "c", "d", "e"],
    )  # fmt: skip
    tensors = internal_weights(model) | {
        "pixels": pixels,
        "logits": model(x).logits,
        "cls": states[:, 0],
        "dcls": dcls,
        "entry": seen["entry"].flatten(0, 1),
        "entry_gradient": seen["entry"].grad.flatten(0, 1),
    }
    save(SRC / "vit" / "fixtures" / f"{name}.safetensors", tensors, architecture=d, mean=MEAN, std=STD)


CASES = {
    "vit": [
        dict(granularity="block", target="both", open=[1, 1, 1, 1, 1, 1]),
        dict(granularity="block", target="both", open=[0, 1, 0, 0, 1, 0]),
        dict(granularity="layer", target="both", open=[0, 1, 0]),
        dict(granularity="matrix", target="both", open=[0, 1, 0, 1, 0, 1] + [1, 0, 1, 0, 1, 0] + [0, 0, 1, 1, 1, 0]),
        dict(granularity="block", target="mlp", open=[1, 0, 1]),
        dict(granularity="matrix", target="attention", open=[1, 0, 0, 0] + [0, 0, 0, 0] + [0, 1, 1, 0]),
    ],
    "deit": [
        dict(granularity="block", target="both", open=[1, 1, 1, 1]),
        dict(granularity="matrix", target="both", open=[1, 0, 0, 0, 1, 0] + [0, 1, 1, 1, 0, 1]),
    ],
}


def gradient_fixture(name, spec, cases):
    """Gradients of a masked cross-entropy towards A, B, scores, classifier and the activation entering layer 0."""
    rank, alpha, classes = 3, 5.0, 4
    generator = torch.Generator().manual_seed(7)
    network = make_network(spec)
    pixels = random_pixels(3, 10 + spec["seed"])
    labels, weights = torch.tensor([2, 0, 3]), torch.tensor([1.0, 1.0, 0.0])
    head = torch.randn(classes, spec["D"], generator=generator) / 4, torch.randn(classes, generator=generator) / 4
    head = tuple(t.float().double() for t in head)
    tensors = {"labels": labels.int(), "weights": weights, "head.weight": head[0], "head.bias": head[1]}
    shared = {}
    for i, layer in enumerate(backbone(network).layers):
        for matrix in MATRICES:
            parent, attribute = SelectiveLora._parent(layer, matrix)
            base = getattr(parent, attribute)
            A = torch.randn(rank, base.in_features, generator=generator) / math.sqrt(base.in_features)
            B = torch.randn(base.out_features, rank, generator=generator) / math.sqrt(rank)
            shared[f"{i}_{matrix}"] = A.float().double(), B.float().double()
            tensors[f"layer.{i}.{matrix}.lora_A"], tensors[f"layer.{i}.{matrix}.lora_B"] = shared[f"{i}_{matrix}"]
    listing = []
    for number, case in enumerate(cases):
        recipe = Recipe(granularity=case["granularity"], target=case["target"], rank=rank, alpha=alpha)
        tuned = SelectiveLora(network, classes, recipe)
        for key, site in tuned.sites.items():
            site.lora_A.data, site.lora_B.data = (t.clone() for t in shared[key])
        tuned.head.weight.data, tuned.head.bias.data = head[0].clone(), head[1].clone()
        tuned.scores.data = torch.where(torch.tensor(case["open"]) == 1, 0.4, 0.05)
        tuned.set_gates(tuned.indicator(), keep_closed=True)
        seen, handle = catch_entry(tuned.model)
        each = F.cross_entropy(tuned.logits(normalise(pixels)), labels, reduction="none")
        loss = (each * weights).sum() / weights.sum()
        loss.backward()
        handle.remove()
        prefix = f"case.{number}."
        tensors[prefix + "loss"] = loss
        tensors[prefix + "scores"] = tuned.scores.grad
        tensors[prefix + "entry_gradient"] = seen["entry"].grad.flatten(0, 1)
        tensors[prefix + "head.weight"], tensors[prefix + "head.bias"] = tuned.head.weight.grad, tuned.head.bias.grad
        tensors[prefix + "delta_norms"] = tuned.delta_norms()
        for key, site in tuned.sites.items():
            i, matrix = key.split("_")
            tensors[f"{prefix}layer.{i}.{matrix}.lora_A"] = site.lora_A.grad
            tensors[f"{prefix}layer.{i}.{matrix}.lora_B"] = site.lora_B.grad
        listing.append(case)
    save(SRC / "adaptation" / "fixtures" / f"{name}.safetensors", tensors, rank=rank, alpha=alpha, cases=listing)


def trajectory_fixture():
    """20 steps on fixed batches: with AdamW, with SGD, and under a budget. A gate must close, another open again, and no
    score may come near what decides (tau, or the next score in rank), or the two sides could disagree over rounding."""
    steps, batch, classes = 20, 4, 3
    network = make_network(NETWORKS["deit"])
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, classes, (steps, batch), generator=generator)
    pixels = random_pixels(steps * batch, 77).view(steps, batch, SIZE, SIZE, 3)
    tint = torch.tensor([[90, 0, 0], [0, 90, 0], [0, 0, 90]], dtype=torch.uint8)
    pixels = (pixels // 4 + tint[labels][:, :, None, None, :]).contiguous()
    tensors, recipes = {"pixels": pixels, "labels": labels.int()}, {}
    common = dict(rank=3, alpha=6.0, warmup=0.2, settle=0.2, batch=batch, weight_decay=0.05)
    settings = {
        "budget": dict(learning_rate=0.02, head_learning_rate=0.01, score_learning_rate=0.06, budget=3, granularity="matrix"),
        "adamw": dict(learning_rate=0.02, head_learning_rate=0.01, score_learning_rate=0.06, lam=0.5, granularity="matrix"),
        "sgd": dict(learning_rate=0.2, head_learning_rate=0.05, score_learning_rate=0.1, lam=0.4, granularity="matrix", weight_decay=0.0),
    }  # fmt: skip
    for name, values in settings.items():
        optimiser = "sgd" if name == "sgd" else "adamw"
        for seed in range(500):
            recipe = Recipe(**{**common, **values, "optimiser": optimiser, "seed": seed})
            tuned = SelectiveLora(network, classes, recipe).double()
            generator = torch.Generator().manual_seed(1000 + seed)
            head = torch.randn(classes, NETWORKS["deit"]["D"], generator=generator) / 8, torch.zeros(classes)
            tuned.head.weight.data, tuned.head.bias.data = head[0].float().double(), head[1].clone()
            start = {f"{name}.head.weight": tuned.head.weight.detach().clone()}
            for key, site in tuned.sites.items():
                i, matrix = key.split("_")
                start[f"{name}.layer.{i}.{matrix}.lora_A"] = site.lora_A.detach().clone()
            run = Run(tuned, recipe, steps)
            losses, scores = [], []
            for at in range(steps):
                losses.append(run.step(normalise(pixels[at]), labels[at]))
                scores.append(tuned.scores.detach().clone())
            scores = torch.stack(scores)
            learning = scores[: run.settle_from]
            if recipe.budget is None:
                opened = learning >= recipe.tau
                apart = (learning - recipe.tau).abs().min() > 5e-4
            else:
                counts = [run.left_open(at + 1) for at in range(run.settle_from)]
                ordered = learning.sort(descending=True).values
                cut = torch.stack([row[count - 1] for row, count in zip(ordered, counts)])
                opened = learning >= cut[:, None]
                gaps = [row[count - 1] - row[count] for row, count in zip(ordered, counts) if count < len(tuned.gates)]
                apart = min(gaps) > 2e-4
            reopened = (opened[1:] & ~opened[:-1]).any()
            apart = apart and scores.abs().max() < 5
            if reopened and apart and 2 < opened[-1].sum() < len(tuned.gates) - 2 and losses[-1] < losses[0]:
                break
        else:
            raise SystemExit(f"{optimiser}: no seed closes and re-opens a gate clear of tau")
        print(name, "seed", seed, "open", opened.sum(1).tolist(), "losses", [round(v, 3) for v in losses])
        tensors |= start
        tensors[f"{name}.losses"] = torch.tensor(losses)
        tensors[f"{name}.scores"] = scores
        tensors[f"{name}.final_head.weight"] = tuned.head.weight
        for key, site in tuned.sites.items():
            i, matrix = key.split("_")
            if matrix in ("v", "fc2"):
                tensors[f"{name}.final.layer.{i}.{matrix}.lora_B"] = site.lora_B
        recipes[name] = dict(
            method="selective", granularity=recipe.granularity, target=recipe.target, rank=recipe.rank,
            alpha=recipe.alpha, tau=recipe.tau, warmup=recipe.warmup, settle=recipe.settle, epochs=1, batch=batch,
            learningRate=recipe.learning_rate, headLearningRate=recipe.head_learning_rate,
            scoreLearningRate=recipe.score_learning_rate, weightDecay=recipe.weight_decay, augmentation="none",
            seed=seed, optimiser=optimiser, budget="auto" if recipe.budget is None else str(recipe.budget),
            **{"lambda": recipe.lam if recipe.budget is None else 0.0},
        )  # fmt: skip
    save(SRC / "training" / "fixtures" / "trajectory.safetensors", tensors, recipes=recipes)


def probe_fixture():
    """The linear probe on features of three overlapping classes, far from standardised."""
    generator = torch.Generator().manual_seed(4)
    centres = torch.randn(3, 12, generator=generator) * 0.8
    scale, shift = torch.rand(12, generator=generator) * 3 + 0.1, torch.randn(12, generator=generator) * 2
    labels = torch.arange(90) % 3
    features = (centres[labels] + torch.randn(90, 12, generator=generator)) * scale + shift
    features = features.float().double()
    train, val = (features[:60], labels[:60]), (features[60:], labels[60:])
    weight, bias, l2 = linear_probe(*train, 3, val)
    fixed = linear_probe(*train, 3)
    print("probe l2", l2)
    save(
        SRC / "training" / "fixtures" / "probe.safetensors",
        {
            "features": train[0], "labels": train[1].int(), "val_features": val[0], "val_labels": val[1].int(),
            "logits": F.linear(val[0], weight.double(), bias.double()),
            "fixed_logits": F.linear(val[0], fixed[0].double(), fixed[1].double()),
        },
        l2=l2,
    )  # fmt: skip


if __name__ == "__main__":
    for name, spec in NETWORKS.items():
        network_fixture(name, spec)
    for name, cases in CASES.items():
        gradient_fixture(name, NETWORKS[name], cases)
    probe_fixture()
    trajectory_fixture()
