"""Makes the fixture that holds the scores to scikit-learn, SciPy and NumPy.

    interop/.venv/bin/python interop/make_fixtures_scores.py

Answers of two made-up classifiers to the same images, and to images of another kind. Needs scikit-learn beside
requirements.txt.
"""

import json
from pathlib import Path

import numpy as np
from scipy.special import logsumexp, softmax
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

OUT = Path(__file__).resolve().parent.parent / "src/evaluation/fixtures/scores.json"
CLASSES, COUNT, STRANGE, BINS = 4, 60, 45, 15
rng = np.random.default_rng(2)

# Uneven classes, so that balanced accuracy is another number than accuracy.
labels = rng.choice(CLASSES, COUNT, p=[0.5, 0.3, 0.15, 0.05])


def logits(count, help_, of):
    values = rng.normal(0, 1.5, (count, CLASSES))
    values[np.arange(count), of] += help_
    return np.round(values, 3).astype(np.float32)


before = logits(COUNT, 1.0, labels)
after = logits(COUNT, 2.5, labels)
strange = logits(STRANGE, 0.0, np.zeros(STRANGE, int))
# Ties, and confidences on the edge of a bin.
strange[:3] = after[:3]
after[5] = 0


def ece(confidence, right):
    edges = np.linspace(0, 1, BINS + 1)
    total, bins = 0.0, []
    for low, high in zip(edges[:-1], edges[1:]):
        inside = (confidence > low) & (confidence <= high)
        bins.append(int(inside.sum()))
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return total, bins


def described(values):
    confidence = softmax(values.astype(np.float64), axis=1).max(1)
    predictions = values.argmax(1)
    error, bins = ece(confidence, predictions == labels)
    return {
        "logits": values.astype(float).round(3).ravel().tolist(),
        "predictions": predictions.tolist(),
        "confidence": confidence.tolist(),
        "energy": logsumexp(values.astype(np.float64), axis=1).tolist(),
        "balanced": balanced_accuracy_score(labels, predictions),
        "ece": error,
        "bins": bins,
    }


def area(inside, outside):
    truth = np.r_[np.ones(len(inside)), np.zeros(len(outside))]
    return roc_auc_score(truth, np.r_[inside, outside])


certainty = lambda values: softmax(values, axis=1).max(1)
energy = lambda values: logsumexp(values, axis=1)
was, now = before.argmax(1) == labels, after.argmax(1) == labels
fixed, broken = int((~was & now).sum()), int((was & ~now).sum())

# Accuracies of reference models (target, OOD) and of one that is judged.
references = [[0.62, 0.4], [0.7, 0.47], [0.74, 0.5], [0.79, 0.52]]
judged, counts = [0.84, 0.6], [200, 150]
x, y = np.log(np.array(references) / (1 - np.array(references))).T
slope, intercept = np.polyfit(x, y, 1)
expected = 1 / (1 + np.exp(-(slope * np.log(judged[0] / (1 - judged[0])) + intercept)))

fixture = {
    "classes": CLASSES,
    "labels": labels.tolist(),
    "before": described(before),
    "after": described(after),
    "strange": strange.astype(float).round(3).ravel().tolist(),
    "auroc": {
        "confidence": area(certainty(after), certainty(strange)),
        "energy": area(energy(after), energy(strange)),
    },
    "change": {
        "stayedRight": int((was & now).sum()),
        "fixed": fixed,
        "broken": broken,
        "stayedWrong": int((~was & ~now).sum()),
        "p": binomtest(fixed, fixed + broken, 0.5).pvalue,
    },
    "mcnemar": [[a, b, binomtest(a, a + b, 0.5).pvalue] for a, b in [(1, 0), (3, 3), (0, 12), (40, 75), (900, 1200)]],
    "robustness": {
        "references": references,
        "judged": judged,
        "counts": counts,
        "slope": slope,
        "intercept": intercept,
        "effective": judged[1] - expected,
    },
}
OUT.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
print(OUT.stat().st_size, "bytes", fixed, "fixed", broken, "broken")
