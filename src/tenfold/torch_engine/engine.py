"""The verbs of tenfold.networks.engine on PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np
import torch
from torch import nn

from tenfold.arrays import Batch
from tenfold.augmentation import AugmentationDraws
from tenfold.errors import ModelError, UsageError
from tenfold.networks.engine import EngineOptions, StepResult, output_weights, refuse_lines
from tenfold.networks.shapes import Layer, Network
from tenfold.torch_engine.augment import augment
from tenfold.torch_engine.losses import compute_loss, restore_columns
from tenfold.torch_engine.machine import choose_device, choose_precision
from tenfold.torch_engine.modules import build_module, load_weights, named_arrays
from tenfold.torch_engine.optimisers import Optimiser, WeightAverage

# Of one layer's float32 output in `logits`; beyond 32 MB an allocation goes to the kernel each time.
_CHUNK_BYTES = 8 << 20


class TorchEngine:
    """A network that learns and answers with PyTorch.

    precision: "float32", "float64" or "bfloat16", as it was chosen. Forward and backward, and
    `logits` too, compute in it; with bfloat16 weights, loss and optimiser stay float32.
    device: where the tensors are.
    Raises UsageError for a device that is not there, ModelError for weights that do not fit.
    """

    name = "torch"

    def __init__(self, network: Network, weights: Mapping[str, np.ndarray], options: EngineOptions) -> None:
        self.network, self.device = network, choose_device(options.device)
        self.options = replace(options, device=self.device.type)
        convolutional = any(len(parameter.shape) == 4 for parameter in network.parameters())
        self._dtype = choose_precision(options.precision, self.device, convolutional=convolutional)
        self.precision = str(self._dtype).removeprefix("torch.")
        self._stored = torch.float64 if self._dtype == torch.float64 else torch.float32
        self._generator = torch.Generator(self.device).manual_seed(options.seed)
        self._module = self._build(weights)
        self._learned = dict(self._module.named_parameters())
        self._optimiser = Optimiser(network.parameters(), self._learned, options.optimiser)
        self._answering, self._average = self._module, None
        if options.average_decay:
            self._answering = self._build(weights).requires_grad_(False)
            averages = dict(self._answering.named_parameters())
            self._average = WeightAverage(self._learned, averages, options.average_decay)

    def _build(self, weights: Mapping[str, np.ndarray]) -> nn.Sequential:
        module = build_module(self.network, self._generator).to(self.device, self._stored)
        for parameter in module.parameters():
            if parameter.dim() == 4:
                parameter.data = parameter.data.to(memory_format=torch.channels_last)
        load_weights(module, weights)
        return module

    def train_step(self, batch: Batch, learning_rate: float) -> StepResult:
        """Loss and right answers are tensors on the device: nothing waits for them here."""
        self._refuse_single(batch)
        self._sized(batch.images)  # refuses a width that does not fit
        inputs = self._inputs(batch.images, batch.augmentation)
        labels = torch.tensor(batch.labels, device=self.device)
        logits = self._forward(self._module.train(), inputs)
        weights = None
        if batch.image_weights is not None:
            weights = torch.tensor(batch.image_weights, device=self.device, dtype=self._stored)
        result = compute_loss(logits, labels, self.options.loss, weights)
        result.objective.backward()
        self._optimiser.step(learning_rate)
        if self._average:
            self._average.update()
        return StepResult(result.mean, result.correct)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W) -> float32 (N, K), of a line network (N, T, K); in chunks that bound the memory."""
        network = self._sized(images)
        rows = np.empty((len(images), *network.output_shape), dtype=np.float32)
        module = self._prepare_answering()
        with torch.inference_mode():
            for part in _chunks(network, len(images)):
                logits = self._forward(module, self._inputs(images[part], None))
                rows[part] = restore_columns(logits, self.options.loss).cpu().numpy()
        return rows

    def input_gradient(self, images: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """d logit / d input of each pixel, float32 (N, H, W), by autograd; see Engine."""
        gradients = np.empty(images.shape, dtype=np.float32)
        network = self._sized(images)
        weights = output_weights(outputs, network)
        module = self._prepare_answering()
        for part in _chunks(network, len(images)):
            inputs = self._inputs(images[part], None).requires_grad_()
            logits = restore_columns(self._forward(module, inputs), self.options.loss)
            total = (logits * torch.tensor(weights[part], device=self.device)).sum()
            (gradient,) = torch.autograd.grad(total, inputs)
            gradients[part] = gradient[:, 0].cpu().numpy()
        return gradients

    def features(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W) -> float32 (N, D), what enters the last linear layer."""
        refuse_lines(self.network)
        rows = np.empty((len(images), self.network.feature_count), dtype=np.float32)
        module = self._prepare_answering()[: self.network.head]
        with torch.inference_mode():
            for part in _chunks(self.network, len(images)):
                rows[part] = self._forward(module, self._inputs(images[part], None)).cpu().numpy()
        return rows

    def weights(self) -> dict[str, np.ndarray]:
        """Of the average where it is on; running statistics are those of the network that learns."""
        arrays = named_arrays(self._prepare_answering().state_dict())
        return {name: array.astype(np.float32, copy=False) for name, array in arrays.items()}

    def state(self) -> dict[str, np.ndarray]:
        """Keys: weights/NAME, optimiser/NAME, average/NAME, random/generator."""
        state = _prefixed("weights", named_arrays(self._module.state_dict()))
        state |= _prefixed("optimiser", self._optimiser.state())
        if self._average:
            state |= _prefixed("average", self._average.state())
        return state | {"random/generator": self._generator.get_state().numpy().copy()}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Raises ModelError, before anything is changed, for a state of another network or options."""
        _refuse_unlike(self.state(), state)
        load_weights(self._module, _without_prefix("weights", state))
        self._optimiser.load_state(_without_prefix("optimiser", state))
        if self._average:
            self._average.load_state(_without_prefix("average", state))
        self._generator.set_state(torch.tensor(state["random/generator"]))

    def _prepare_answering(self) -> nn.Sequential:
        for copy, original in zip(self._answering.buffers(), self._module.buffers(), strict=True):
            if copy is not original:
                copy.copy_(original)
        return self._answering.eval()

    def _sized(self, images: np.ndarray) -> Network:
        """The network for images (N, H, W) of this width, which is free only for line networks."""
        return self.network.at_width(images.shape[2]) if self.network.reads_lines else self.network

    def _forward(self, module: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        """Outputs, such as logits (N, K), in the type that the weights are stored in."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._dtype == torch.bfloat16):
            outputs: torch.Tensor = module(inputs)
        return outputs.to(self._stored)

    def _inputs(self, images: np.ndarray, draws: AugmentationDraws | None) -> torch.Tensor:
        """(N, 1, H, W): (pixel / 255 - mean) / std."""
        pixels = torch.tensor(images, device=self.device)
        pixels = (augment(pixels, draws) if draws else pixels).to(self._stored)
        inputs = pixels.div_(255).sub_(self.options.mean).div_(self.options.std)
        return inputs[:, None]

    def _refuse_single(self, batch: Batch) -> None:
        rows = any(len(layer.input_shape) == 1 for layer in _norms(self.network.layers))
        if rows and len(batch) == 1:
            raise UsageError(
                "batch-norm behind flatten met a batch of one image, which has no variance",
                remedy="set training.drop_last = true or another batch_size",
            )


def _refuse_unlike(own: Mapping[str, np.ndarray], state: Mapping[str, np.ndarray]) -> None:
    odd = sorted(own.keys() ^ state.keys())
    odd += [name for name in own if name in state and own[name].shape != np.shape(state[name])]
    if odd:
        raise ModelError(
            f"the state of training does not fit: {odd[0]!r} is missing, unknown or of another shape",
            expected="the state of a PyTorch engine with the same network and options",
            remedy="resume with the recipe and the engine the run was started with",
        )


def _norms(layers: tuple[Layer, ...]) -> list[Layer]:
    inner = [norm for layer in layers for norm in _norms(layer.inner)]
    return [layer for layer in layers if layer.spec.kind == "batch-norm"] + inner


def _chunks(network: Network, count: int) -> list[slice]:
    """Parts of so many images, small enough for the memory that one layer may take."""
    length = max(1, _CHUNK_BYTES // (4 * _largest_output(network.layers, prod(network.input_shape))))
    return [slice(start, start + length) for start in range(0, count, length)]


def _largest_output(layers: tuple[Layer, ...], largest: int) -> int:
    """Numbers per image in the widest place of the network."""
    for layer in layers:
        largest = max(_largest_output(layer.inner, largest), prod(layer.output_shape))
    return largest


def _prefixed(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {f"{prefix}/{name}": array for name, array in arrays.items()}


def _without_prefix(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    start = f"{prefix}/"
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
