"""A model -> the two files that the network in JavaScript loads: card.json and weights.bin."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.engines.ensemble import MOVES, split_members
from tenfold.files import make_folder, replace_together
from tenfold.networks.shapes import Layer, Network
from tenfold.numpy_engine.layers import scale_and_shift
from tenfold.numpy_engine.runtime.answers import fold_network
from tenfold.reader.load import AnyModel
from tenfold.version import __version__

__all__ = ["write_web_model"]

_FORMAT = 3
_WINDOWED = ("conv", "max-pool", "average-pool", "pixel-unshuffle")


def write_web_model(model: AnyModel, folder: str | Path) -> None:
    """Writes card.json and weights.bin (float32, little-endian) into a folder, which is made if need be.

    The card is the model's own (class names or characters, input, temperature, thresholds) with the layers
    of every network, batch norm worked into the layer before it; a parameter is [start, length] in the
    weights. Kernels, strides and paddings are [rows, columns].
    """
    target = Path(folder)
    make_folder(target)
    numbers = _Numbers()
    members = [_member(model.network, weights, numbers) for weights in split_members(model.engine.weights())]
    weights = numbers.to_bytes()
    card = _card(model) | {"members": members, "weights": {"file": "weights.bin", "bytes": len(weights)}}
    text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
    replace_together((target / "weights.bin", weights), (target / "card.json", text.encode()))


class _Numbers:
    """Arrays one after another."""

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []
        self.length = 0

    def add(self, values: np.ndarray) -> list[int]:
        """Returns [start, length]."""
        self.arrays.append(np.asarray(values, "<f4").ravel())
        start, self.length = self.length, self.length + values.size
        return [start, values.size]

    def to_bytes(self) -> bytes:
        return np.concatenate(self.arrays).tobytes()


def _card(model: AnyModel) -> dict[str, Any]:
    recipe, own = model.card.recipe, model.card.to_dict()
    card = {
        "tenfold": __version__,
        "recipe": {"name": recipe.name, "title": recipe.title},
        "parameters": model.network.parameter_count,
        "label_shift": recipe.loss.label_shift,
        "views": MOVES[: recipe.ensemble.views],
    }
    return {key: value for key, value in own.items() if key != "recipe"} | card | {"format": _FORMAT}


def _member(network: Network, weights: Mapping[str, np.ndarray], numbers: _Numbers) -> list[dict[str, Any]]:
    folded, values = fold_network(network, weights)
    return [_layer(layer, values, numbers) for layer in folded.layers]


def _layer(layer: Layer, values: Mapping[str, np.ndarray], numbers: _Numbers) -> dict[str, Any]:
    spec = layer.spec
    entry: dict[str, Any] = {"kind": spec.kind}
    if spec.kind in _WINDOWED:
        entry |= {"kernel": spec.kernel, "stride": spec.stride, "padding": spec.padding}
    if spec.kind in ("linear", "conv"):
        weight = values[f"{spec.name}.weight"]
        bias = values[f"{spec.name}.bias"] if spec.bias else np.empty(0)
        # of a convolution with the channels last, as a window of the picture has them
        turned = np.moveaxis(weight, 1, -1) if spec.kind == "conv" else weight
        entry |= {"outputs": len(weight), "weight": numbers.add(turned), "bias": numbers.add(bias)}
    if spec.kind == "batch-norm":
        parts = (values[parameter.name].astype(np.float64) for parameter in layer.parameters)
        scale, shift = scale_and_shift(*parts)
        entry |= {"scale": numbers.add(scale), "shift": numbers.add(shift)}
    if spec.kind == "columns":
        entry["parts"] = spec.units or 1
    if spec.kind == "residual":
        entry["layers"] = [_layer(inner, values, numbers) for inner in layer.inner]
    return entry
