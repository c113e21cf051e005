"""Writes src/checkpoint/fixtures_torch/pickles.json: what Python's own pickle makes of values that stand beside weights,
and of values that would run something, in every protocol that can hold them.

    interop/.venv/bin/python interop/make_fixtures_pickles.py

Each is the dict {"before": 1, "value": VALUE, "after": [2, "three"]}, so that a reader that loses its place is found out.
Nothing of it is loaded here.
"""

import argparse
import base64
import collections
import datetime
import decimal
import enum
import fractions
import functools
import json
import os
import pathlib
import pickle
import random
import re
import subprocess
import types
import uuid
from pathlib import Path

import numpy as np
import torch

OUT = Path(__file__).resolve().parent.parent / "src" / "checkpoint" / "fixtures_torch" / "pickles.json"


class Colour(enum.Enum):
    RED = 1


class Settings:
    def __init__(self):
        self.rate = 1e-3
        self.device = torch.device("cpu")


class Slots:
    __slots__ = ("a",)

    def __init__(self):
        self.a = 1


class Attributes(dict):
    pass


class Names(list):
    pass


Point = collections.namedtuple("Point", "x y")

HARMLESS = {
    "none, truths, numbers": [None, True, False, 0, -1, 255, 65535, 2**31 - 1, -(2**31), 2**62, 0.5, float("nan")],
    "long numbers": [2**200, -(2**200), 2**4000],
    "texts": ["", "plain", "line\nbreak", "\u00e9\u732b", "\U0001f600", "quote's \"here\"", "\\u0041"],
    "bytes": b"abc\x00\xff",
    "long bytes": b"x" * 1000,
    "bytearray": bytearray(b"abc"),
    "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
    "dict with odd keys": {(1, 2): 3, None: 4, 1.5: 5, b"b": 6, frozenset({1}): 7},
    "sets": [set(), {1, 2}, frozenset({"a"})],
    "counter": collections.Counter("aab"),
    "defaultdict": collections.defaultdict(list, {"a": [1]}),
    "ordered dict": collections.OrderedDict(a=1),
    "deque": collections.deque([1, 2], maxlen=3),
    "named tuple": Point(1, 2),
    "namespace": argparse.Namespace(lr=1e-3, output=pathlib.PurePosixPath("out"), device=torch.device("cuda", 0)),
    "simple namespace": types.SimpleNamespace(a=1),
    "datetime": [datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc), datetime.date(2024, 1, 2), datetime.timedelta(1)],
    "decimal, fraction, uuid": [decimal.Decimal("1.5"), fractions.Fraction(1, 3), uuid.UUID(int=5)],
    "slice, range, complex": [slice(1, 2), range(3), 1j],
    "enum": Colour.RED,
    "an object": Settings(),
    "a dict of another class": Attributes(a=1),
    "a list of another class": Names([1, 2]),
    "partial": functools.partial(torch.nn.LayerNorm, eps=1e-6),
    "a class and a function, named": [torch.nn.Linear, torch.nn.functional.gelu, len],
    "a regular expression": re.compile("a+"),
    "numpy scalars": [np.float64(1.5), np.int64(3), np.bool_(True), np.str_("a")],
    "numpy arrays": [np.zeros((3, 3)), np.asfortranarray(np.ones((2, 3), np.float32)), np.array(["a", None], dtype=object)],
    "numpy dtype": [np.dtype("float32"), np.dtype([("a", "i4")])],
    "numpy random state": [np.random.RandomState(0).get_state(), np.random.RandomState(0), np.random.default_rng(0)],
    "random state": random.Random(0).getstate(),
    "random": random.Random(0),
    "torch values": [torch.device("cpu"), torch.float16, torch.Size([1, 2]), torch.strided, torch.channels_last],
    "an exception": ValueError("bad"),
}


class Calls:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


HOSTILE = {
    "posix.system": Calls(os.system, "true"),
    "subprocess.Popen": Calls(subprocess.Popen, ["true"]),
    "builtins.eval": Calls(eval, "1"),
    "builtins.exec": Calls(exec, "pass"),
    "builtins.getattr": Calls(getattr, "text", "upper"),
    "builtins.__import__": Calls(__import__, "os"),
    "builtins.compile": Calls(compile, "1", "f", "eval"),
    "torch.hub.load": Calls(torch.hub.load, "a/b", "c"),
    "a partial of posix.system": functools.partial(os.system, "true"),
}


def protocols(value) -> dict[str, str]:
    made = {}
    for protocol in range(6):
        try:
            pickled = pickle.dumps({"before": 1, "value": value, "after": [2, "three"]}, protocol)
        except Exception:  # what an old protocol cannot hold
            continue
        # Long ones only as torch.save writes them.
        if len(pickled) < 2000 or protocol == 2:
            made[str(protocol)] = base64.b64encode(pickled).decode()
    return made


if __name__ == "__main__":
    sets = {"harmless": HARMLESS, "hostile": HOSTILE}
    made = {kind: {name: protocols(value) for name, value in values.items()} for kind, values in sets.items()}
    OUT.write_text(json.dumps(made, indent=1, ensure_ascii=True) + "\n")
