"""A Network -> torch modules whose parameters carry exactly the Network's names; gradients by autograd."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn

from tenfold.errors import ModelError
from tenfold.networks.engine import EngineOptions
from tenfold.networks.layers import LayerSpec
from tenfold.networks.shapes import Layer, Network
from tenfold.torch_engine.losses import compute_loss

__all__ = ["autograd_gradients"]


class Dropout(nn.Module):
    """Inverted dropout (Srivastava et al. 2014) whose mask comes from an explicit generator."""

    def __init__(self, rate: float, generator: torch.Generator) -> None:
        super().__init__()
        self.rate, self.generator = rate, generator

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if not self.training or self.rate == 0:
            return inputs
        keep = 1 - self.rate
        mask = torch.empty_like(inputs).bernoulli_(keep, generator=self.generator)
        return inputs * mask.div_(keep)


class _Unfilled:
    """For layers that `load_weights` fills: nn's own would draw a start from the global generator, and
    nn.utils.skip_init, which spares that, imports SymPy."""

    def reset_parameters(self) -> None:
        pass


class Linear(_Unfilled, nn.Linear):
    pass


class Convolution(_Unfilled, nn.Conv2d):
    pass


class Flatten(nn.Module):
    """(N, C, H, W) -> (N, C H W)."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        if pictures.requires_grad and pictures.is_contiguous(memory_format=torch.channels_last):
            # Flattening sends the gradient back in another memory layout than that of the pictures, in
            # which the layers before are several times slower.
            pictures.register_hook(lambda gradient: gradient.contiguous(memory_format=torch.channels_last))
        return pictures.flatten(1)


class Columns(nn.Module):
    """(N, PARTS K, 1, T) -> (N, PARTS T, K)."""

    def __init__(self, parts: int) -> None:
        super().__init__()
        self.parts = parts

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        count, scores, _, _ = pictures.shape
        return pictures.squeeze(2).transpose(1, 2).reshape(count, -1, scores // self.parts)


class Residual(nn.Sequential):
    """Adds the inner layers' output to their input (He et al. 2016)."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs + super().forward(inputs)


def build_module(network: Network, generator: torch.Generator) -> nn.Sequential:
    """The network with parameters that are not yet filled: `load_weights` fills them.

    `generator` draws dropout's masks. `state_dict` holds exactly `network.parameters()`.
    """
    return nn.Sequential(_children(network.layers, generator))


def _children(layers: tuple[Layer, ...], generator: torch.Generator) -> OrderedDict[str, nn.Module]:
    children: OrderedDict[str, nn.Module] = OrderedDict()
    before = ""
    for layer in layers:
        kind = layer.spec.kind
        if kind == "residual":
            module: nn.Module = Residual(_children(layer.inner, generator))
        elif kind == "dropout":
            module = Dropout(layer.spec.rate, generator)
        elif kind == "relu":
            # In place only behind layers that need not see their own output again in the backward
            # pass, and never as the first of a residual, whose input is still to be added.
            module = nn.ReLU(inplace=before in ("conv", "linear", "batch-norm"))
        else:
            module = _BUILDERS[kind](layer.spec, layer.input_shape)
        children[layer.spec.name.rpartition(".")[2]] = module
        before = kind
    return children


def _batch_norm(_: LayerSpec, shape: tuple[int, ...]) -> nn.Module:
    norm = (nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d)(shape[0], eps=1e-5, momentum=0.1)
    norm.num_batches_tracked = None  # only needed where momentum is None; not a parameter of ours
    return norm


# A layer's spec and the shape of what it gets -> its module.
_BUILDERS: dict[str, Callable[[LayerSpec, tuple[int, ...]], nn.Module]] = {
    "linear": lambda spec, shape: Linear(shape[0], spec.units, bias=spec.bias),
    "conv": lambda spec, shape: Convolution(
        shape[0], spec.units, spec.kernel, spec.stride, spec.padding, bias=spec.bias
    ),
    "batch-norm": _batch_norm,
    "max-pool": lambda spec, _: nn.MaxPool2d(spec.kernel, spec.stride),
    "average-pool": lambda spec, _: nn.AvgPool2d(spec.kernel, spec.stride),
    "pixel-unshuffle": lambda spec, _: nn.PixelUnshuffle(spec.kernel[0]),
    "columns": lambda spec, _: Columns(spec.units or 1),
    "flatten": lambda *_: Flatten(),
    "sigmoid": lambda *_: nn.Sigmoid(),
    "tanh": lambda *_: nn.Tanh(),
}


@torch.no_grad()
def load_weights(module: nn.Module, weights: Mapping[str, np.ndarray]) -> None:
    """Copies the arrays into the module, in its own precision. Raises ModelError where names or
    shapes are not the module's."""
    own = module.state_dict()
    if own.keys() != weights.keys():
        odd = ", ".join(sorted(own.keys() ^ weights.keys()))
        raise ModelError(f"the weights and the network differ in: {odd}", expected="the same parameters")
    for name, tensor in own.items():
        if tuple(tensor.shape) != np.shape(weights[name]):
            found = f"the weight {name} has shape {np.shape(weights[name])}"
            raise ModelError(found, expected=f"{tuple(tensor.shape)}")
        tensor.copy_(torch.tensor(weights[name]))


def named_arrays(tensors: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Copies as NumPy arrays in C order."""
    return {name: np.array(tensor.detach().cpu().numpy(), order="C") for name, tensor in tensors.items()}


def autograd_gradients(
    network: Network,
    weights: Mapping[str, np.ndarray],
    options: EngineOptions,
    images: np.ndarray,
    labels: np.ndarray,
) -> dict[str, np.ndarray]:
    """float64 gradients of the loss (mean or sum, as options.loss.reduction) by parameter name, for
    `tenfold gradcheck` to compare with.

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
