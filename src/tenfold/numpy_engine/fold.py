"""Batch normalisation folded into the layer before it: what answering needs, and nothing else.

Once its running statistics are fixed, batch-norm is y = scale x + shift. Behind a layer that is
itself x = W u + b this makes y = (scale W) u + (scale b + shift): one layer, with other numbers
(Jacob et al. 2018, section 3.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tenfold.networks.shapes import Layer, Network, Parameter
from tenfold.numpy_engine.norm import scale_and_shift

__all__ = ["fold_network"]

Values = dict[str, np.ndarray]


def fold_network(network: Network, values: Mapping[str, np.ndarray]) -> tuple[Network, Values]:
    """A network that answers the same when it does not learn, and its parameters.

    Without dropout, and without every batch-norm that follows a convolution or linear layer.
    """
    folded = dict(values)
    network = replace(network, layers=_fold(network.layers, folded))
    return network, {p.name: folded[p.name] for p in network.parameters()}


def _fold(layers: Sequence[Layer], values: Values) -> tuple[Layer, ...]:
    """The layers that stay; `values` gets their numbers."""
    kept: list[Layer] = []
    for layer in layers:
        kind = layer.spec.kind
        if kind == "dropout":
            continue
        if kind == "batch-norm" and kept and kept[-1].spec.kind in ("conv", "linear"):
            kept[-1] = _merge(kept[-1], layer, values)
        elif kind == "residual":
            kept.append(replace(layer, inner=_fold(layer.inner, values)))
        else:
            kept.append(layer)
    return tuple(kept)


def _merge(layer: Layer, norm: Layer, values: Values) -> Layer:
    """A convolution or linear layer that does its batch-norm's work too; it has a bias then."""
    weight = layer.parameters[0]
    bias = Parameter(f"{layer.spec.name}.bias", weight.shape[:1], "bias")
    names = ("weight", "bias", "running_mean", "running_var")
    scale, shift = scale_and_shift(*(values[f"{norm.spec.name}.{name}"].astype(np.float64) for name in names))
    values[weight.name] = values[weight.name] * scale.reshape(-1, *[1] * (len(weight.shape) - 1))
    values[bias.name] = shift + (values[bias.name] * scale if layer.spec.bias else 0)
    return replace(layer, spec=replace(layer.spec, bias=True), parameters=(weight, bias))
