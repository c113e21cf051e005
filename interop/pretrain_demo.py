"""Pre-trains the demo model from scratch: a ViTForImageClassification on the colour emoji sets.

    node demo/render.mjs --pretrain
    interop/.venv/bin/python interop/pretrain_demo.py --out public/demo/model

12 layers, 64x64 pixels, 8x8 patches, hidden 96. Trained on the training emoji of five colour sets (see
demo/render.mjs: the split is by emoji, so nothing held out was ever seen, by whichever artist). Two tasks at once:
the ten classes, and "which emoji is this?", over the training emoji and several hundred of no class, which asks the
features to agree on one thing drawn by five artists; its head is thrown away.

So that two busy cores are enough: it starts as 4 layers and is grown to 12 (every layer becomes three in a row, each
writing a third of what it wrote, so the function hardly changes); until the last part half of the patches are left out
of every picture; the matrices of the layers are trained by Muon, the rest by AdamW; and two processes of one thread
each average their gradients once a step. An exponential moving average of the weights is what is kept, the best of it
by accuracy on the validation emoji. The test emoji are scored once, at the end.

Writes what transformers' save_pretrained writes (legacy ViT names), in F16, with preprocessor_config.json.
"""

import argparse
import copy
import io
import json
import math
import socket
import time
import zipfile
from pathlib import Path

import numpy as np
import torch
import torch.distributed as distributed
import torch.nn.functional as F
from PIL import Image
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / ".cache" / "demo-pretrain"
MEAN = STD = 0.5
HIDDEN = 96
NO_CLASS = -100


def load_zip(path, classes):
    """-> list of (split, class index or NO_CLASS, emoji name, uint8 [3, 64, 64])"""
    rows = []
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            split, label, file = member.split("/")
            pixels = np.asarray(Image.open(io.BytesIO(archive.read(member))).convert("RGB"))
            rows.append((split, classes.index(label) if label in classes else NO_CLASS, file[:-4], pixels.transpose(2, 0, 1)))
    return rows


def load_data():
    """-> classes, {split: {set name: (pixels uint8 [n, 3, 64, 64], class [n], emoji name list)}}"""
    index = json.loads((DATA / "index.json").read_text())
    splits = {}
    for entry in index["sets"]:
        rows = load_zip(DATA / entry["file"], index["classes"])
        for split in ("train", "val", "test", "auxiliary"):
            part = [row for row in rows if row[0] == split]
            pixels = torch.from_numpy(np.stack([row[3] for row in part]))
            labels = torch.tensor([row[1] for row in part])
            splits.setdefault(split, {})[entry["name"]] = (pixels, labels, [row[2] for row in part])
    return index["classes"], splits


def augment(pixels, generator):
    """Random crop, turn, mirror, hue, saturation, contrast, brightness, a little erasing.

    uint8 [n, 3, 64, 64] -> float32 in [0, 1], same shape. White outside the picture. Grey and inverted pictures are
    never made: a model that had seen them would have nothing left to learn from the demo's target."""
    n = pixels.shape[0]
    def uniform(low, high, *shape):
        return torch.empty(n, *shape).uniform_(low, high, generator=generator)

    area, ratio = uniform(0.35, 1.25), torch.exp(uniform(-0.25, 0.25))
    half_w, half_h = torch.sqrt(area * ratio), torch.sqrt(area / ratio)
    mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    angle = uniform(-0.3, 0.3)
    shift_x, shift_y = [(1 - half).abs().clamp(min=0.1) * uniform(-1, 1) for half in (half_w, half_h)]
    cos, sin = torch.cos(angle), torch.sin(angle)
    theta = torch.stack(
        [torch.stack([mirror * half_w * cos, -half_h * sin, shift_x], 1),
         torch.stack([mirror * half_w * sin, half_h * cos, shift_y], 1)], 1)
    grid = F.affine_grid(theta, list(pixels.shape), align_corners=False)
    # Ink (1 - x), so that what lies outside the picture samples as white.
    x = 1 - F.grid_sample(1 - pixels.float() / 255, grid, mode="bilinear", padding_mode="zeros", align_corners=False)

    # Hue: a turn about the grey axis (Rodrigues), which leaves black, white and every grey as it was.
    turn = uniform(-0.6, 0.6) * (uniform(0, 1) < 0.6)
    c, s = torch.cos(turn), torch.sin(turn) / math.sqrt(3)
    third = (1 - c) / 3
    rotation = torch.stack([c + third, third - s, third + s,
                            third + s, c + third, third - s,
                            third - s, third + s, c + third], 1).view(n, 3, 3)
    x = torch.einsum("nij,njhw->nihw", rotation, x)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * uniform(0.6, 1.4, 1, 1, 1)
    x = (x - 1) * uniform(0.7, 1.2, 1, 1, 1) + 1
    x = x * uniform(0.85, 1.05, 1, 1, 1)

    size = uniform(8, 28).long()
    top, left = uniform(-10, 54).long(), uniform(-10, 54).long()
    rows = torch.arange(64)
    inside = lambda start: (rows >= start[:, None]) & (rows < (start + size)[:, None])
    hole = inside(top)[:, :, None] & inside(left)[:, None, :] & (uniform(0, 1, 1, 1) < 0.3)
    x = torch.where(hole[:, None], uniform(0, 1, 3, 1, 1), x)
    return x.clamp(0, 1)


def keep_patches(x, count, generator):
    """Which patches a picture is seen by: `count` of its 64 at random, one with nothing drawn in it a third as likely.

    x float [n, 3, 64, 64] -> int64 [n, count]"""
    patches = x.view(x.shape[0], 3, 8, 8, 8, 8).permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
    blank = patches.std(2) < 0.02
    chance = torch.where(blank, 1 / 3, 1.0)
    return torch.multinomial(chance, count, replacement=False, generator=generator)


def sine_positions(tokens, hidden):
    """2-D sine position embedding [1, 1 + tokens, hidden], the class token's all 0; where training starts from."""
    side, quarter = int(tokens ** 0.5), hidden // 4
    omega = 1 / 100 ** (torch.arange(quarter) / quarter)
    angle = torch.arange(side)[:, None] * omega
    one = torch.cat([angle.sin(), angle.cos()], 1)
    grid = torch.cat([one[:, None].expand(side, side, -1), one[None].expand(side, side, -1)], 2)
    return torch.cat([torch.zeros(1, hidden), grid.reshape(tokens, hidden)])[None]


def normalise(x):
    return (x - MEAN) / STD


@torch.no_grad()
def accuracy(model, parts):
    """Share of right answers over the sets together, and of each set."""
    model.eval()
    right, each = [], {}
    for name, (pixels, labels, _) in parts.items():
        logits = torch.cat([model(pixel_values=normalise(chunk.float() / 255)).logits for chunk in pixels.split(256)])
        hit = (logits.argmax(1) == labels).float()
        each[name] = round(100 * hit.mean().item(), 1)
        right.append(hit)
    return 100 * torch.cat(right).mean().item(), each


def save(model, out):
    half = copy.deepcopy(model).half()
    half.save_pretrained(out)
    ViTImageProcessor(size={"height": 64, "width": 64}, image_mean=[MEAN] * 3, image_std=[STD] * 3, resample=2).save_pretrained(out)


def build(classes, layers):
    config = ViTConfig(
        hidden_size=HIDDEN, num_hidden_layers=layers, num_attention_heads=3, intermediate_size=4 * HIDDEN, image_size=64,
        patch_size=8, num_labels=len(classes), id2label=dict(enumerate(classes)),
        label2id={label: i for i, label in enumerate(classes)}, layer_norm_eps=1e-6, attn_implementation="eager",
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    return ViTForImageClassification(config)


@torch.no_grad()
def grow(model, classes, factor):
    """Each layer becomes `factor` copies in a row, each writing 1 / factor of what it wrote."""
    grown = build(classes, factor * len(model.vit.layers))
    for part in ("embeddings", "layernorm"):
        getattr(grown.vit, part).load_state_dict(getattr(model.vit, part).state_dict())
    grown.classifier.load_state_dict(model.classifier.state_dict())
    for i, layer in enumerate(grown.vit.layers):
        layer.load_state_dict(model.vit.layers[i // factor].state_dict())
        for linear in (layer.attention.o_proj, layer.mlp.fc2):
            linear.weight /= factor
            linear.bias /= factor
    return grown


def smoothed(logits, truth):
    """Cross-entropy of each, label smoothing 0.1; 0 where the truth is NO_CLASS. -> [n]"""
    return F.cross_entropy(logits, truth, ignore_index=NO_CLASS, label_smoothing=0.1, reduction="none")


def average_gradients(parameters):
    flat = torch.cat([p.grad.flatten() for p in parameters])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    at = 0
    for p in parameters:
        p.grad.copy_(flat[at : at + p.numel()].view_as(p))
        at += p.numel()


def train(rank, workers, args, port):
    distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=workers)
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(1000 * args.seed + rank)

    classes, splits = load_data()
    parts = [splits[split][name] for split in ("train", "auxiliary") for name in splits[split]]
    pixels = torch.cat([part[0] for part in parts])
    labels = torch.cat([part[1] for part in parts])
    names = [name for part in parts for name in part[2]]
    identities = {name: i for i, name in enumerate(sorted(set(names)))}
    identity = torch.tensor([identities[name] for name in names])

    # 70 % of what is drawn is of the ten classes, a class by the root of its size; the rest is of no class.
    counts = torch.bincount(labels[labels >= 0], minlength=len(classes)).float()
    weight = torch.where(labels >= 0, counts[labels.clamp(min=0)].rsqrt(), torch.zeros(()))
    weight = torch.where(labels >= 0, 0.7 * weight / weight.sum(), 0.3 / (labels < 0).sum())
    say = print if rank == 0 else lambda *_, **__: None
    say(f"{len(names)} drawings, {len(identities)} emoji, {int((labels >= 0).sum())} drawings of {len(classes)} classes", flush=True)

    model = build(classes, 4)
    with torch.no_grad():
        model.vit.embeddings.position_embeddings.copy_(0.2 * sine_positions(64, HIDDEN))
    aux_head = torch.nn.Linear(HIDDEN, len(identities))
    torch.nn.init.normal_(aux_head.weight, std=0.02)

    shallow, deep, full = (round(images / args.batch) for images in (args.shallow, args.deep, args.full))
    steps, warm = shallow + deep + full, 80
    best, began, drawn, since = 0.0, time.time(), 0, time.time()
    for step in range(steps):
        if step == shallow:
            model = grow(average, classes, 3)
            since, drawn = time.time(), 0
        if step in (0, shallow):
            average = copy.deepcopy(model)
            matrices = [p for p in model.vit.layers.parameters() if p.ndim == 2]
            chosen = {id(p) for p in matrices}
            rest = [p for p in [*model.parameters(), *aux_head.parameters()] if id(p) not in chosen]
            muon = torch.optim.Muon(matrices, weight_decay=args.weight_decay)
            adamw = torch.optim.AdamW(rest, betas=(0.9, 0.98), weight_decay=args.weight_decay / 10)
        # Linear up at the start of each stage; level while shallow; linear to 0 once deep.
        start = 0 if step < shallow else shallow
        factor = min(1.0, (step - start + 1) / warm, (steps - step) / (deep + full))
        muon.param_groups[0]["lr"] = args.muon_lr * factor
        adamw.param_groups[0]["lr"] = args.adamw_lr * factor

        rows = torch.multinomial(weight, args.batch // workers, replacement=True, generator=generator)
        x = normalise(augment(pixels[rows], generator))
        # Mixup on every other step until the last part: two drawings over each other, and both answers in proportion.
        pair, share = torch.arange(len(rows)), torch.ones(len(rows))
        if step % 2 == 1 and step < shallow + deep:
            pair = torch.randperm(len(rows), generator=generator)
            share = torch.empty(len(rows)).uniform_(0.5, 1, generator=generator)
            x = torch.lerp(x[pair], x, share[:, None, None, None])
        tokens = model.vit.embeddings(x)
        if step < shallow + deep:
            kept = keep_patches(x, 32, generator) + 1
            kept = torch.cat([torch.zeros_like(kept[:, :1]), kept], 1)
            tokens = tokens.gather(1, kept[:, :, None].expand(-1, -1, HIDDEN))
        for layer in model.vit.layers:
            tokens = layer(tokens)
        feature = model.vit.layernorm(tokens)[:, 0]
        answers = model.classifier(feature), aux_head(feature)
        task, which = [
            (share * smoothed(logits, truth) + (1 - share) * smoothed(logits, truth[pair])).mean()
            for logits, truth in zip(answers, (labels[rows], identity[rows]))]
        (task + args.aux_weight * which).backward()
        average_gradients([*matrices, *rest])
        for optimiser in (muon, adamw):
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        with torch.no_grad():
            keep = min(0.997, (step - start + 1) / (step - start + 20))
            for slow, fast in zip(average.parameters(), model.parameters()):
                slow.lerp_(fast, 1 - keep)
        drawn += args.batch
        if (step + 1) % 100 == 0 or step + 1 == steps:
            if rank == 0:
                val, _ = accuracy(average, splits["val"])
                is_best = step >= shallow and val >= best
                best = val if is_best else best
                print(f"step {step + 1}/{steps} {len(model.vit.layers)} layers, task {task.item():.3f} which {which.item():.3f} "
                      f"val {val:.2f} best {best:.2f} {drawn / (time.time() - since):.0f} images/s "
                      f"{(time.time() - began) / 60:.1f} min", flush=True)
                if is_best:
                    save(average, args.out)
                elif step < shallow:
                    save(average, args.out.with_name(args.out.name + "-shallow"))
    distributed.destroy_process_group()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shallow", type=int, default=240_000, help="images drawn while it has 4 layers")
    parser.add_argument("--deep", type=int, default=130_000, help="images drawn after that, half of their patches left out")
    parser.add_argument("--full", type=int, default=24_000, help="images drawn at the end, whole")
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--muon-lr", type=float, default=0.01)
    parser.add_argument("--adamw-lr", type=float, default=1.5e-3)
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--aux-weight", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    torch.multiprocessing.spawn(train, (args.workers, args, port), nprocs=args.workers)

    classes, splits = load_data()
    model = ViTForImageClassification.from_pretrained(args.out, dtype=torch.float32)
    val, val_each = accuracy(model, splits["val"])
    test, test_each = accuracy(model, splits["test"])
    print(json.dumps({"val": round(val, 1), "val_each": val_each, "test": round(test, 1), "test_each": test_each}), flush=True)


if __name__ == "__main__":
    main()
