"""Writes the WordNet ids of ImageNet-1k's classes, in the order of the rows that every classifier of it has.

    interop/.venv/bin/python interop/make_imagenet_ids.py

The list is timm's `imagenet_synsets.txt` (Apache-2.0). The order is that of the ids themselves, so that what is stored is
the step from each to the next, in base 36.
"""

from pathlib import Path

import timm

SOURCE = Path(timm.__file__).parent / "data/_info/imagenet_synsets.txt"
OUT = Path(__file__).resolve().parent.parent / "src/dataset/imagenet_ids.ts"
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(number):
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = DIGITS[digit] + text
    return text


ids = [int(line[1:]) for line in SOURCE.read_text().split()]
assert len(ids) == 1000 and ids == sorted(set(ids))
steps = " ".join(base36(b - a) for a, b in zip([0, *ids], ids))
head, tail = OUT.read_text().split('const STEPS =\n  "')
OUT.write_text(f'{head}const STEPS =\n  "{steps}"{tail[tail.index(chr(34)) + 1 :]}')
print(OUT.stat().st_size, "bytes")
