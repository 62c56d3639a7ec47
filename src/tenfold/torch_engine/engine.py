"""The operations of tenfold.networks.engine on PyTorch, and the optimiser that moves the weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import prod, sqrt
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd
from torch.optim.swa_utils import get_ema_multi_avg_fn

from tenfold.arrays import Batch
from tenfold.augmentation import AugmentationDraws
from tenfold.errors import ModelError, UsageError
from tenfold.helpers import Ranks
from tenfold.networks.engine import EngineOptions, StepResult
from tenfold.networks.shapes import Network, Parameter
from tenfold.numerics import orthogonalise
from tenfold.settings import OptimiserSettings
from tenfold.torch_engine.augment import augment
from tenfold.torch_engine.losses import LossResult, compute_loss
from tenfold.torch_engine.machine import choose_device, choose_precision
from tenfold.torch_engine.modules import build_module, channels_first, load_weights, named_arrays

# Of one layer's float32 output in `logits`; beyond 32 MB an allocation goes to the kernel each time.
_CHUNK_BYTES = 8 << 20


class TorchEngine:
    """A network that learns and answers with PyTorch; its methods are those of `Engine`.

    precision: "float32", "float64" or "bfloat16", as it was chosen. Forward and backward, and
    `logits` too, compute in it; with bfloat16 weights, loss and optimiser stay float32.
    device: where the tensors are.
    Raises UsageError for a device that is not there, ModelError for weights that do not fit.
    """

    name = "torch"

    def __init__(self, network: Network, weights: Mapping[str, np.ndarray], options: EngineOptions) -> None:
        self.network, self.device = network, choose_device(options.device)
        self.options, self._ranks = replace(options, device=self.device.type, ranks=Ranks()), options.ranks
        self._dtype = options.ranks.first(
            lambda: choose_precision(options.precision, self.device, convolutional=network.convolutional)
        )
        self.precision = str(self._dtype).removeprefix("torch.")
        self._stored = torch.float64 if self._dtype == torch.float64 else torch.float32
        self._generator = torch.Generator(self.device).manual_seed(options.seed)
        self._module = self._answering = self._build(weights)
        self._learned = dict(self._module.named_parameters())
        self._optimiser = Optimiser(network.parameters(), self._learned, options.optimiser)
        self._averages: dict[str, torch.Tensor] = {}
        if options.average_decay:
            self._answering = self._build(weights).requires_grad_(False)
            self._averages = dict(self._answering.named_parameters())

    def _build(self, weights: Mapping[str, np.ndarray]) -> nn.Module:
        module = build_module(self.network, self._generator, self._ranks)
        module.to(self.device, self._stored, memory_format=torch.channels_last)  # type: ignore[call-overload]
        load_weights(module, weights)
        return module

    def train_step(self, batch: Batch, learning_rate: float) -> StepResult:
        """Loss and right answers are tensors on the device: nothing waits for them here."""
        shapes = (each.input_shape for each in self.network.walk() if each.spec.kind == "batch-norm")
        if len(batch) == 1 and any(len(shape) == 1 for shape in shapes):
            found = "batch-norm behind flatten met a batch of one image, which has no variance"
            raise UsageError(found, remedy="set training.drop_last = true or another batch_size")
        self._sized(batch.images)  # refuses a width that does not fit
        total = len(batch)
        if self._ranks.count > 1:
            batch = batch.part(self._ranks.share(total))
        inputs = self._inputs(batch.images, batch.augmentation)
        labels = torch.tensor(batch.labels, device=self.device)
        logits = self._forward_to_learn(inputs)
        weights = None
        if batch.image_weights is not None:
            weights = torch.tensor(batch.image_weights, device=self.device, dtype=self._stored)
        share = total if self._ranks.count > 1 else None
        result = compute_loss(logits, labels, self.options.loss, weights, self.options.own_loss, share)
        result.objective.backward()
        if self._ranks.count > 1:
            result = self._sum(result)
        self._optimiser.step(learning_rate)
        if self._averages:
            decay = decay_at(self._optimiser.steps, self.options.average_decay)
            get_ema_multi_avg_fn(decay)([*self._averages.values()], [*self._learned.values()], None)
        return StepResult(result.mean, result.correct)

    def _sum(self, result: LossResult) -> LossResult:
        """Over the ranks: this, and the gradients where they lie."""
        gradients = [each.grad for each in self._learned.values() if each.grad is not None]
        correct = result.correct.to(self._stored)
        self._ranks.sum([*gradients, result.mean, correct])
        return result._replace(correct=correct.to(torch.int64))

    def logits(self, images: np.ndarray) -> np.ndarray:
        network = self._sized(images)
        rows = self._answer(self._prepare_answering(), images, network, network.output_shape)
        shift = self.options.loss.label_shift
        return np.roll(rows, -shift, axis=1) if shift else rows

    def input_gradient(self, images: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        gradients = np.empty(images.shape, dtype=np.float32)
        network, module = self._sized(images), self._prepare_answering()
        weights = np.roll(network.output_weights(outputs), self.options.loss.label_shift, axis=1)
        for part in _chunks(network, len(images)):
            inputs = self._inputs(images[part]).requires_grad_()
            total = (self._forward(module, inputs) * torch.tensor(weights[part], device=self.device)).sum()
            (gradient,) = torch.autograd.grad(total, inputs)
            rows = gradient.permute(0, 2, 3, 1).cpu().numpy()
            gradients[part] = rows if images.ndim == 4 else rows[..., 0]
        return gradients

    def features(self, images: np.ndarray) -> np.ndarray:
        shape = (self.network.feature_count,)
        module = self._prepare_answering()
        if isinstance(module, nn.Sequential) and not self.network.whole:
            module = module[: self.network.head]
        return self._answer(module, images, self.network, shape)

    def _answer(
        self, module: nn.Module, images: np.ndarray, network: Network, shape: tuple[int, ...]
    ) -> np.ndarray:
        """float32 (N, *shape)."""
        rows = np.empty((len(images), *shape), dtype=np.float32)
        with torch.inference_mode():
            for part in _chunks(network, len(images)):
                rows[part] = self._forward(module, self._inputs(images[part])).cpu().numpy()
        return rows

    def weights(self) -> dict[str, np.ndarray]:
        """Of the average where it is on; running statistics are those of the network that learns."""
        arrays = named_arrays(self._prepare_answering().state_dict())
        return {name: array.astype(np.float32, copy=False) for name, array in arrays.items()}

    def state(self) -> dict[str, np.ndarray]:
        """Keys: weights/NAME, optimiser/NAME, average/NAME, random/generator."""
        steps = np.array(self._optimiser.steps, dtype=np.int64)
        state = named_arrays(self._tensors()) | ({"average/steps": steps} if self._averages else {})
        generator = self._generator.get_state().numpy().copy()
        return state | {"optimiser/steps": steps, "random/generator": generator}

    def _tensors(self) -> dict[str, torch.Tensor]:
        parts = {
            "weights": self._module.state_dict(),
            "optimiser": self._optimiser.buffers,
            "average": self._averages,
        }
        return {f"{part}/{name}": value for part, named in parts.items() for name, value in named.items()}

    @torch.no_grad()
    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Raises ModelError, before anything is changed, for a state of another network or options."""
        own = self.state()
        odd = sorted(own.keys() ^ state.keys())
        odd += [name for name in own if name in state and own[name].shape != np.shape(state[name])]
        if odd:
            found = f"the state of training does not fit: {odd[0]!r} is missing, unknown or of another shape"
            expected = "the state of a PyTorch engine with the same network and options"
            remedy = "resume with the recipe and the engine the run was started with"
            raise ModelError(found, expected=expected, remedy=remedy)
        for name, tensor in self._tensors().items():
            tensor.copy_(torch.tensor(state[name]))
        self._optimiser.steps = int(state["optimiser/steps"])
        self._generator.set_state(torch.tensor(state["random/generator"]))

    def _prepare_answering(self) -> nn.Module:
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

    def _forward_to_learn(self, inputs: torch.Tensor) -> torch.Tensor:
        """A user's modules draw from the global generator: for a step, from the seed and its number."""
        if not self.network.own_engine:
            return self._forward(self._module.train(), inputs)
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed((self.options.seed << 20) + self._optimiser.steps)
            return self._forward(self._module.train(), inputs)

    def _inputs(self, images: np.ndarray, draws: AugmentationDraws | None = None) -> torch.Tensor:
        """(N, 1, H, W), in colour (N, 3, H, W): (pixel / 255 - mean) / std."""
        pixels = torch.tensor(np.asarray(images), device=self.device)
        pixels = (augment(pixels, draws) if draws and len(images) else pixels).to(self._stored)
        return channels_first(pixels.div_(255).sub_(self.options.mean).div_(self.options.std))


def _chunks(network: Network, count: int) -> list[slice]:
    """Parts of so many images, small enough for the memory that the widest layer may take."""
    largest = max(map(prod, [network.input_shape, *(layer.output_shape for layer in network.walk())]))
    length = max(1, _CHUNK_BYTES // (4 * largest))
    return [slice(start, start + length) for start in range(0, count, length)]


def decay_at(step: int, decay: float) -> float:
    """Of the moving average of the weights (Polyak & Juditsky 1992) after step 1, 2, ...: small at first, as
    in TensorFlow, so that the random start is soon forgotten."""
    return min(decay, (1 + step) / (10 + step))


class Optimiser:
    """sgd, adam and adamw by the functions of torch.optim, which move `tensors` in place; muon, of which
    torch.optim has bfloat16 alone, as in the NumPy engine.

    The first object of its classes would import torch._dynamo, which takes seconds.

    steps: taken so far. buffers: by `KIND.PARAMETER`; sgd has momentum, the others have the mean of the
    gradient and of its square.
    """

    def __init__(
        self,
        parameters: Iterable[Parameter],
        tensors: Mapping[str, torch.Tensor],
        settings: OptimiserSettings,
    ) -> None:
        """`tensors` by name, leaves of autograd; those that a factor of 0 freezes ask for no gradient
        and do not count in the norm that is clipped."""
        self._settings, self.steps = settings, 0
        momentum = ("momentum",) * (settings.momentum > 0)
        self._kinds = momentum if settings.name == "sgd" else ("mean", "square")
        # names by factor on the learning rate and weight decay
        self._groups: dict[tuple[float, float], list[str]] = {}
        parameters = [*parameters]
        self._matrices = Parameter.matrices(parameters, settings)
        for parameter in parameters:
            if parameter.learned:
                factor, decay = settings.factor_of(parameter.name), settings.decay_of(parameter.role)
                tensors[parameter.name].requires_grad_(factor > 0)
                if factor > 0:
                    self._groups.setdefault((factor, decay), []).append(parameter.name)
        self._tensors = {name: tensors[name] for names in self._groups.values() for name in names}
        self.buffers = {
            f"{kind}.{name}": torch.zeros_like(tensor, requires_grad=False)
            for kind in self._kinds
            for name, tensor in self._tensors.items()
        }

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """One step along the gradients in `.grad`, which it clears."""
        if self._settings.clip_norm and self._tensors:
            nn.utils.clip_grad_norm_(self._tensors.values(), self._settings.clip_norm)
        for (factor, decay), names in self._groups.items():
            self._turn([name for name in names if name in self._matrices], learning_rate * factor, decay)
            others = [name for name in names if name not in self._matrices]
            if others:
                self._update(others, learning_rate * factor, decay)
        for tensor in self._tensors.values():
            tensor.grad = None
        self.steps += 1

    def _turn(self, names: list[str], rate: float, decay: float) -> None:
        """See tenfold.numpy_engine.optimisers.Muon."""
        beta = self._settings.betas[0]
        for name in names:
            tensor, momentum = self._tensors[name], self.buffers[f"mean.{name}"]
            gradient = cast(torch.Tensor, tensor.grad)
            momentum.lerp_(gradient, 1 - beta)
            change = orthogonalise(gradient.lerp(momentum, beta).flatten(1))
            tensor.mul_(1 - rate * decay)
            tensor.sub_(change.reshape(tensor.shape), alpha=rate * 0.2 * sqrt(max(change.shape)))

    def _update(self, names: list[str], rate: float, decay: float) -> None:
        s, tensors = self._settings, [self._tensors[name] for name in names]
        gradients = cast(list[torch.Tensor], [tensor.grad for tensor in tensors])
        buffers = [[self.buffers[f"{kind}.{name}"] for name in names] for kind in self._kinds]
        if s.name == "sgd":
            momenta: list[torch.Tensor | None] = [*buffers[0]] if buffers else [None] * len(names)
            sgd(
                tensors, gradients, momenta, fused=True, foreach=False, weight_decay=decay,
                momentum=s.momentum, lr=rate, dampening=0.0, nesterov=s.nesterov and s.momentum > 0,
                maximize=False,
            )  # fmt: skip
            return
        means, squares = buffers
        steps = torch.full((len(names),), float(self.steps), device=tensors[0].device)  # the call adds 1
        (adam if s.name == "adam" else adamw)(
            tensors, gradients, means, squares, [], list(steps), fused=True, foreach=False, amsgrad=False,
            beta1=s.betas[0], beta2=s.betas[1], lr=rate, weight_decay=decay, eps=s.epsilon, maximize=False,
        )  # fmt: skip
