"""The first layer's weights as pictures: what each unit, class or filter looks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tenfold.networks.shapes import Layer, Network
from tenfold.recipes.schema import Recipe
from tenfold.show.components import signed_picture

_SHOWN = 64
# What may stand between the pixels and a linear layer without moving a pixel from its place.
_IN_PLACE = {"flatten", "dropout", "batch-norm", "relu", "sigmoid", "tanh"}


@dataclass(frozen=True)
class WeightPicture:
    """caption: the class or the unit's number. bias: as text, empty where the layer has none.

    lean: the bias as a share of the largest, -1 to 1; of classes only, whose answers it moves directly.
    """

    caption: str
    bias: str
    picture: str
    lean: float | None = None


@dataclass(frozen=True)
class WeightPictures:
    """kind: "classes", "units" or "filters". scale: the weight drawn at full colour."""

    kind: str
    layer: str
    total: int
    scale: float
    pictures: tuple[WeightPicture, ...]


def draw_first_weights(
    recipe: Recipe, network: Network, weights: dict[str, np.ndarray], class_names: Sequence[str]
) -> WeightPictures | None:
    """Up to 64 pictures (all classes of a network of one layer), or None where pixels have no place.

    The class c lies in row (c + loss.label_shift) mod K of the last layer.
    """
    layer = _first_with_weight(network)
    if layer is None:
        return None
    values = weights[f"{layer.spec.name}.weight"].astype(np.float64)
    bias = weights.get(f"{layer.spec.name}.bias")
    if values.ndim == 4:
        return _draw(layer, "filters", [_tile(each) for each in values], bias, [])
    height, width = network.input_shape[1:]
    if not _sees_pixels(network, layer):
        return None
    pictures = list(values.reshape(-1, height, width))
    if layer is not network.layers[-1]:
        return _draw(layer, "units", pictures, bias, [])
    order = (np.arange(network.classes) + recipe.loss.label_shift) % network.classes
    turned = None if bias is None else bias[order]
    return _draw(layer, "classes", [pictures[row] for row in order], turned, class_names)


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


def _draw(
    layer: Layer,
    kind: str,
    pictures: Sequence[np.ndarray],
    bias: np.ndarray | None,
    names: Sequence[str],
) -> WeightPictures:
    shown = pictures[: max(_SHOWN, len(names))]
    # A few extreme weights (of pixels that are always black, say) must not fade all others.
    scale = float(np.nanquantile(np.abs(np.stack(shown)), 0.995))
    largest = float(np.abs(bias).max(initial=0.0)) if bias is not None else 0.0
    drawn = tuple(
        WeightPicture(
            caption=names[i] if names else str(i),
            bias="" if bias is None else f"{float(bias[i]):.3f}".replace("-", "−"),
            picture=signed_picture(picture, scale),
            lean=round(float(bias[i]) / largest, 3) if names and bias is not None and largest else None,
        )
        for i, picture in enumerate(shown)
    )
    return WeightPictures(kind, layer.spec.name, len(pictures), scale, drawn)
