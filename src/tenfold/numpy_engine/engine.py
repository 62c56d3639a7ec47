"""The NumPy engine: the verbs of `tenfold.networks.engine` on layers written by hand."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tenfold.arrays import Batch
from tenfold.errors import ModelError
from tenfold.networks.engine import EngineOptions, StepResult
from tenfold.networks.shapes import Network
from tenfold.numpy_engine.losses import Loss, move_labels
from tenfold.numpy_engine.network import RunningNetwork, scale_pixels
from tenfold.numpy_engine.optimisers import OPTIMISERS
from tenfold.numpy_engine.runtime.answers import AnsweringNetwork
from tenfold.numpy_engine.runtime.memory import ParameterStore, Space, pack_random_state, unpack_random_state
from tenfold.numpy_engine.runtime.products import own_threads

if TYPE_CHECKING:
    from tenfold.numpy_engine.runtime.batches import BlockGradients

__all__ = ["NumpyEngine"]


class NumpyEngine:
    """Trains and answers with NumPy alone.

    It computes in float32, or in float64 where options.precision says so, on the processor.
    Raises ModelError where the weights do not fit the network.
    """

    name = "numpy"

    def __init__(self, network: Network, weights: dict[str, np.ndarray], options: EngineOptions) -> None:
        self.network, self.options = network, replace(options, device="cpu")
        self.precision = "float64" if options.precision == "float64" else "float32"
        dtype = np.dtype(self.precision)
        self.store = ParameterStore.of(network, weights, dtype)
        self.layers = RunningNetwork(network, self.store, seed=options.seed)
        self.loss = Loss.chosen(options)
        learned = self.store.learned_parameters
        self.optimiser = OPTIMISERS[options.optimiser.name](options.optimiser, learned, dtype)
        self.average = ParameterStore.of(network, weights, dtype) if options.average_decay else None
        self.answering: AnsweringNetwork | None = None  # made when asked, dropped when weights change
        self.space = Space(dtype)

    def train_step(self, batch: Batch, learning_rate: float) -> StepResult:
        """Forward, loss, backward, one step of the optimiser."""
        self.answering = None
        with own_threads():
            images = self._augmented(batch)
            if self.network.reads_lines:
                self.network.at_width(images.shape[2])  # refuses what does not fit
            labels = move_labels(batch.labels, self.options.loss, self.network.classes)
            if self.blocks is not None and len(batch) > self.blocks.length:
                loss, correct = self.blocks.add_up(images, labels, batch.image_weights)
            else:
                logits = self.layers.forward(self.scaled(images), training=True)
                loss, gradient = self.loss(logits, labels, batch.image_weights)
                correct = self.loss.count_right(logits, labels)
                self.layers.backward(gradient)
            self.optimiser.step(self.store.learned, self.store.gradients, learning_rate)
            if self.average is not None:
                self._follow(self.average)
        return StepResult(loss, correct)

    @cached_property
    def blocks(self) -> BlockGradients | None:
        """For large batches, where an image's gradient does not depend on the batch it comes in."""
        from tenfold.numpy_engine.runtime import batches  # who only asks for answers needs none of it

        if self.options.own_loss or not batches.learns_by_image(self.network):
            return None
        return batches.BlockGradients(self.network, self.store, self.options)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W) -> float32 (N, K), or of a line network (N, T, K), without dropout and with
        batch-norm's running statistics; of the averaged weights where there are any."""
        answers = self._settled().logits(images)
        shift = self.options.loss.label_shift
        return np.roll(answers, -shift, axis=1) if shift else answers

    def input_gradient(self, images: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """d logit / d input of each pixel, float32 (N, H, W); see Engine."""
        weights = self.network.output_weights(outputs)
        shift = self.options.loss.label_shift
        weights = np.roll(weights, shift, axis=1) if shift else weights
        return self._settled().input_gradient(images, weights).astype(np.float32, copy=False)

    def features(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W) -> float32 (N, D), what enters the last linear layer."""
        return self._settled().features(images)

    def _settled(self) -> AnsweringNetwork:
        """What answers with the parameters as they are now."""
        if self.answering is None:
            values = self._best().values
            self.answering = AnsweringNetwork(self.network, values, self.options, self.store.dtype)
        return self.answering

    def scaled(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels 0..255 -> (pixel / 255 - mean) / std."""
        return scale_pixels(pixels, self.options, self.space)

    def _augmented(self, batch: Batch) -> np.ndarray:
        if batch.augmentation is None:
            return batch.images
        from tenfold.numpy_engine.runtime.batches import augment

        return augment(batch.images, batch.augmentation, space=self.space)

    def weights(self) -> dict[str, np.ndarray]:
        """float32 copies by name; the averaged ones where there are any."""
        return self._best().copies()

    def _best(self) -> ParameterStore:
        """The averaged parameters where there are any, with the running statistics of batch-norm."""
        if self.average is None:
            return self.store
        np.copyto(self.average.statistics, self.store.statistics)
        return self.average

    def state(self) -> dict[str, np.ndarray]:
        """Keys: weights/NAME, average/NAME, optimiser/NAME, random/LAYER."""
        state = {f"weights/{name}": value.copy() for name, value in self.store.values.items()}
        if self.average is not None:
            state |= {f"average/{name}": value.copy() for name, value in self.average.values.items()}
        for name, value in self.optimiser.state().items():
            state[f"optimiser/{name}"] = self.store.row_by_row(value) if value.ndim else value
        streams = self.layers.random_streams()
        return state | {f"random/{name}": pack_random_state(rng) for name, rng in streams.items()}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Raises ModelError when the state is not of an engine with these options; then nothing
        has been changed."""
        self._check_state(state)
        self.answering = None
        self.store.load(_section(state, "weights"))
        if self.average is not None:
            self.average.load(_section(state, "average"))
        memory = _section(state, "optimiser").items()
        self.optimiser.load_state({k: self.store.as_it_lies(v) if v.ndim else v for k, v in memory})
        for name, rng in self.layers.random_streams().items():
            unpack_random_state(rng, state[f"random/{name}"])

    def _check_state(self, state: dict[str, np.ndarray]) -> None:
        """Before anything is changed: the same names and shapes as this engine's own state."""
        own = self.state()
        odd = sorted(set(own) ^ set(state))
        odd += [name for name in own if name in state and own[name].shape != np.shape(state[name])]
        if odd:
            raise ModelError(
                f"the state of training does not fit: {odd[0]!r} is missing, unknown or of another shape",
                expected="the state of the same network and options",
                remedy="resume with the recipe the run was started with",
            )

    def _follow(self, average: ParameterStore) -> None:
        """average = decay * average + (1 - decay) * weights. At first the decay is small, so that
        the average soon forgets where the network started."""
        steps = self.optimiser.steps
        decay = min(self.options.average_decay, (1 + steps) / (10 + steps))
        change = self.space("average", average.learned.shape)
        np.subtract(self.store.learned, average.learned, out=change)
        change *= 1 - decay
        average.learned += change


def _section(state: dict[str, np.ndarray], title: str) -> dict[str, np.ndarray]:
    start = f"{title}/"
    return {key.removeprefix(start): value for key, value in state.items() if key.startswith(start)}
