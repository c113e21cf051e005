"""Writes the small CLIP and SigLIP checkpoints that the family tables are tested on, with what their libraries make of
them.

    interop/.venv/bin/python interop/make_fixtures_clip_files.py

Random weights, real writers: transformers' save_pretrained, and open_clip's and timm's own modules with their state dict
saved beside the config.json their Hub pages have. clip.json says where each folder's features stand in
clip_features.safetensors: `{folder}/{pooling}`, computed by the library in f32 from the same two images.
"""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import (
    CLIPConfig,
    CLIPForImageClassification,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    CLIPVisionModelWithProjection,
    SiglipConfig,
    SiglipForImageClassification,
    SiglipImageProcessorPil,
    SiglipModel,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from make_fixtures_clip import MEAN, STD, normalise, random_pixels, randomise
from tiny_open_clip import SIGLIP_TRUNK, open_clip

ROOT = Path(__file__).resolve().parent.parent / "src" / "checkpoint" / "fixtures"
IMAGE, PATCH, WIDTH, MLP, HEADS, LAYERS, SHARED = 16, 4, 16, 24, 2, 2, 12
HALF = [0.5, 0.5, 0.5]
OF_CLIP, OF_SIGLIP = (MEAN, STD), (HALF, HALF)
LABELS = {0: "cat", 1: "dog", 2: "été"}


def vision(**more):
    return dict(
        hidden_size=WIDTH, intermediate_size=MLP, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        image_size=IMAGE, patch_size=PATCH, **more,
    )  # fmt: skip


def text(**more):
    return dict(
        hidden_size=8, intermediate_size=12, num_hidden_layers=1, num_attention_heads=2, vocab_size=40,
        max_position_embeddings=8, bos_token_id=38, eos_token_id=39, pad_token_id=1, **more,
    )  # fmt: skip


def labels():
    return dict(id2label=LABELS, label2id={label: i for i, label in LABELS.items()})


def clip(**more):
    return CLIPConfig(
        vision_config=vision(hidden_act="quick_gelu", projection_dim=SHARED), text_config=text(projection_dim=SHARED),
        projection_dim=SHARED, **more,
    )  # fmt: skip


def siglip(**more):
    return SiglipConfig(
        vision_config=vision(hidden_act="gelu_pytorch_tanh"), text_config=text(projection_size=WIDTH), **more
    )


FEATURES = {}


def record(name, model, statistics, **functions):
    """The model as it was saved, in f32, on the two images."""
    x = normalise(random_pixels(2, 9), *statistics).float()
    with torch.no_grad():
        for pooling, f in functions.items():
            FEATURES[f"{name}/{pooling.replace('_', '-')}"] = f(x).float().contiguous().clone()


def folder(name):
    path = ROOT / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def huggingface(name, model, processor, statistics, **functions):
    path = folder(name)
    model.save_pretrained(path)
    if processor is not None:
        processor.save_pretrained(path)
    (path / "model.safetensors").chmod(0o644)
    record(name, model.float(), statistics, **functions)


def foreign(name, weights, model, configs, statistics, **functions):
    path = folder(name)
    state = {key: value.contiguous().clone() for key, value in model.state_dict().items()}
    save_file(state, path / weights, metadata={"format": "pt"})
    for file, config in configs.items():
        (path / file).write_text(json.dumps(config, indent=2) + "\n")
    record(name, model.float(), statistics, **functions)


def clips():
    cut = lambda: CLIPImageProcessorPil(
        size={"shortest_edge": IMAGE}, crop_size={"height": IMAGE, "width": IMAGE}
    )
    both = lambda m: dict(
        projection=lambda x: m.get_image_features(x).pooler_output,
        cls=lambda x: m.vision_model(x).pooler_output,
        raw_mean=lambda x: m.vision_model(x).last_hidden_state[:, 1:].mean(1),
    )
    m = randomise(CLIPModel(clip()), 1)
    huggingface("clip", m, cut(), OF_CLIP, **both(m))
    m = randomise(CLIPModel(clip()), 2).half()
    huggingface("clip-f16", m, cut(), OF_CLIP, **both(m))
    m = randomise(CLIPVisionModel(CLIPVisionConfig(**vision(hidden_act="gelu"))), 3)
    huggingface("clip-vision", m, cut(), OF_CLIP, cls=lambda x: m(x).pooler_output)
    m = randomise(CLIPVisionModelWithProjection(CLIPVisionConfig(**vision(projection_dim=SHARED))), 4)
    huggingface("clip-vision-projection", m, None, OF_CLIP, projection=lambda x: m(x).image_embeds)
    m = randomise(CLIPForImageClassification(clip(**labels())), 5)
    huggingface("clip-classifier", m, cut(), OF_CLIP, logits=lambda x: m(x).logits)


def siglips():
    squash = lambda: SiglipImageProcessorPil(size={"height": IMAGE, "width": IMAGE})
    m = randomise(SiglipModel(siglip()), 6)
    huggingface(
        "siglip", m, squash(), OF_SIGLIP,
        attention=lambda x: m.get_image_features(x).pooler_output,
        mean=lambda x: m.vision_model(x).last_hidden_state.mean(1),
    )  # fmt: skip
    m2 = randomise(SiglipVisionModel(SiglipVisionConfig(**vision())), 7)
    huggingface("siglip-vision", m2, None, OF_SIGLIP, attention=lambda x: m2(x).pooler_output)
    m3 = randomise(SiglipForImageClassification(siglip(**labels())), 8)
    huggingface("siglip-classifier", m3, squash(), OF_SIGLIP, logits=lambda x: m3(x).logits)


def open_clips():
    vision_cfg = dict(image_size=IMAGE, layers=LAYERS, width=WIDTH, head_width=WIDTH // HEADS, patch_size=PATCH, mlp_ratio=MLP / WIDTH)
    text_cfg = dict(context_length=8, vocab_size=40, width=8, heads=2, layers=1)
    preprocess = dict(mean=MEAN, std=STD, interpolation="bicubic", resize_mode="shortest")
    for name, seed, quick in (("open-clip", 10, False), ("openai-clip", 11, True)):
        m = randomise(open_clip.CLIP(SHARED, vision_cfg, text_cfg, quick_gelu=quick), seed)
        model_cfg = dict(embed_dim=SHARED, vision_cfg=vision_cfg, text_cfg=text_cfg) | ({"quick_gelu": True} if quick else {})
        configs = {"open_clip_config.json": dict(model_cfg=model_cfg, preprocess_cfg=preprocess)}
        # OpenAI's own file has no configuration beside it.
        foreign(
            name, "open_clip_model.safetensors", m, {} if quick else configs, OF_CLIP,
            projection=lambda x: m.encode_image(x),
        )  # fmt: skip
    vision_cfg = dict(image_size=IMAGE, timm_model_name=SIGLIP_TRUNK, timm_model_pretrained=False, timm_pool="map", timm_proj="none")
    text_cfg |= dict(no_causal_mask=True, proj_bias=True, pool_type="last", norm_kwargs={"eps": 1e-6})
    m = randomise(open_clip.CustomTextCLIP(WIDTH, vision_cfg, text_cfg, init_logit_bias=-10), 12)
    config = dict(
        model_cfg=dict(embed_dim=WIDTH, init_logit_bias=-10, custom_text=True, vision_cfg=vision_cfg, text_cfg=text_cfg),
        preprocess_cfg=dict(mean=HALF, std=HALF, interpolation="bicubic", resize_mode="squash"),
    )
    foreign(
        "open-clip-siglip", "open_clip_model.safetensors", m, {"open_clip_config.json": config}, OF_SIGLIP,
        attention=lambda x: m.encode_image(x),
    )  # fmt: skip
    trunk = m.visual.trunk
    # What timm's Hub pages of SigLIP hold: the image tower alone.
    config = dict(
        architecture=SIGLIP_TRUNK, num_classes=0, num_features=WIDTH, global_pool="map",
        pretrained_cfg=dict(
            input_size=[3, IMAGE, IMAGE], fixed_input_size=True, interpolation="bicubic", crop_pct=0.9,
            crop_mode="center", mean=HALF, std=HALF, num_classes=0, first_conv="patch_embed.proj", classifier="head",
        ),
    )  # fmt: skip
    foreign("timm-siglip", "model.safetensors", trunk, {"config.json": config}, OF_SIGLIP, attention=lambda x: trunk(x))


def main():
    torch.set_num_threads(1)
    clips()
    siglips()
    open_clips()
    FEATURES["pixels"] = random_pixels(2, 9)
    save_file(FEATURES, ROOT / "clip_features.safetensors")
    for path in sorted(ROOT.glob("*")):
        if any(part in path.name for part in ("clip", "siglip")):
            files = [path] if path.is_file() else sorted(path.iterdir())
            print(path.name, sum(file.stat().st_size for file in files))


if __name__ == "__main__":
    main()
