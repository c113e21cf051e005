"""Makes the fixtures of CLIP and SigLIP: what classifiers read of them, and the gradients through it.

    interop/.venv/bin/python interop/make_fixtures_clip.py

A small random CLIPModel and SiglipModel of transformers in float64, stored as f32 in safetensors under Selora's internal
names: for every pooling its features, and by autograd the gradient of the tokens that enter layer 0 and of every LoRA
matrix and gate, for the loss sum(features * given numbers).
"""

import json
import math
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPForImageClassification, CLIPModel
from transformers import SiglipConfig, SiglipForImageClassification, SiglipModel

from selective_lora import GatedLoRA

SRC = Path(__file__).resolve().parent.parent / "src"
MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
IMAGE, PATCH, LAYERS, LABELS = 16, 4, 2, 3
RANK, ALPHA = 2, 3.0
# Gates by block: attention and MLP of each layer.
OPEN = [1, 1, 0, 1]

torch.set_num_threads(1)


def randomise(model, seed):
    """Every weight anew, so that no bias is 0 and no norm is the identity; rounded to f32."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            noise = torch.randn(p.shape, generator=generator, dtype=torch.float64)
            if "norm" in name or "layrnorm" in name or ".ln_" in name or name.startswith("ln_"):
                p.copy_(noise * 0.2 + (1 if name.endswith("weight") else 0))
            elif "position" in name or "class_embedding" in name or "probe" in name:
                p.copy_(noise * 0.5)
            elif p.dim() < 2:
                p.copy_(noise * 0.1)
            else:
                p.copy_(noise / math.sqrt(p[0].numel()))
            p.copy_(p.float())
    return model.eval()


def vision(width, mlp, heads, **more):
    return dict(
        hidden_size=width, intermediate_size=mlp, num_hidden_layers=LAYERS, num_attention_heads=heads,
        image_size=IMAGE, patch_size=PATCH, attn_implementation="eager", **more,
    )  # fmt: skip


def text(width=16, **more):
    return dict(
        hidden_size=width, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2, vocab_size=40,
        max_position_embeddings=8, bos_token_id=38, eos_token_id=39, pad_token_id=1, **more,
    )  # fmt: skip


def clip_config(**more):
    return CLIPConfig(
        vision_config=vision(24, 48, 2, hidden_act="quick_gelu"), text_config=text(), projection_dim=20, **more
    )


def siglip_config(**more):
    return SiglipConfig(
        vision_config=vision(24, 40, 3, hidden_act="gelu_pytorch_tanh"), text_config=text(projection_size=24), **more
    )


def roles_of(tower, model):
    """-> {role: tensor}, as src/checkpoint/types.ts names them"""
    roles = {
        "patch_embed.weight": tower.embeddings.patch_embedding.weight.flatten(1),
        "pos_embed": tower.embeddings.position_embedding.weight,
    }

    def put(name, module):
        roles[f"{name}.weight"], roles[f"{name}.bias"] = module.weight, module.bias

    roles["patch_embed.bias"] = tower.embeddings.patch_embedding.bias
    if roles["patch_embed.bias"] is None:
        roles["patch_embed.bias"] = torch.zeros(roles["patch_embed.weight"].shape[0])
    for i, layer in enumerate(tower.encoder.layers):
        put(f"layer.{i}.norm1", layer.layer_norm1)
        put(f"layer.{i}.norm2", layer.layer_norm2)
        for matrix, (parent, name) in sites_of(layer).items():
            put(f"layer.{i}.{matrix}", getattr(parent, name))
    put("norm", tower.post_layernorm)
    if hasattr(tower.embeddings, "class_embedding"):
        roles["cls_token"] = tower.embeddings.class_embedding
        put("pre_norm", tower.pre_layrnorm)
        roles["projection.weight"] = model.visual_projection.weight
    else:
        head = tower.head
        roles["attention_pool.probe"] = head.probe.flatten()
        for n, part in enumerate("qkv"):
            roles[f"attention_pool.{part}.weight"] = head.attention.in_proj_weight.chunk(3)[n]
            roles[f"attention_pool.{part}.bias"] = head.attention.in_proj_bias.chunk(3)[n]
        put("attention_pool.o", head.attention.out_proj)
        put("attention_pool.norm", head.layernorm)
        put("attention_pool.fc1", head.mlp.fc1)
        put("attention_pool.fc2", head.mlp.fc2)
    return roles


def sites_of(layer):
    attention = {"q": "q_proj", "k": "k_proj", "v": "v_proj", "o": "out_proj"}
    parts = {matrix: (layer.self_attn, name) for matrix, name in attention.items()}
    return parts | {name: (layer.mlp, name) for name in ("fc1", "fc2")}


def random_pixels(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, IMAGE, IMAGE, 3), generator=generator, dtype=torch.uint8)


def normalise(pixels, mean=MEAN, std=STD):
    """uint8 [n, H, W, 3] -> [n, 3, H, W]"""
    x = (pixels.double() / 255 - torch.tensor(mean, dtype=torch.float64)) / torch.tensor(std, dtype=torch.float64)
    return x.permute(0, 3, 1, 2)


def poolings(model, tower):
    """-> {pooling: function of normalised pixels}; those that transformers computes are taken from it."""
    norm = tower.post_layernorm
    raw = lambda x: tower(x).last_hidden_state
    beside = lambda states: torch.cat([states[:, 0], states[:, 1:].mean(1)], 1)
    if hasattr(model, "visual_projection"):
        return {
            "cls": lambda x: tower(x).pooler_output,
            "projection": lambda x: model.get_image_features(x).pooler_output,
            "mean": lambda x: norm(raw(x))[:, 1:].mean(1),
            "cls-mean": lambda x: beside(norm(raw(x))),
            "mean-norm": lambda x: norm(raw(x)[:, 1:].mean(1)),
            "raw-mean": lambda x: raw(x)[:, 1:].mean(1),
        }
    # This tower ends in the norm itself.
    return {"mean": lambda x: raw(x).mean(1), "attention": lambda x: tower(x).pooler_output}


def save(path, tensors, **metadata):
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = {k: (t.detach().float() if t.is_floating_point() else t).contiguous().clone() for k, t in tensors.items()}
    # One entry: several would be written in random order, and the file would never be the same twice.
    save_file(stored, path, metadata={"fixture": json.dumps(metadata)})
    print(f"{path.relative_to(SRC)}: {path.stat().st_size} bytes")


def pooling_fixture(name, model, classifier, architecture):
    """`classifier` is transformers' image classifier of the family, whose logits must come from `architecture.pooling`."""
    tower = model.vision_model
    pixels = random_pixels(2, 5)
    x = normalise(pixels)
    roles = roles_of(tower, model)
    classifier.vision_model.load_state_dict(tower.state_dict())
    tensors = roles | {"pixels": pixels, "logits": classifier(x).logits}
    tensors |= {"head.weight": classifier.classifier.weight, "head.bias": classifier.classifier.bias}

    generator = torch.Generator().manual_seed(11)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64).float().double()
    plain = {pooling: f(x) for pooling, f in poolings(model, tower).items()}
    gates = [torch.tensor(float(g), dtype=torch.float64, requires_grad=True) for g in OPEN]
    sites = {}
    for i, layer in enumerate(tower.encoder.layers):
        for matrix, (parent, attribute) in sites_of(layer).items():
            site = GatedLoRA(getattr(parent, attribute), RANK, ALPHA, generator)
            site.lora_A.data = draw(RANK, site.base.in_features) / math.sqrt(site.base.in_features)
            site.lora_B.data = draw(site.base.out_features, RANK) / 2
            site.gate = gates[2 * i + (matrix in ("fc1", "fc2"))]
            sites[f"layer.{i}.{matrix}"] = site
            setattr(parent, attribute, site)
            tensors[f"layer.{i}.{matrix}.lora_A"] = site.lora_A
            tensors[f"layer.{i}.{matrix}.lora_B"] = site.lora_B
    model.requires_grad_(False)
    leaves = [p for site in sites.values() for p in (site.lora_A.requires_grad_(), site.lora_B.requires_grad_())]
    entry = {}

    def catch(_, args, kwargs):
        h = (args[0] if args else kwargs["hidden_states"]).detach().requires_grad_()
        entry["x"] = h
        return ((h, *args[1:]), kwargs) if args else ((), {**kwargs, "hidden_states": h})

    tower.encoder.layers[0].register_forward_pre_hook(catch, with_kwargs=True)
    for pooling, f in poolings(model, tower).items():
        for leaf in [*leaves, *gates]:
            leaf.grad = None
        features = f(x)
        given = draw(*features.shape)
        (features * given).sum().backward()
        at = f"{pooling}."
        tensors[f"{at}frozen"] = plain[pooling]
        tensors[f"{at}features"] = features
        tensors[f"{at}dfeatures"] = given
        tensors[f"{at}entry_gradient"] = entry["x"].grad.flatten(0, 1)
        tensors[f"{at}scores"] = torch.stack([g.grad for g in gates])
        for key, site in sites.items():
            tensors[f"{at}{key}.lora_A"], tensors[f"{at}{key}.lora_B"] = site.lora_A.grad, site.lora_B.grad
    save(
        SRC / "vit" / "fixtures" / f"{name}.safetensors", tensors, mean=MEAN, std=STD,
        poolings=list(plain), rank=RANK, alpha=ALPHA, open=OPEN,
        architecture=dict(
            imageSize=IMAGE, patchSize=PATCH, hiddenSize=24, layers=LAYERS, qkvBias=True,
            labels=["a", "b", "c"], **architecture,
        ),
    )  # fmt: skip


def main():
    torch.manual_seed(0)
    clip = randomise(CLIPModel(clip_config()).double(), 1)
    classifier = randomise(CLIPForImageClassification(clip_config(num_labels=LABELS)).double(), 2)
    pooling_fixture(
        "clip", clip, classifier,
        dict(heads=2, mlpSize=48, activation="quick_gelu", layerNormEps=1e-5, prefixTokens=1, preNorm=True,
             projectionSize=20, pooling="raw-mean", family="hf-vit"),
    )  # fmt: skip
    siglip = randomise(SiglipModel(siglip_config()).double(), 3)
    classifier = randomise(SiglipForImageClassification(siglip_config(num_labels=LABELS)).double(), 4)
    pooling_fixture(
        "siglip", siglip, classifier,
        dict(heads=3, mlpSize=40, activation="gelu_tanh", layerNormEps=1e-6, prefixTokens=0,
             attentionPool={"mlpSize": 40}, pooling="mean", family="hf-vit"),
    )  # fmt: skip


if __name__ == "__main__":
    main()
