"""Gradients by PyTorch's autograd in float64, for `tenfold gradcheck` to compare with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from tenfold.engines.base import EngineOptions
from tenfold.networks.shapes import Network
from tenfold.torch_engine.losses import compute_loss
from tenfold.torch_engine.modules import Dropout, build_module, load_weights, named_arrays

__all__ = ["autograd_gradients"]


def autograd_gradients(
    network: Network,
    weights: Mapping[str, np.ndarray],
    options: EngineOptions,
    images: np.ndarray,
    labels: np.ndarray,
) -> dict[str, np.ndarray]:
    """float64 gradients of the loss (mean or sum, as options.loss.reduction) by parameter name.

    images: uint8 (N, H, W); labels: int64 (N,). Dropout is off; batch-norm takes the batch's
    statistics, as in training.
    """
    module = build_module(network, torch.Generator()).to(torch.float64)
    load_weights(module, weights)
    for layer in module.modules():
        layer.train(not isinstance(layer, Dropout))
    inputs = (torch.tensor(images).double()[:, None] / 255 - options.mean) / options.std
    compute_loss(module(inputs), torch.tensor(labels), options.loss).objective.backward()
    gradients = {name: tensor.grad for name, tensor in module.named_parameters() if tensor.grad is not None}
    return named_arrays(gradients)
