"""A classifier as a file of tensors and plain values, which a dozen lines of torch load."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tenfold.errors import UsageError
from tenfold.networks.engine import Engine, EnsembleEngine
from tenfold.networks.shapes import Layer

__all__ = ["LOADING", "ask_torch_file", "is_torch_file", "write_torch_file"]

# What the page "Ship it" shows and `tenfold export --to torch` prints; {path} is the file.
LOADING = """import torch
from torch import nn

class Residual(nn.Sequential):
    def forward(self, inputs):
        return inputs + super().forward(inputs)

def build(layers):
    made = (Residual(*build(o)) if k == "Residual" else getattr(nn, k)(**o) for k, o in layers)
    return nn.Sequential(*made)

saved = torch.load({path!r}, weights_only=True)
networks = [build(saved["layers"]).eval() for _ in saved["members"]]
for network, weights in zip(networks, saved["members"]):
    network.load_state_dict(weights)

def predict(images):  # uint8 tensor (N, H, W), in colour (N, H, W, 3) -> probabilities (N, K)
    pixels = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
    framed = nn.functional.pad(pixels / 255, (1, 1, 1, 1))
    high, wide = images.shape[1:3]
    views = [framed[:, :, 1 - r : 1 - r + high, 1 - c : 1 - c + wide] for r, c in saved["views"]]
    inputs = [(view - saved["mean"]) / saved["std"] for view in views]
    logs = torch.stack([network(x).log_softmax(1) for network in networks for x in inputs]).logsumexp(0)
    return (logs[:, : len(saved["class_names"])] / saved["temperature"]).softmax(1)
"""

Options = Callable[[Layer], dict[str, Any]]
_KINDS: dict[str, tuple[str, Options]] = {
    "flatten": ("Flatten", lambda _: {}),
    "relu": ("ReLU", lambda _: {}),
    "sigmoid": ("Sigmoid", lambda _: {}),
    "tanh": ("Tanh", lambda _: {}),
    "dropout": ("Dropout", lambda layer: {"p": layer.spec.rate}),
    "linear": (
        "Linear",
        lambda layer: {
            "in_features": layer.input_shape[0],
            "out_features": layer.spec.units,
            "bias": layer.spec.bias,
        },
    ),
    "conv": (
        "Conv2d",
        lambda layer: {
            "in_channels": layer.input_shape[0],
            "out_channels": layer.spec.units,
            "kernel_size": layer.spec.kernel,
            "stride": layer.spec.stride,
            "padding": layer.spec.padding,
            "bias": layer.spec.bias,
        },
    ),
    "max-pool": ("MaxPool2d", lambda layer: {"kernel_size": layer.spec.kernel, "stride": layer.spec.stride}),
    "average-pool": (
        "AvgPool2d",
        lambda layer: {"kernel_size": layer.spec.kernel, "stride": layer.spec.stride},
    ),
    "pixel-unshuffle": ("PixelUnshuffle", lambda layer: {"downscale_factor": layer.spec.kernel[0]}),
}


def _describe(layers: Iterable[Layer]) -> list[tuple[str, Any]]:
    """(class of torch.nn, its arguments) of each layer. Raises UsageError for one that has no such class."""
    found: list[tuple[str, Any]] = []
    for layer in layers:
        kind = layer.spec.kind
        if kind == "residual":
            found.append(("Residual", _describe(layer.inner)))
        elif kind == "batch-norm":
            name = "BatchNorm2d" if len(layer.input_shape) == 3 else "BatchNorm1d"
            found.append((name, {"num_features": layer.input_shape[0]}))
        elif kind in _KINDS:
            name, options = _KINDS[kind]
            found.append((name, options(layer)))
        else:
            raise UsageError(f"--to torch: the layer {layer.spec.name}", expected=", ".join(_KINDS))
    return found


def _numbered(
    layers: Iterable[Layer], weights: dict[str, np.ndarray], prefix: str = ""
) -> dict[str, torch.Tensor]:
    """The state_dict of nested nn.Sequential: "0.weight", "2.1.bias"."""
    found: dict[str, torch.Tensor] = {}
    for number, layer in enumerate(layers):
        for parameter in layer.parameters:
            key = f"{prefix}{number}.{parameter.name.rpartition('.')[2]}"
            found[key] = torch.tensor(np.asarray(weights[parameter.name], np.float32))
        if layer.spec.kind == "batch-norm":
            found[f"{prefix}{number}.num_batches_tracked"] = torch.tensor(0)
        found |= _numbered(layer.inner, weights, f"{prefix}{number}.")
    return found


def write_torch_file(engine: Engine, card: Any, path: Path) -> None:
    """Layers, weights of each network and what `LOADING` needs. card: a ModelCard. Raises UsageError."""
    network = engine.network
    if card.recipe.loss.label_shift:
        raise UsageError("--to torch: a recipe with loss.label_shift", expected="one without, or --to onnx")
    members = EnsembleEngine.split(engine.weights())
    moves = [list(move) for move in EnsembleEngine.MOVES[: card.recipe.ensemble.views]]
    saved = {
        "layers": _describe(network.layers),
        "members": [_numbered(network.layers, weights) for weights in members],
        "mean": card.mean, "std": card.std, "temperature": card.temperature, "views": moves,
        "class_names": list(card.class_names), "image_shape": list(card.image_shape), "made_by": "tenfold",
    }  # fmt: skip
    memory = BytesIO()  # into a file, the bytes would hold its name
    torch.save(saved, memory)
    path.write_bytes(memory.getvalue())


def ask_torch_file(path: Path, images: np.ndarray) -> np.ndarray:
    """Probabilities (N, K) of the file, by the lines that people are shown."""
    names: dict[str, Any] = {}
    exec(LOADING.replace("{path!r}", repr(str(path))), names)  # noqa: S102 - our own text
    with torch.no_grad():
        found: np.ndarray = names["predict"](torch.tensor(images)).numpy()
    return found


def is_torch_file(path: Path) -> bool:
    """Whether `write_torch_file` made it."""
    try:
        return bool(torch.load(path, weights_only=True)["made_by"] == "tenfold")
    except Exception:  # whatever pickle makes of a file that is none of its own
        return False
