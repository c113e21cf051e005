"""Fixtures of preprocessing: small synthetic images in every format the studio reads, and the pixels transformers'
own image processors (PIL backend) make of them. Needs no network and no data.

    python make_fixtures_preprocess.py [../src/dataset/fixtures]

Writes the images, `preprocess.json` (the specs, and for each image size, SHA-256 of PIL's pixels and whether the format
loses anything) and one `SPEC.bin` for each spec: the expected [H, W, 3] bytes of all its images, one after another.
"""

import hashlib
import io
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps
from transformers import DeiTImageProcessorPil, ViTImageProcessorPil

RESAMPLE = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3}

# Small sizes keep the files small; the last two are what google/vit-* and deit-* really ask for.
SPECS = {
    "exact_bilinear": {"resize": {"mode": "exact", "height": 40, "width": 48}, "crop": None, "interpolation": "bilinear"},
    "shortest_bicubic": {
        "resize": {"mode": "shortest", "edge": 37},
        "crop": {"height": 32, "width": 32},
        "interpolation": "bicubic",
    },
    "padded_lanczos": {
        "resize": {"mode": "shortest", "edge": 30},
        "crop": {"height": 41, "width": 36},
        "interpolation": "lanczos",
    },
    "exact_nearest": {"resize": {"mode": "exact", "height": 33, "width": 29}, "crop": None, "interpolation": "nearest"},
    "exact_bicubic": {"resize": {"mode": "exact", "height": 61, "width": 30}, "crop": None, "interpolation": "bicubic"},
    "vit": {"resize": {"mode": "exact", "height": 224, "width": 224}, "crop": None, "interpolation": "bilinear"},
    "deit": {
        "resize": {"mode": "shortest", "edge": 256},
        "crop": {"height": 224, "width": 224},
        "interpolation": "bicubic",
    },
}
FULL_SIZE = {"vit": ["smooth.png"], "deit": ["photo.jpg"]}


def picture(width: int, height: int, seed: int, noise: float = 18.0) -> np.ndarray:
    """Gradients, waves that get finer to one side, a hard edge and some noise: what a resize can get wrong."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    u, v = x / max(width - 1, 1), y / max(height - 1, 1)
    waves = np.sin(40 * u * u + 7 * v + seed)
    channels = [255 * u, 127 + 120 * waves, 255 * (1 - v) * (0.6 + 0.4 * np.cos(9 * v))]
    image = np.stack(channels, axis=-1)
    disc = (u - 0.6) ** 2 + (v - 0.4) ** 2 < 0.06
    image[disc] = 255 - image[disc]
    return np.clip(image + rng.normal(0, noise, image.shape), 0, 255).astype(np.uint8)


def swapped_profile() -> bytes:
    """An sRGB profile with red and blue exchanged: whoever applies it is found out."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(profile)


def save_images(folder: Path) -> list[str]:
    def image(width, height, seed, **kwargs):
        return Image.fromarray(picture(width, height, seed, **kwargs))

    def oriented(orientation: int) -> bytes:
        exif = Image.Exif()
        exif[0x0112] = orientation
        return exif.tobytes()

    alpha = np.clip(np.mgrid[0:79, 0:120][1] * 3 - 40, 0, 255).astype(np.uint8)
    rgba = Image.fromarray(np.dstack([picture(120, 79, 5), alpha]))
    palette = image(90, 61, 6).quantize(31, dither=Image.Dither.NONE)
    files = {
        "smooth.png": (image(131, 97, 1, noise=0), {}),
        "texture.png": (image(97, 131, 2, noise=40), {}),
        "thin.png": (image(1, 17, 3), {}),
        "wide.png": (image(301, 5, 4), {}),
        "rgba.png": (rgba, {}),
        "palette.png": (palette, {}),
        "palette_clear.png": (palette, {"transparency": 3}),
        "grey.png": (image(75, 50, 7).convert("L"), {}),
        "grey_alpha.png": (rgba.convert("LA"), {}),
        "photo.jpg": (image(640, 427, 8, noise=6), {"quality": 75}),
        "fine.jpg": (image(131, 97, 9), {"quality": 95, "subsampling": 0, "progressive": True}),
        "half.jpg": (image(99, 131, 10), {"quality": 90, "subsampling": 1}),
        "grey.jpg": (image(61, 90, 11).convert("L"), {"quality": 85}),
        "turned6.jpg": (image(120, 81, 12), {"quality": 90, "exif": oriented(6)}),
        "turned5.jpg": (image(120, 81, 13), {"quality": 90, "exif": oriented(5)}),
        "cmyk.jpg": (image(80, 60, 14).convert("CMYK"), {"quality": 90}),
        "profile.jpg": (image(64, 64, 15), {"quality": 90, "icc_profile": swapped_profile()}),
        "profile.png": (image(64, 64, 16, noise=0), {"icc_profile": swapped_profile()}),
        "lossless.webp": (image(77, 55, 17, noise=4), {"lossless": True}),
        "lossy.webp": (image(131, 97, 18), {"quality": 80}),
        "frames.gif": (palette, {"save_all": True, "append_images": [palette.transpose(Image.Transpose.ROTATE_180)]}),
        "plain.bmp": (image(67, 45, 19), {}),
        "palette.bmp": (palette, {}),
        "alpha.bmp": (rgba.crop((0, 0, 50, 40)), {}),
    }
    for name, (content, options) in files.items():
        content.save(folder / name, **options)
    return list(files)


def load(path: Path) -> Image.Image:
    """As transformers' `load_image` does, but transparency lies over white instead of being dropped."""
    image = ImageOps.exif_transpose(Image.open(path))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        return white
    return image.convert("RGB")


def expected(image: Image.Image, spec: dict) -> np.ndarray:
    """[H, W, 3] bytes: the image processor's output before scaling and normalisation."""
    resize, crop = spec["resize"], spec["crop"]
    size = {"shortest_edge": resize["edge"]} if resize["mode"] == "shortest" else {k: resize[k] for k in ("height", "width")}
    kind = DeiTImageProcessorPil if crop else ViTImageProcessorPil
    processor = kind(
        size=size,
        resample=RESAMPLE[spec["interpolation"]],
        do_center_crop=crop is not None,
        crop_size=crop,
        do_rescale=False,
        do_normalize=False,
    )
    pixels = processor(image, return_tensors="np")["pixel_values"][0]
    return np.ascontiguousarray(pixels.transpose(1, 2, 0)).astype(np.uint8)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = save_images(folder)
    images = []
    for name in names:
        image = load(folder / name)
        pixels = np.asarray(image)
        images.append(
            {
                "name": name,
                "width": image.width,
                "height": image.height,
                "lossy": name.endswith(".jpg") or name == "lossy.webp",
                "sha256": hashlib.sha256(pixels.tobytes()).hexdigest(),
            }
        )
    specs = []
    for spec_name, spec in SPECS.items():
        members = FULL_SIZE.get(spec_name, names)
        data = io.BytesIO()
        for name in members:
            data.write(expected(load(folder / name), spec).tobytes())
        (folder / f"{spec_name}.bin").write_bytes(data.getvalue())
        specs.append({"name": spec_name, "spec": spec, "images": members})
    (folder / "preprocess.json").write_text(json.dumps({"images": images, "specs": specs}, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "src" / "dataset" / "fixtures")
