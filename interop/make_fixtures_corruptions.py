"""Makes the fixture that holds the corruptions to ImageNet-C's own, as the package imagecorruptions 1.1.2 has them.

    interop/.venv/bin/python interop/make_fixtures_corruptions.py

Needs imagecorruptions, scikit-image and opencv-python-headless beside requirements.txt. The package is older than
NumPy 2 and scikit-image 0.26; what those renamed is given back here. Of each corruption and severity the root mean
square change of one made-up picture (mean over seeds where it is random), and of those that draw nothing at random
the mean colours of blocks of 28 pixels.
"""

import importlib.util
import json
import os
import sys
import types
from pathlib import Path

import numpy as np
import skimage.filters

OUT = Path(__file__).resolve().parent.parent / "src/dataset/fixtures/corruptions.json"
package = os.path.dirname(importlib.util.find_spec("imagecorruptions").origin)
resources = types.ModuleType("pkg_resources")
resources.resource_filename = lambda _, name: os.path.join(package, name)
sys.modules["pkg_resources"] = resources
np.float_ = np.float64

import imagecorruptions.corruptions as published  # noqa: E402


def gaussian(image, sigma, multichannel=False, **rest):
    return skimage.filters.gaussian(image, sigma=sigma, channel_axis=-1 if multichannel else None, **rest)


published.gaussian = gaussian
from imagecorruptions import corrupt  # noqa: E402

EDGE = 224
y, x = np.mgrid[0:EDGE, 0:EDGE]
picture = np.stack(
    [
        127 + 100 * np.sin(x / 9) * np.cos(y / 17),
        127 + 90 * np.sin((x + y) / 13),
        40 + 150 * ((x // 18 + y // 22) % 2),
    ],
    -1,
)
picture = np.floor(picture + 0.5).astype(np.uint8)

NAMES = {
    "gaussian-noise": "gaussian_noise",
    "shot-noise": "shot_noise",
    "impulse-noise": "impulse_noise",
    "defocus-blur": "defocus_blur",
    "glass-blur": "glass_blur",
    "motion-blur": "motion_blur",
    "zoom-blur": "zoom_blur",
    "snow": "snow",
    "frost": "frost",
    "fog": "fog",
    "brightness": "brightness",
    "contrast": "contrast",
    "elastic": "elastic_transform",
    "pixelate": "pixelate",
    "jpeg": "jpeg_compression",
}
FIXED = {"defocus-blur", "zoom-blur", "brightness", "contrast", "pixelate", "jpeg"}
SEEDS = 12

fixture = {}
for name, theirs in NAMES.items():
    change, blocks = [], []
    for severity in range(1, 6):
        errors = []
        for seed in range(1 if name in FIXED else SEEDS):
            np.random.seed(seed)
            out = corrupt(picture.copy(), corruption_name=theirs, severity=severity).astype(float)
            errors.append(np.sqrt(((out - picture) ** 2).mean()))
        change.append(round(float(np.mean(errors)), 2))
        if name in FIXED:
            means = out.reshape(EDGE // 28, 28, EDGE // 28, 28, 3).mean((1, 3))
            blocks.append([round(float(v), 1) for v in means.ravel()] if severity in (1, 3, 5) else [])
    fixture[name] = {"change": change, "blocks": blocks}
    print(name, change)
OUT.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
print(OUT.stat().st_size, "bytes")
