"""A Network -> torch modules whose parameters carry exactly the Network's names; gradients by autograd."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from math import prod

import numpy as np
import torch
from torch import nn

from tenfold.errors import ModelError
from tenfold.helpers import Ranks
from tenfold.networks.engine import EngineOptions
from tenfold.networks.layers import LayerSpec
from tenfold.networks.own import make_part
from tenfold.networks.shapes import Layer, Network
from tenfold.torch_engine.losses import compute_loss

__all__ = ["autograd_gradients"]


class Dropout(nn.Module):
    """Inverted dropout (Srivastava et al. 2014) whose mask comes from an explicit generator."""

    def __init__(self, rate: float, generator: torch.Generator, ranks: Ranks | None = None) -> None:
        super().__init__()
        self.rate, self.generator, self.ranks = rate, generator, ranks or Ranks()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if not self.training or self.rate == 0:
            return inputs
        keep = 1 - self.rate
        mask = self._empty_mask(inputs).bernoulli_(keep, generator=self.generator)
        if self.ranks.count > 1:
            mask = mask[self.ranks.share(self.ranks.total)]
        return inputs * mask.div_(keep)

    def _empty_mask(self, inputs: torch.Tensor) -> torch.Tensor:
        """Of the images of all processes, in the order of memory in which one process would draw it."""
        if self.ranks.count == 1:
            return torch.empty_like(inputs)
        shape = inputs.shape[1:]
        return inputs.new_empty_strided((self.ranks.total, *shape), (prod(shape), *inputs.stride()[1:]))


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


class LayerNorm(nn.LayerNorm):
    """Over the channels of each pixel of (N, C, H, W), or the numbers of a row (N, C)."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if inputs.ndim == 2:
            return super().forward(inputs)
        return super().forward(inputs.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class PixelUnshuffle(nn.PixelUnshuffle):
    """Rows and columns that are left over are cut off."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        k, (height, width) = self.downscale_factor, inputs.shape[2:]
        if height % k or width % k:
            inputs = inputs[:, :, : height - height % k, : width - width % k]
        return super().forward(inputs)


class Scale(nn.Module):
    """Multiplies by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs * self.factor


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


def build_module(network: Network, generator: torch.Generator, ranks: Ranks | None = None) -> nn.Module:
    """The network with parameters that are not yet filled: `load_weights` fills them.

    `generator` draws dropout's masks. `state_dict` holds exactly `network.parameters()`.
    ranks: the processes that share each batch in training.
    """
    if network.whole:
        module: nn.Module = make_part(network.layers[0].spec, network.input_shape)
        return module
    return nn.Sequential(_children(network.layers, generator, ranks or Ranks()))


def _children(
    layers: tuple[Layer, ...], generator: torch.Generator, ranks: Ranks
) -> OrderedDict[str, nn.Module]:
    children: OrderedDict[str, nn.Module] = OrderedDict()
    before = ""
    for layer in layers:
        kind = layer.spec.kind
        if kind == "residual":
            module: nn.Module = Residual(_children(layer.inner, generator, ranks))
        elif kind == "own":
            module = make_part(layer.spec, layer.input_shape)
        elif kind == "dropout":
            module = Dropout(layer.spec.rate, generator, ranks)
        elif kind == "batch-norm" and ranks.count > 1:
            from tenfold.torch_engine.ranks import BatchNorm  # torch.distributed takes a while to import

            module = BatchNorm(layer.input_shape[0], ranks)
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
    "depthwise": lambda spec, shape: Convolution(
        shape[0], shape[0], spec.kernel, spec.stride, spec.padding, groups=shape[0], bias=spec.bias
    ),
    "batch-norm": _batch_norm,
    "layer-norm": lambda _, shape: LayerNorm(shape[0]),
    "max-pool": lambda spec, _: nn.MaxPool2d(spec.kernel, spec.stride),
    "average-pool": lambda spec, _: nn.AvgPool2d(spec.kernel, spec.stride),
    "global-average-pool": lambda *_: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    "pixel-unshuffle": lambda spec, _: PixelUnshuffle(spec.kernel[0]),
    "columns": lambda spec, _: Columns(spec.units or 1),
    "flatten": lambda *_: Flatten(),
    "sigmoid": lambda *_: nn.Sigmoid(),
    "tanh": lambda *_: nn.Tanh(),
    "gelu": lambda *_: nn.GELU(),
    "silu": lambda *_: nn.SiLU(),
    "scale": lambda spec, _: Scale(spec.rate),
}


def channels_first(pixels: torch.Tensor) -> torch.Tensor:
    """(N, H, W) -> (N, 1, H, W), or (N, H, W, 3) -> (N, 3, H, W): a view."""
    return pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)


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

    images: uint8 (N, H, W) or (N, H, W, 3); labels: int64 (N,). Dropout is off; batch-norm takes the batch's
    statistics, as in training.
    """
    module = build_module(network, torch.Generator()).to(torch.float64)
    load_weights(module, weights)
    for layer in module.modules():
        layer.train(not isinstance(layer, Dropout))
    inputs = channels_first((torch.tensor(images).double() / 255 - options.mean) / options.std)
    compute_loss(module(inputs), torch.tensor(labels), options.loss).objective.backward()
    gradients = {name: tensor.grad for name, tensor in module.named_parameters() if tensor.grad is not None}
    return named_arrays(gradients)
