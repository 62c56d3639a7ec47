"""What the lab's page takes from here: the recipes, and the embedded sample of MNIST."""

from __future__ import annotations

import gzip
import json
import struct
from typing import Any

import numpy as np

from tenfold.data.load import load_dataset
from tenfold.errors import MissingDependencyError
from tenfold.recipes.load import get_recipe

PRESETS = (
    "softmax-gd-published", "softmax-gd", "softmax-sgd-published", "softmax-sgd",
    "mlp-120-84-published", "mlp-120-84", "mlp-small",
    "sigmoid-30-published", "sigmoid-500-published", "sigmoid-500",
    "mlp-128-64-augmented-published", "mlp-128-64-augmented", "fast", "cnn",
)  # fmt: skip
_LEFT_OUT = {"published", "search", "data", "ensemble"}


def lab_files() -> dict[str, bytes]:
    """File name -> content.

    presets.json: the recipes as objects, by name. sample.bin.gz: gzip of n, height and width (uint32,
    little-endian), the pixels and the labels (uint8); left out where the sample is not installed.
    """
    presets = {name: _preset(name) for name in PRESETS}
    files = {"presets.json": json.dumps(presets, separators=(",", ":")).encode()}
    try:
        sample = load_dataset("sample", split="all")
    except MissingDependencyError:
        return files
    head = struct.pack("<3I", *sample.images.shape)
    content = head + sample.images.tobytes() + sample.labels.astype(np.uint8).tobytes()
    return files | {"sample.bin.gz": gzip.compress(content, 9, mtime=0)}


def _preset(name: str) -> dict[str, Any]:
    return get_recipe(name).model_dump(mode="json", exclude=_LEFT_OUT)
