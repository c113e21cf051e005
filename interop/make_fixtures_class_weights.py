"""Makes the fixture that holds class weights to PyTorch: the loss with its gradient, the linear probe, and runs of two
epochs on many images of one class and few of the others, the last batch of an epoch short.

    interop/.venv/bin/python interop/make_fixtures_class_weights.py

The loss is torch.nn.CrossEntropyLoss(weight=...) itself, the weights scikit-learn's "balanced". All in float64, stored
as f32.
"""

import torch
import torch.nn.functional as F

from make_fixtures_strategies import shuffled
from make_fixtures_training import NETWORKS, SRC, make_network, normalise, random_pixels, save
from selective_lora import Recipe, Run, SelectiveLora, balanced, linear_probe

CLASSES = 3
RUNS = {
    "lora": dict(method="lora", learning_rate=0.02),
    "selective": dict(learning_rate=0.02, score_learning_rate=0.06, budget=3),
    "full": dict(method="full", learning_rate=0.002, weight_decay=0.0),
    "linear": dict(method="linear"),
}
# Of the 80 images of trajectory.safetensors: every one of class 0, eight of class 1, three of class 2.
MOST = (80, 8, 3)


def loss_fixture():
    """A batch of six images and two rows of padding, which PyTorch is not given; class 3 has no image."""
    generator = torch.Generator().manual_seed(6)
    logits = (torch.randn(8, 4, generator=generator) * 2).float().double()
    labels = torch.tensor([0, 2, 0, 1, 0, 2, 0, 0])
    training = torch.tensor([0] * 30 + [1] * 2 + [2] * 7)
    weights = balanced(training, 4)
    seen = logits[:6].clone().requires_grad_()
    loss = torch.nn.CrossEntropyLoss(weight=weights)(seen, labels[:6])
    loss.backward()
    gradient = F.pad(seen.grad, (0, 0, 0, 2))
    return {
        "logits": logits, "labels": labels.int(), "training": training.int(), "weights": weights,
        "loss": loss, "gradient": gradient,
    }  # fmt: skip


def probe_fixture():
    generator = torch.Generator().manual_seed(9)
    centres = torch.randn(CLASSES, 12, generator=generator) * 0.7
    def draw(counts):
        labels = torch.repeat_interleave(torch.arange(CLASSES), torch.tensor(counts))
        return (centres[labels] + torch.randn(len(labels), 12, generator=generator)).float().double(), labels
    train, val = draw((90, 12, 5)), draw((30, 6, 4))
    weights = balanced(train[1], CLASSES)
    weight, bias, l2 = linear_probe(*train, CLASSES, val, weights)
    plain = linear_probe(*train, CLASSES, val)
    def recalls(w, b):
        answers = F.linear(val[0], w.double(), b.double()).argmax(1)
        return [round((answers[val[1] == c] == c).double().mean().item(), 2) for c in range(CLASSES)]
    print("probe l2", l2, "recalls", recalls(weight, bias), "unweighted", plain[2], recalls(*plain[:2]))
    return {
        "probe.features": train[0], "probe.labels": train[1].int(),
        "probe.val_features": val[0], "probe.val_labels": val[1].int(),
        "probe.logits": F.linear(val[0], weight.double(), bias.double()),
    }, l2  # fmt: skip


def trajectories():
    batch = 4
    network = make_network(NETWORKS["deit"])
    labels = torch.randint(0, CLASSES, (20, batch), generator=torch.Generator().manual_seed(0)).flatten()
    pixels = random_pixels(80, 77)
    tint = torch.tensor([[90, 0, 0], [0, 90, 0], [0, 0, 90]], dtype=torch.uint8)
    pixels = pixels // 4 + tint[labels][:, None, None, :]
    images = torch.cat([(labels == c).nonzero().flatten()[:most] for c, most in enumerate(MOST)]).sort().values
    labels, pixels = labels[images], pixels[images]
    weights = balanced(labels, CLASSES)
    each = -(-len(images) // batch)
    epochs = 2
    tensors, recipes = {"images": images.int()}, {}
    for name, values in RUNS.items():
        for seed in range(400):
            recipe = Recipe(**{
                **dict(rank=3, alpha=6.0, warmup=0.2, settle=0.2, batch=batch, weight_decay=0.05, granularity="matrix",
                       epochs=epochs, head_learning_rate=0.01, seed=seed, class_weights="balanced"), **values})  # fmt: skip
            tuned = SelectiveLora(network, CLASSES, recipe).double()
            generator = torch.Generator().manual_seed(2000 + seed)
            weight = (torch.randn(CLASSES, NETWORKS["deit"]["D"], generator=generator) / 8).float().double()
            tuned.head.weight.data, tuned.head.bias.data = weight.clone(), torch.zeros(CLASSES)
            start = {f"{name}.head.weight": weight}
            for key, site in tuned.sites.items():
                i, matrix = key.split("_")
                if hasattr(site, "lora_A"):
                    site.lora_A.data = site.lora_A.data.float().double()
                    start[f"{name}.layer.{i}.{matrix}.lora_A"] = site.lora_A.detach().clone()
            run = Run(tuned, recipe, each * epochs, weights)
            losses, apart = [], True
            for at in range(each * epochs):
                order = shuffled(len(images), seed, f"shuffle {at // each}")
                own = order[(at % each) * batch : (at % each + 1) * batch]
                losses.append(run.step(normalise(pixels[own]), labels[own]))
                if tuned.frozen is None:
                    ranked = tuned.scores.detach().sort(descending=True).values
                    count = run.left_open(at + 1)
                    apart = apart and (count >= len(ranked) or (ranked[count - 1] - ranked[count]).item() > 2e-4)
            if apart:
                break
        else:
            raise SystemExit(f"{name}: no seed keeps clear of what decides")
        print(name, "seed", seed, "losses", [round(v, 3) for v in losses])
        tensors |= start
        tensors[f"{name}.losses"] = torch.tensor(losses)
        tensors[f"{name}.final_head.weight"], tensors[f"{name}.final_head.bias"] = tuned.head.weight, tuned.head.bias
        recipes[name] = dict(
            method=recipe.method, select=recipe.select, granularity="matrix", targetModules="both", rank=recipe.rank,
            alpha=recipe.alpha, tau=recipe.tau, warmup=recipe.warmup, settle=recipe.settle, epochs=epochs, batch=batch,
            learningRate=recipe.learning_rate, fullLearningRate=recipe.learning_rate,
            headLearningRate=recipe.head_learning_rate, scoreLearningRate=recipe.score_learning_rate,
            weightDecay=recipe.weight_decay, augmentation="none", seed=seed, classWeights="balanced",
            budget="auto" if recipe.budget is None else str(recipe.budget), **{"lambda": recipe.lam},
        )  # fmt: skip
    return tensors, recipes


if __name__ == "__main__":
    probe, l2 = probe_fixture()
    runs, recipes = trajectories()
    save(
        SRC / "training" / "fixtures" / "class_weights.safetensors",
        loss_fixture() | probe | runs, l2=l2, recipes=recipes,
    )  # fmt: skip
