"""Writes a small checkpoint of every family in timm's names and of most in others', with what its own library makes of it.

    interop/.venv/bin/python interop/make_fixtures_families.py [NAME]...

Random weights. src/checkpoint/fixtures/families/NAME/ is what the library's own writer left, or for Meta's original
names (DINO, DINOv2, DINOv3) a state dict in those names that timm's own converter reads, and for MAE, MoCo v3, MSN,
I-JEPA and iBOT timm's state dict with what their training scripts put before and beside it; NAME.safetensors beside it has
pixels, what the classifier reads, logits, and by autograd the gradients of a LoRA on every matrix and of its gates.
Computed in float64. Position embeddings for another image size are interpolated as the family's own code does it:
scale factor with an offset of 0.1 for DINO and DINOv2, antialiased without it for DINOv2 with registers.
"""

import copy
import json
import math
import shutil
import sys
from pathlib import Path

import timm
import torch
import torch.nn.functional as F
import torchvision
from safetensors.torch import load_file, save_file
from timm.models._hub import save_for_hf
from transformers import (
    BitImageProcessorPil,
    Dinov2Config,
    Dinov2ForImageClassification,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersForImageClassification,
    DINOv3ViTConfig,
    DINOv3ViTModel,
    IJepaConfig,
    IJepaForImageClassification,
    ViTImageProcessorPil,
    ViTMAEConfig,
    ViTMAEForPreTraining,
    ViTMSNConfig,
    ViTMSNForImageClassification,
)

ROOT = Path(__file__).resolve().parent.parent / "src" / "checkpoint" / "fixtures" / "families"
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
D, HEADS, LAYERS, PATCH, CLASSES, RANK, ALPHA = 32, 2, 2, 4, 3, 2, 3.0
LABELS = ["axe", "bow", "cup"]

torch.set_num_threads(1)


def randomise(model, seed, dtype):
    """Every weight drawn anew and rounded to `dtype`, so that none is zero or one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            noise = torch.randn(p.shape, generator=generator)
            last = name.split(".")[-1]
            if "norm" in name and last == "weight":
                p.copy_(1 + 0.2 * noise)
            elif last in ("gamma", "lambda1", "gamma_1", "gamma_2"):
                p.copy_(0.5 + 0.3 * noise)
            elif p.dim() == 1:
                p.copy_(0.1 * noise)
            elif "embed" in name and "proj" not in name or "token" in name:
                p.copy_(0.5 * noise)
            else:
                p.copy_(noise / math.sqrt(p[0].numel()))
            p.copy_(p.to(dtype))
    return model.eval()


def pixels_of(size, seed):
    return torch.randint(0, 256, (2, size, size, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def normalised(pixels):
    return ((pixels.double() / 255 - torch.tensor(MEAN)) / torch.tensor(STD)).permute(0, 3, 1, 2)


class Reads(torch.nn.Module):
    """A model as what its classifier reads."""

    def __init__(self, model, pooled):
        super().__init__()
        self.model, self.pooled = model, pooled

    def forward(self, x):
        return self.pooled(self.model, x)


def gradients(model, pooled, x, places, seed):
    """LoRA over every matrix, all gates open: -> tensors by name. `places(layer, matrix)` are the parameters that hold
    a matrix and the rows they hold, as (parameter, first row, first row of the matrix, rows)."""
    generator = torch.Generator().manual_seed(seed)
    reads = Reads(model, pooled)
    parameters = {name: p.detach() for name, p in reads.named_parameters()}
    tensors, leaves = {}, {}
    for layer in range(LAYERS):
        for matrix in ("q", "k", "v", "o", "fc1", "fc2"):
            held = places(layer, matrix)
            rows = sum(n for *_, n in held)
            columns = parameters["model." + held[0][0]].shape[1]
            A = torch.randn(RANK, columns, generator=generator).div(math.sqrt(columns)).double().requires_grad_()
            B = torch.randn(rows, RANK, generator=generator).div(math.sqrt(RANK)).double().requires_grad_()
            g = torch.ones((), dtype=torch.float64, requires_grad=True)
            leaves[f"layer.{layer}.{matrix}"] = A, B, g
            for name, at, row, n in held:
                name = "model." + name
                around = torch.zeros_like(parameters[name])
                change = g * (ALPHA / RANK) * B[row : row + n] @ A
                parameters[name] = parameters[name] + torch.cat([around[:at], change, around[at + n :]])
    features = torch.func.functional_call(reads, parameters, (x,))
    dpooled = torch.randn(features.shape, generator=generator).float().double()
    (features * dpooled).sum().backward()
    tensors["dpooled"] = dpooled
    scores = []
    for name, (A, B, g) in leaves.items():
        tensors |= {f"{name}.lora_A": A, f"{name}.lora_B": B}
        tensors |= {f"{name}.lora_A.grad": A.grad, f"{name}.lora_B.grad": B.grad}
        scores.append(g.grad)
    tensors["scores.grad"] = torch.stack(scores)
    return tensors


def save(name, model, pooled, logits, size, places, seed, facts=None):
    model = model.double().eval()
    pixels = pixels_of(size, seed)
    x = normalised(pixels)
    with torch.no_grad():
        tensors = {"pixels": pixels, "pooled": pooled(model, x)}
        if logits is not None:
            tensors["logits"] = logits(model, x)
    tensors |= gradients(model, pooled, x, places, seed)
    stored = {k: (t.detach().float() if t.is_floating_point() else t).contiguous().clone() for k, t in tensors.items()}
    path = ROOT / f"{name}.safetensors"
    save_file(stored, path, metadata={"fixture": json.dumps({"rank": RANK, "alpha": ALPHA, **(facts or {})})})
    total = sum(f.stat().st_size for f in (ROOT / name).iterdir())
    print(f"{name}: {total} bytes, expected {path.stat().st_size}")


def folder(name):
    path = ROOT / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def rows(parameter, n, at=0, row=0):
    return (parameter, at, row, n)


# timm, and the original names that are read through it


def timm_places(M, gated=None):
    """`gated`: None for one fc1 of any kind, else the two halves' names."""

    def places(i, matrix):
        if matrix in "qkv":
            return [rows(f"blocks.{i}.attn.qkv.weight", D, at="qkv".index(matrix) * D)]
        if matrix == "o":
            return [rows(f"blocks.{i}.attn.proj.weight", D)]
        if matrix == "fc2":
            return [rows(f"blocks.{i}.mlp.fc2.weight", D)]
        if gated:
            return [rows(f"blocks.{i}.mlp.{half}.weight", M, row=n * M) for n, half in enumerate(gated)]
        return [rows(f"blocks.{i}.mlp.fc1.weight", M)]

    return places


def timm_pooled(model, x):
    return model.forward_head(model.forward_features(x), pre_logits=True)


def timm_model(name, **changes):
    arguments = dict(num_classes=CLASSES, img_size=16, patch_size=PATCH, embed_dim=D, depth=LAYERS, num_heads=HEADS, mlp_ratio=2)
    return timm.create_model(name, **{**arguments, **changes})


def timm_fixture(name, constructor, seed, dtype=torch.float32, M=2 * D, gated=None, pooled=timm_pooled, **changes):
    model = randomise(timm_model(constructor, **changes), seed, dtype)
    path = folder(name)
    model.to(dtype)
    data = dict(input_size=(3, 16, 16))
    save_for_hf(model, path, model_config={"label_names": LABELS}, data_config=data, safe_serialization=True)
    model.double()
    save(name, model, pooled, lambda m, x: m(x), 16, timm_places(M, gated), seed)


def distilled_pooled(model, x):
    return model.forward_features(x)[:, 0]


# Meta's original names


def resized(pos, side, offset, antialias):
    """Position embeddings [1, 1 + n², D] for side² patches, as the original code does it."""
    n = math.isqrt(pos.shape[1] - 1)
    grid = pos[:, 1:].reshape(1, n, n, -1).permute(0, 3, 1, 2)
    how = dict(scale_factor=(side + offset) / n) if offset else dict(size=(side, side))
    grid = F.interpolate(grid, mode="bicubic", antialias=antialias, **how)
    assert grid.shape[-1] == side
    return torch.cat([pos[:, :1], grid.permute(0, 2, 3, 1).reshape(1, side * side, -1)], 1)


def original_fixture(name, constructor, renames, seed, dtype, side, offset, antialias, M=2 * D, **changes):
    """A DINO or DINOv2 whose grid is 5 x 5, for images of `side` patches."""
    model = randomise(timm_model(constructor, img_size=20, num_classes=0, **changes), seed, dtype)
    state = {}
    generator = torch.Generator().manual_seed(seed)
    for key, value in model.state_dict().items():
        for old, new in renames.items():
            key = key.replace(old, new)
        state[key] = value.clone()
    cls_only = state["pos_embed"].shape[1] == 25
    if cls_only:
        # timm folds the CLS token's position into the token
        first = torch.randn(1, 1, D, generator=generator).to(dtype).float()
        state["pos_embed"] = torch.cat([first, state["pos_embed"]], 1)
        state["cls_token"] = (state["cls_token"] - first).to(dtype).float()
    if renames:
        state["mask_token"] = torch.randn(1, D, generator=generator).to(dtype).float()
    path = folder(name)
    save_file({k: v.to(dtype).contiguous() for k, v in state.items()}, path / "model.safetensors")

    # What timm's own converter makes of these names is the reference, with the positions of the smaller image.
    small = timm_model(constructor, img_size=side * PATCH, num_classes=0, **changes).double()
    state["pos_embed"] = resized(state["pos_embed"].double(), side, offset, antialias)
    converted = timm.models.vision_transformer.checkpoint_filter_fn({k: v.double() for k, v in state.items()}, small)
    small.load_state_dict(converted, strict=True)

    def pooled(m, x):
        tokens = m.forward_features(x)
        if not renames:
            return tokens[:, 0]
        return torch.cat([tokens[:, 0], tokens[:, m.num_prefix_tokens :].mean(1)], 1)

    save(name, small, pooled, None, side * PATCH, timm_places(M), seed)


def dinov3_fixture(name, constructor, seed, dtype, M=2 * D, gated=None):
    """DINOv3 in Meta's names: a bias mask, storage tokens, periods."""
    model = randomise(timm_model(constructor, num_classes=0, global_pool="token"), seed, dtype)
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, value in model.state_dict().items():
        for old, new in {
            "reg_token": "storage_tokens", "gamma_1": "ls1.gamma", "gamma_2": "ls2.gamma",
            "mlp.fc1_g": "mlp.w1", "mlp.fc1_x": "mlp.w2",
        }.items():  # fmt: skip
            key = key.replace(old, new)
        if gated:
            key = key.replace("mlp.fc2", "mlp.w3")
        state[key] = value.clone()
    for i in range(LAYERS):
        q, v = (state.pop(f"blocks.{i}.attn.{part}_bias") for part in "qv")
        masked = torch.randn(D, generator=generator).to(dtype).float()
        state[f"blocks.{i}.attn.qkv.bias"] = torch.cat([q, masked, v])
        state[f"blocks.{i}.attn.qkv.bias_mask"] = torch.cat([torch.ones(D), torch.zeros(D), torch.ones(D)])
    state["mask_token"] = torch.randn(1, D, generator=generator).to(dtype).float()
    quarter = D // HEADS // 4
    state["rope_embed.periods"] = 100.0 ** (torch.arange(quarter) / quarter)
    path = folder(name)
    save_file({k: v.to(dtype).contiguous() for k, v in state.items()}, path / "model.safetensors")
    converted = timm.models.eva.checkpoint_filter_fn({k: v.clone() for k, v in state.items()}, model)
    again = timm_model(constructor, num_classes=0, global_pool="token")
    again.load_state_dict(converted, strict=True)
    save(name, again, timm_pooled, None, 16, timm_places(M, gated), seed)


# What was trained by itself, in timm's names


def tensors_beside(names, seed, dtype):
    """What only training needed: {name: shape} -> tensors"""
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator).to(dtype) for name, shape in names.items()}


def self_supervised_fixture(name, prefix, beside, seed, dtype, pooled=distilled_pooled, **changes):
    """timm's network under `prefix`, and other tensors of the training script beside it."""
    model = randomise(timm_model("vit_small_patch16_224", num_classes=0, **changes), seed, dtype)
    state = {prefix + key: value.to(dtype) for key, value in model.state_dict().items()}
    path = folder(name)
    save_file(state | tensors_beside(beside, seed, dtype), path / "model.safetensors")
    save(name, model, pooled, None, 16, timm_places(2 * D), seed)


# torchvision


def torchvision_pooled(model, x):
    patches = model._process_input(x)
    return model.encoder(torch.cat([model.class_token.expand(len(x), -1, -1), patches], 1))[:, 0]


def torchvision_fixture(name, seed, dtype):
    model = torchvision.models.VisionTransformer(
        image_size=16, patch_size=PATCH, num_layers=LAYERS, num_heads=HEADS, hidden_dim=D, mlp_dim=2 * D, num_classes=CLASSES
    )  # fmt: skip
    randomise(model, seed, dtype)
    path = folder(name)
    save_file({k: v.to(dtype) for k, v in model.state_dict().items()}, path / "model.safetensors")

    def places(i, matrix):
        layer = f"encoder.layers.encoder_layer_{i}."
        if matrix in "qkv":
            return [rows(f"{layer}self_attention.in_proj_weight", D, at="qkv".index(matrix) * D)]
        name = {"o": "self_attention.out_proj", "fc1": "mlp.0", "fc2": "mlp.3"}[matrix]
        return [rows(f"{layer}{name}.weight", 2 * D if matrix == "fc1" else D)]

    save(name, model, torchvision_pooled, lambda m, x: m(x), 16, places, seed)


# transformers


def encoder_fixture(name, config, model_class, body, pooled, seed, dtype):
    """A ViT of transformers under another name: MAE, MSN, I-JEPA. `body` is its backbone's name."""
    labels = model_class is not ViTMAEForPreTraining
    if labels:
        config.id2label = dict(enumerate(LABELS))
        config.label2id = {label: i for i, label in enumerate(LABELS)}
    model = randomise(model_class(config), seed, dtype)
    path = folder(name)
    model.to(dtype).save_pretrained(path)
    processor = ViTImageProcessorPil(size={"height": 16, "width": 16}, resample=3, image_mean=MEAN, image_std=STD)
    if labels:
        processor.save_pretrained(path)
    else:
        # As transformers 5 writes the processor of a model with several.
        json.dump({"image_processor": processor.to_dict(), "processor_class": "Any"}, (path / "processor_config.json").open("w"))
    model.double()
    # All patches, in their order.
    config.mask_ratio = 0.0

    def places(i, matrix):
        name = f"attention.{matrix}_proj" if matrix in "qkvo" else f"mlp.{matrix}"
        return [rows(f"{body}.layers.{i}.{name}.weight", 2 * D if matrix == "fc1" else D)]

    save(name, model, pooled, (lambda m, x: m(x).logits) if labels else None, 16, places, seed)


def mae_pooled(model, x):
    noise = torch.arange(16.0).repeat(len(x), 1)
    return model.vit(x, noise=noise).last_hidden_state[:, 0]


def dinov2_places(prefix, M, swiglu):
    def places(i, matrix):
        layer = f"{prefix}encoder.layer.{i}."
        if matrix in "qkvo":
            return [rows(f"{layer}attention.{matrix}_proj.weight", D)]
        if swiglu:
            names = {"fc1": ["gate_proj", "up_proj"], "fc2": ["down_proj"]}[matrix]
            n = M if matrix == "fc1" else D
            return [rows(f"{layer}mlp.{name}.weight", n, row=k * n) for k, name in enumerate(names)]
        return [rows(f"{layer}mlp.{matrix}.weight", M if matrix == "fc1" else D)]

    return places


def hf_settings():
    return dict(hidden_size=D, num_hidden_layers=LAYERS, num_attention_heads=HEADS, patch_size=PATCH)


def dinov2_fixture(name, config, model_class, seed, dtype, M):
    """Grid 5 x 5, images of 3 x 3 patches."""
    config.id2label = dict(enumerate(LABELS))
    config.label2id = {label: i for i, label in enumerate(LABELS)}
    model = randomise(model_class(config), seed, dtype)
    path = folder(name)
    model.to(dtype).save_pretrained(path)
    processor = BitImageProcessorPil(
        size={"shortest_edge": 14}, crop_size={"height": 12, "width": 12}, image_mean=MEAN, image_std=STD
    )
    processor.save_pretrained(path)
    model.double()
    classifier = hasattr(model, "classifier")
    body = (lambda m: next(m.children())) if classifier else (lambda m: m)
    ahead = 1 + getattr(config, "num_register_tokens", 0)

    def pooled(m, x):
        tokens = body(m)(x).last_hidden_state
        return torch.cat([tokens[:, 0], tokens[:, ahead:].mean(1)], 1)

    prefix = next(n for n, _ in model.named_children()) + "." if classifier else ""
    logits = (lambda m, x: m(x).logits) if classifier else None
    save(name, model, pooled, logits, 12, dinov2_places(prefix, M, config.use_swiglu_ffn), seed)


def hf_dinov3_fixture(name, seed, dtype, M, gated):
    config = DINOv3ViTConfig(
        **hf_settings(), intermediate_size=M, image_size=16, num_register_tokens=4, use_gated_mlp=gated,
        hidden_act="silu" if gated else "gelu",
    )  # fmt: skip
    model = randomise(DINOv3ViTModel(config), seed, dtype)
    path = folder(name)
    # A copy, because the frequencies of its rotary positions would be rounded too.
    copy.deepcopy(model).to(dtype).save_pretrained(path)
    # The class's own defaults, at another size.
    json.dump(
        {
            "image_processor_type": "DINOv3ViTImageProcessorFast", "do_resize": True, "do_rescale": True,
            "do_normalize": True, "size": {"height": 16, "width": 16}, "resample": 2, "rescale_factor": 1 / 255,
            "image_mean": MEAN, "image_std": STD,
        },  # fmt: skip
        (path / "preprocessor_config.json").open("w"),
    )
    model.double()

    def places(i, matrix):
        layer = f"model.layer.{i}."
        if matrix in "qkvo":
            return [rows(f"{layer}attention.{matrix}_proj.weight", D)]
        names = {"fc1": ["gate_proj", "up_proj"] if gated else ["up_proj"], "fc2": ["down_proj"]}[matrix]
        n = M if matrix == "fc1" else D
        return [rows(f"{layer}mlp.{part}.weight", n, row=k * n) for k, part in enumerate(names)]

    save(name, model, lambda m, x: m(x).pooler_output, None, 16, places, seed)


half = torch.float16
dinov2_names = {"reg_token": "register_tokens"}
giant_names = {**dinov2_names, "mlp.fc1": "mlp.w12", "mlp.fc2": "mlp.w3"}
HALVES = ("fc1_g", "fc1_x")
FIXTURES = {
    "timm-vit": lambda name: timm_fixture(name, "vit_tiny_patch16_224", 1),
    "timm-avg": lambda name: timm_fixture(name, "vit_tiny_patch16_224", 2, half, global_pool="avg", reg_tokens=2),
    "timm-distilled": lambda name: timm_fixture(
        name, "deit_tiny_distilled_patch16_224", 3, half, pooled=distilled_pooled
    ),
    "timm-reg4": lambda name: timm_fixture(name, "vit_small_patch14_reg4_dinov2", 4, half),
    "timm-giant": lambda name: timm_fixture(name, "vit_giant_patch14_dinov2", 5, half, M=96, mlp_ratio=3),
    "timm-dinov3": lambda name: timm_fixture(name, "vit_small_patch16_dinov3", 6, half),
    "timm-dinov3-plus": lambda name: timm_fixture(
        name, "vit_small_plus_patch16_dinov3_qkvb", 7, M=48, mlp_ratio=1.5, gated=HALVES, global_pool="token"
    ),
    "dino_vitsmall4": lambda name: original_fixture(name, "vit_small_patch16_224", {}, 8, torch.float32, 3, 0.1, False),
    "dinov2": lambda name: original_fixture(
        name, "vit_small_patch14_dinov2", dinov2_names, 9, torch.float32, 3, 0.1, False
    ),
    "dinov2-giant-registers": lambda name: original_fixture(
        name, "vit_giant_patch14_reg4_dinov2", giant_names, 10, half, 3, 0, True, M=96, mlp_ratio=3
    ),
    "dinov3": lambda name: dinov3_fixture(name, "vit_small_patch16_dinov3_qkvb", 11, torch.float32),
    "dinov3-plus": lambda name: dinov3_fixture(
        name, "vit_small_plus_patch16_dinov3_qkvb", 12, half, gated=HALVES
    ),
    "hf-dinov2": lambda name: dinov2_fixture(
        name, Dinov2Config(**hf_settings(), mlp_ratio=2, image_size=20), Dinov2ForImageClassification, 13, torch.float32, 64
    ),
    "hf-dinov2-giant": lambda name: dinov2_fixture(
        name, Dinov2Config(**hf_settings(), mlp_ratio=2, image_size=20, use_swiglu_ffn=True), Dinov2Model, 14, half, 48
    ),
    "hf-dinov2-registers": lambda name: dinov2_fixture(
        name,
        Dinov2WithRegistersConfig(**hf_settings(), mlp_ratio=2, image_size=20, num_register_tokens=4),
        Dinov2WithRegistersForImageClassification, 15, half, 64,
    ),  # fmt: skip
    "hf-dinov3": lambda name: hf_dinov3_fixture(name, 16, torch.float32, 64, False),
    "hf-dinov3-gated": lambda name: hf_dinov3_fixture(name, 17, half, 48, True),
    "timm-clip": lambda name: timm_fixture(name, "vit_base_patch16_clip_quickgelu_224", 18, half),
    "timm-gap": lambda name: timm_fixture(
        name, "vit_medium_patch16_reg4_gap_256", 19, half, class_token=False, reg_tokens=2, init_values=None
    ),
    "timm-mean": lambda name: timm_fixture(
        name, "vit_base_patch16_224", 20, half, class_token=False, global_pool="avg", fc_norm=False
    ),
    "mae_vit": lambda name: self_supervised_fixture(
        name, "", {"mask_token": [1, 1, 8], "decoder_pos_embed": [1, 17, 8], "decoder_embed.weight": [8, D],
        "decoder_embed.bias": [8], "decoder_blocks.0.norm1.weight": [8], "decoder_norm.weight": [8],
        "decoder_pred.weight": [48, 8]}, 21, torch.float32,
    ),
    "moco_vit": lambda name: self_supervised_fixture(
        name, "module.base_encoder.", {"module.momentum_encoder.cls_token": [1, 1, D], "module.base_encoder.head.0.weight": [8, D],
        "module.base_encoder.head.1.running_mean": [8], "module.predictor.0.weight": [8, 8]}, 22, half,
    ),
    "msn_vit": lambda name: self_supervised_fixture(
        name, "module.", {"module.fc.fc1.weight": [8, D], "module.fc.fc1.bias": [8], "module.fc.bn1.running_mean": [8]}, 23, half,
    ),
    "ijepa_vit": lambda name: self_supervised_fixture(
        name, "target_encoder.module.", {"predictor.module.mask_token": [1, 1, 8], "predictor.module.predictor_embed.weight": [8, D]},
        24, half, pooled=timm_pooled, class_token=False, global_pool="avg", fc_norm=False,
    ),
    "ibot_vit": lambda name: self_supervised_fixture(
        name, "", {"masked_embed": [1, D], "head.mlp.0.weight": [8, D], "head.last_layer2.weight_g": [8, 1]}, 25, half,
    ),
    "torchvision": lambda name: torchvision_fixture(name, 26, half),
    "hf-mae": lambda name: encoder_fixture(
        name, ViTMAEConfig(**hf_settings(), intermediate_size=2 * D, image_size=16, decoder_hidden_size=8,
        decoder_num_hidden_layers=1, decoder_num_attention_heads=1, decoder_intermediate_size=8),
        ViTMAEForPreTraining, "vit", mae_pooled, 27, half,
    ),
    "hf-msn": lambda name: encoder_fixture(
        name, ViTMSNConfig(**hf_settings(), intermediate_size=2 * D, image_size=16), ViTMSNForImageClassification,
        "vit", lambda m, x: m.vit(x).last_hidden_state[:, 0], 28, half,
    ),
    "hf-ijepa": lambda name: encoder_fixture(
        name, IJepaConfig(**hf_settings(), intermediate_size=2 * D, image_size=16), IJepaForImageClassification,
        "ijepa", lambda m, x: m.ijepa(x).last_hidden_state.mean(1), 29, half,
    ),  # fmt: skip
}

if __name__ == "__main__":
    for name in sys.argv[1:] or FIXTURES:
        FIXTURES[name](name)
