"""The first layer's weights as pictures: what each unit, class or filter looks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tenfold.networks.engine import EnsembleEngine
from tenfold.networks.shapes import Layer, Network
from tenfold.runs.folder import Run
from tenfold.show.components import signed_picture
from tenfold.show.runs import model_of, network_of

Section = dict[str, Any]
_SHOWN = 64
# What may stand between the pixels and a linear layer without moving a pixel from its place.
_IN_PLACE = {"flatten", "dropout", "batch-norm", "relu", "gelu", "silu", "scale", "sigmoid", "tanh"}


def weights_section(run: Run) -> Section | None:
    """None without a model; `drawn` is None where the pixels have no place.

    Up to 64 pictures, or all classes of a network of one layer, whose class c lies in row
    (c + loss.label_shift) mod K.
    """
    model, network = model_of(run), network_of(run)
    if model is None or network is None:
        return None
    members, names = EnsembleEngine.split(model[1]), list(model[0].class_names)
    layer = _first_with_weight(network)
    weights = None if layer is None else members[0][f"{layer.spec.name}.weight"].astype(np.float64)
    if layer is None or weights is None or (weights.ndim == 2 and not _sees_pixels(network, layer)):
        return {"drawn": None, "members": len(members)}
    bias = members[0].get(f"{layer.spec.name}.bias")
    if weights.ndim == 4:
        drawn = _draw_weights("filters", np.stack([_tile(each) for each in weights]), bias, [])
    else:
        pictures = weights.reshape(-1, *network.input_shape).sum(axis=1)  # of all colours
        order = (np.arange(network.classes) + run.recipe.loss.label_shift) % network.classes
        if layer is network.layers[-1]:
            drawn = _draw_weights("classes", pictures[order], None if bias is None else bias[order], names)
        else:
            drawn = _draw_weights("units", pictures, bias, [])
    return {"drawn": drawn | {"layer": layer.spec.name}, "members": len(members)}


def _first_with_weight(network: Network) -> Layer | None:
    found = [layer for layer in network.layers if layer.spec.kind in ("linear", "conv", "residual")]
    while found and found[0].spec.kind == "residual":
        found = [*(inner for inner in found[0].inner if inner.spec.kind in ("linear", "conv")), *found[1:]]
    return found[0] if found else None


def _sees_pixels(network: Network, layer: Layer) -> bool:
    before = network.layers[: network.layers.index(layer)] if layer in network.layers else ()
    plain = all(other.spec.kind in _IN_PLACE for other in before)
    return plain and layer in network.layers and layer.input_shape == (int(np.prod(network.input_shape)),)


def _tile(filter_: np.ndarray) -> np.ndarray:
    """(C, k, k) -> the channels as one picture, in rows as square as may be."""
    channels, height, width = filter_.shape
    columns = int(np.ceil(np.sqrt(channels)))
    rows = -(-channels // columns)
    padded = np.concatenate([filter_, np.zeros((rows * columns - channels, height, width))])
    return padded.reshape(rows, columns, height, width).swapaxes(1, 2).reshape(rows * height, columns * width)


def _draw_weights(kind: str, pictures: np.ndarray, bias: np.ndarray | None, names: Sequence[str]) -> Section:
    """scale: the weight drawn at full colour. pictures: (caption, picture, bias or None, lean or None), of
    which lean is the bias as a share of the largest, of classes only, whose answers it moves directly."""
    shown = pictures[: max(_SHOWN, len(names))]
    # A few extreme weights (of pixels that are always black, say) must not fade all others.
    scale = float(np.nanquantile(np.abs(shown), 0.995))
    biases = [None] * len(shown) if bias is None else bias[: len(shown)].tolist()
    largest = float(np.abs(bias).max(initial=0.0)) if names and bias is not None else 0.0
    drawn = [
        (
            names[i] if names else str(i),
            signed_picture(picture, scale),
            each,
            round(each / largest, 3) if largest and each is not None else None,
        )
        for i, (picture, each) in enumerate(zip(shown, biases, strict=True))
    ]
    return {"kind": kind, "total": len(pictures), "scale": scale, "pictures": drawn}
