"""Fixtures of what platforms read differently: files with each EXIF orientation, as PIL's `exif_transpose` turns them, and
PNG of 16 bits a channel whose values use 8, 12 or all of them.

    interop/.venv/bin/python interop/make_fixtures_images.py

PIL writes the turned files; those of 16 bits are written here, row by row under every filter and interlaced too, because
PIL writes none in colour. Where all bits are used, the expected pixels are PIL's own; where fewer are, the upper 8 of those
in use. Everything goes into one `src/dataset/fixtures/odd_files.json`, files and pixels in base64.
"""

import base64
import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

OUT = Path(__file__).resolve().parent.parent / "src/dataset/fixtures/odd_files.json"
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
TYPES = {1: 0, 3: 2, 2: 4, 4: 6}


def picture(height, width, channels, most, seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, most + 1, (height, width, channels))
    values[0, 0] = most
    return values.astype(np.uint16)


def filtered(rows):
    """Every filter in turn over the rows of one pass. rows: uint16 [h, w, c]"""
    each = rows.shape[2] * 2
    data = rows.astype(">u2").tobytes()
    stride = rows.shape[1] * each
    out, above = bytearray(), bytes(stride)
    for y in range(rows.shape[0]):
        row, kind = data[y * stride : (y + 1) * stride], y % 5
        out.append(kind)
        for i, value in enumerate(row):
            a, b, c = (row[i - each] if i >= each else 0), above[i], (above[i - each] if i >= each else 0)
            p = a + b - c
            nearest = min((a, b, c), key=lambda v: (abs(p - v), (a, b, c).index(v)))
            out.append((value - (0, a, b, (a + b) // 2, nearest)[kind]) & 255)
        above = row
    return bytes(out)


def deep_png(values, interlaced=False, clear=None):
    height, width, channels = values.shape
    passes = ADAM7 if interlaced else [(0, 0, 1, 1)]
    parts = [values[y::dy, x::dx] for x, y, dx, dy in passes]
    packed = zlib.compress(b"".join(filtered(part) for part in parts if part.size), 9)

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 16, TYPES[channels], 0, 0, int(interlaced))
    half = len(packed) // 2
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + (chunk(b"tRNS", struct.pack(f">{len(clear)}H", *clear)) if clear else b"")
        + chunk(b"IDAT", packed[:half])
        + chunk(b"IDAT", packed[half:])
        + chunk(b"IEND", b"")
    )


def expected(values, bits, clear=None):
    """-> uint8 [h, w, 3], over white as PIL's paste rounds"""
    channels = values.shape[2]
    colours = values[..., : 1 if channels < 3 else 3]
    eight = (colours >> (bits - 8)).astype(np.uint32)
    if channels in (2, 4):
        alpha = values[..., -1]
        cover = np.where(alpha < 2**bits, alpha >> (bits - 8), alpha >> 8).astype(np.uint32)
    elif clear:
        cover = np.where((values == np.array(clear)).all(-1), 0, 255).astype(np.uint32)
    else:
        cover = np.full(values.shape[:2], 255, np.uint32)
    total = eight * cover[..., None] + 255 * (255 - cover[..., None]) + 128
    return np.broadcast_to((total + (total >> 8)) >> 8, (*values.shape[:2], 3)).astype(np.uint8)


def entry(name, file, pixels, **more):
    text = lambda data: base64.b64encode(data).decode()
    return {"name": name, "file": text(file), "width": pixels.shape[1], "height": pixels.shape[0], "pixels": text(pixels.tobytes()), **more}


def deep():
    most = {8: 255, 12: 4000, 16: 65535}
    for channels, kind in {1: "grey", 2: "grey-alpha", 3: "rgb", 4: "rgba"}.items():
        for bits, top in most.items():
            for interlaced in (False, True):
                values = picture(9, 13, channels, top, bits + channels)
                if channels == 4 and bits == 12:
                    values[..., 3] = 65535  # opaque, in all its bits
                name = f"{kind}-{bits}{'-interlaced' if interlaced else ''}.png"
                file = deep_png(values, interlaced)
                pixels = expected(values, bits)
                read = Image.open(io.BytesIO(file))
                read.load()
                if bits == 16 and channels == 3:
                    assert (np.asarray(read.convert("RGB")) == pixels).all()
                if bits == 16 and channels == 1:
                    assert (np.asarray(read) >> 8 == pixels[..., 0]).all()
                yield entry(name, file, pixels, bits=None if bits == 16 else bits)
    values = picture(9, 13, 3, 4000, 1)
    clear = tuple(int(v) for v in values[2, 3])
    yield entry("rgb-12-clear.png", deep_png(values, clear=clear), expected(values, 12, clear), bits=12)
    black = np.zeros((2, 3, 1), np.uint16)
    yield entry("black.png", deep_png(black), expected(black, 8), bits=8)


def turned():
    rng = np.random.default_rng(7)
    colours = rng.integers(0, 256, (2, 3, 3))
    plain = Image.fromarray(np.kron(colours, np.ones((8, 8, 1), int)).astype(np.uint8))
    options = {"jpeg": dict(quality=100, subsampling=0), "png": {}, "webp": dict(lossless=True)}
    for kind, more in options.items():
        for orientation in range(1, 9):
            exif = Image.Exif()
            exif[0x0112] = orientation
            file = io.BytesIO()
            plain.save(file, kind, exif=exif.tobytes(), **more)
            read = Image.open(io.BytesIO(file.getvalue()))
            pixels = np.asarray(ImageOps.exif_transpose(read).convert("RGB"))
            yield entry(f"turned-{orientation}.{kind}", file.getvalue(), pixels)


if __name__ == "__main__":
    OUT.write_text(json.dumps({"deep": list(deep()), "turned": list(turned())}, indent=1) + "\n")
    print(OUT.stat().st_size, "bytes")
