"""Writes what timm's constructors give a network that no file says: heads, activation and epsilon, by name.

    interop/.venv/bin/python interop/make_fixtures_timm_names.py

Every constructor of timm's VisionTransformer, DeiT, EVA, BEiT, hybrids and their like is built without memory (on torch's
meta device); src/checkpoint/fixtures/timm_names.json gets {name: [heads, activation, eps]}, or null where its blocks
have no attention or no layer norm of the plain kind.
"""

import json
from pathlib import Path

import timm
import torch

OUT = Path(__file__).resolve().parent.parent / "src" / "checkpoint" / "fixtures" / "timm_names.json"
MODULES = [
    "vision_transformer", "deit", "eva", "beit", "naflexvit", "vision_transformer_hybrid", "vision_transformer_relpos",
    "vision_transformer_sam",
]  # fmt: skip
ACTIVATIONS = {"GELU": "gelu", "GELUTanh": "gelu_tanh", "QuickGELU": "quick_gelu", "SiLU": "silu"}


def facts(name):
    with torch.device("meta"):
        model = timm.create_model(name)
    block = model.blocks[0]
    norms = {module.eps for module in model.modules() if isinstance(module, torch.nn.LayerNorm)}
    if not hasattr(block, "attn") or not hasattr(block, "mlp") or len(norms) != 1:
        return None
    return [block.attn.num_heads, ACTIVATIONS.get(type(block.mlp.act).__name__), norms.pop()]


if __name__ == "__main__":
    names = [name for module in MODULES for name in timm.list_models(module=module)]
    lines = [f"  {json.dumps(name)}: {json.dumps(facts(name))}" for name in sorted(names)]
    OUT.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"timm {timm.__version__}: {len(names)} names")
