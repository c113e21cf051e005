"""Makes the fixture that holds k-NN to PyTorch's topk.

    interop/.venv/bin/python interop/make_fixtures_heads.py

Random features of four classes that overlap; the vote is written from the formula (weights exp(cosine / 0.07) of the
k nearest, summed by class), not from anyone's code.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

OUT = Path(__file__).resolve().parent.parent / "src/evaluation/fixtures"
CLASSES, WIDTH, TEMPERATURE = 4, 12, 0.07


def clouds(count, generator):
    centres = torch.randn(CLASSES, WIDTH, generator=torch.Generator().manual_seed(5))
    labels = torch.randint(0, CLASSES, (count,), generator=generator)
    return centres[labels] + 1.6 * torch.randn(count, WIDTH, generator=generator), labels


def vote(bank, labels, queries, k, leave_out=False):
    similar = F.normalize(queries.double(), dim=1) @ F.normalize(bank.double(), dim=1).T
    if leave_out:
        similar.fill_diagonal_(-2)
    near, indices = similar.topk(k, dim=1)
    weights = (near / TEMPERATURE).exp()
    votes = torch.zeros(len(queries), CLASSES, dtype=torch.double)
    votes.scatter_add_(1, labels[indices], weights)
    return (votes / votes.sum(1, keepdim=True)).float(), votes.argmax(1)


generator = torch.Generator().manual_seed(1)
bank, labels = clouds(90, generator)
queries, _ = clouds(60, generator)
tensors = {"bank": bank, "labels": labels.int(), "queries": queries}
for k in (1, 5, 20):
    tensors[f"votes_{k}"], tensors[f"answers_{k}"] = vote(bank, labels, queries, k)
    tensors[f"left_out_{k}"] = vote(bank, labels, bank, k, leave_out=True)[1]
stored = {name: (t.int() if t.dtype == torch.int64 else t).contiguous() for name, t in tensors.items()}
OUT.mkdir(exist_ok=True)
save_file(stored, OUT / "knn.safetensors", metadata={"fixture": json.dumps({"classes": CLASSES})})
print((OUT / "knn.safetensors").stat().st_size, "bytes")
