"""open_clip with one more timm network: a SigLIP trunk small enough for a fixture. Importing this registers it."""

from types import SimpleNamespace

from open_clip.model import CLIP, CustomTextCLIP
from timm.models import generate_default_cfgs, register_model
from timm.models.vision_transformer import _create_vision_transformer

SIGLIP_TRUNK = "vit_siglip_for_tests"
default_cfgs = generate_default_cfgs({SIGLIP_TRUNK: dict(input_size=(3, 16, 16), first_conv="patch_embed.proj", classifier="head")})


@register_model
def vit_siglip_for_tests(pretrained=False, **kwargs):
    sizes = dict(img_size=16, patch_size=4, embed_dim=16, depth=2, num_heads=2, mlp_ratio=1.5)
    return _create_vision_transformer(
        SIGLIP_TRUNK, pretrained=pretrained, **{**sizes, **dict(class_token=False, global_pool="map"), **kwargs}
    )


open_clip = SimpleNamespace(CLIP=CLIP, CustomTextCLIP=CustomTextCLIP)
