"""A whole batch of pictures through a network, part by part: answers, and the gradient of the loss.

The numbers of a part stay in the processor's cache on their whole way through the network (and back), so the
pictures, one byte per pixel, are all that is read from memory. Parts are shared out to as many threads as
NumPy's matrix products would take.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import DTypeLike

from tenfold.networks.engine import EngineOptions
from tenfold.networks.shapes import Layer as LayerPlan
from tenfold.networks.shapes import Network
from tenfold.numpy_engine.layers import Flatten, Linear, walk
from tenfold.numpy_engine.losses import LOSSES
from tenfold.numpy_engine.network import RunningNetwork, scale_pixels
from tenfold.numpy_engine.runtime.answers import Kernels, build_answering_layers, fold_network
from tenfold.numpy_engine.runtime.memory import ParameterStore, Space
from tenfold.numpy_engine.runtime.products import column_sums, outer_sum, product
from tenfold.numpy_engine.runtime.threads import even_parts, limit_workers, one_blas_thread, share_out

# Numbers in the largest array between two layers: 512 Ki of float32 are 2 MiB.
CHUNK_NUMBERS = 1 << 19
# The same while learning: 4 MiB. In smaller blocks the threads wait for each other at Python's lock.
BLOCK_NUMBERS = 1 << 20


class AnsweringNetwork:
    """A network that only answers: its batch-norms folded, its parameters settled, no memory for learning.

    It answers with the parameters that it was made with; make another when they have changed.

    Several threads may ask at once. A large batch is shared out to as many threads as NumPy's
    matrix products would take (one where OMP_NUM_THREADS=1), four at most.
    """

    def __init__(
        self,
        network: Network,
        values: Mapping[str, np.ndarray],
        options: EngineOptions,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.network, weights = fold_network(network, values)
        self.options = options
        self.store = ParameterStore.of(self.network, weights, dtype)
        self.chunk = max(1, CHUNK_NUMBERS // widest_layer(self.network))
        self._kernels: Kernels = {}
        self._idle: list[_Runner] = []

    def logits(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W) -> float32 (N, K), columns as the network's last layer has them; of a line
        network (N, T, K)."""
        network = self.network.at_width(images.shape[2]) if self.network.reads_lines else self.network
        answers = np.empty((len(images), *network.output_shape), np.float32)
        return self._fill(answers, lambda runner, part: runner.forward(images[part]))

    def input_gradient(self, images: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Pixels (N, H, W), and of each image the weights of its logits, of the same shape as
        `logits` has them -> d (weights . logits) / d inputs, (N, H, W) in the network's precision."""
        gradients = np.empty(images.shape, self.store.dtype)
        return self._fill(gradients, lambda runner, part: runner.input_gradient(images[part], weights[part]))

    def features(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W) -> float32 (N, D), what enters the last linear layer."""
        found = np.empty((len(images), self.network.feature_count), np.float32)
        return self._fill(found, lambda runner, part: runner.features(images[part]))

    def _fill(self, results: np.ndarray, compute: _Compute) -> np.ndarray:
        """Computes all parts of the results, on as many threads as it pays for."""
        parts = even_parts(len(results), 1 if self.network.reads_lines else self.chunk)
        with one_blas_thread() as threads:
            workers = limit_workers(threads, len(parts))
            runners = [self._take_runner() for _ in range(workers)]

            def work(worker: int, part: slice) -> None:
                results[part] = compute(runners[worker], part)

            share_out(parts, workers, work)
        self._idle += runners
        return results

    def _take_runner(self) -> _Runner:
        try:
            return self._idle.pop()
        except IndexError:
            return _Runner(self.network, self.store, self.options, self._kernels)


class _Runner:
    """Layers and the memory they work in: for one thread at a time. kernels: see `build_answering_layers`."""

    def __init__(
        self, network: Network, store: ParameterStore, options: EngineOptions, kernels: Kernels
    ) -> None:
        self.options = options
        self.layers = RunningNetwork(network, store, layers=build_answering_layers(network, store, kernels))
        self.layers.settle()
        self.space = Space(store.dtype)

    def forward(self, images: np.ndarray) -> np.ndarray:
        return self.layers.forward(scale_pixels(images, self.options, self.space), training=False)

    def input_gradient(self, images: np.ndarray, weights: np.ndarray) -> np.ndarray:
        self.forward(images)
        return self.layers.pull_back(np.ascontiguousarray(weights, dtype=self.space.dtype))

    def features(self, images: np.ndarray) -> np.ndarray:
        return self.layers.features(scale_pixels(images, self.options, self.space))


_Compute = Callable[[_Runner, slice], np.ndarray]


class BlockGradients:
    """The gradient of a large batch, added up from blocks of images. Works on the parameters of `store`, and
    leaves the batch's gradient in it.

    Which thread takes which block depends on the number of threads alone, and so does the order in
    which the blocks are added up: the same batch gives the same bits.
    """

    def __init__(self, network: Network, store: ParameterStore, options: EngineOptions) -> None:
        self.network, self.store, self.options = network, store, options
        self.length = max(1, BLOCK_NUMBERS // widest_layer(network))
        self.workers: list[_Worker] = []

    def add_up(
        self, images: np.ndarray, labels: np.ndarray, image_weights: np.ndarray | None = None
    ) -> tuple[float, int]:
        """(N, H, W) pixels and the columns that are right -> mean loss, number of right answers.
        image_weights: as in a Batch."""
        parts = even_parts(len(images), self.length)
        with one_blas_thread() as threads:
            workers = self._staff(limit_workers(threads, len(parts)))

            def add_up(index: int, part: slice) -> None:
                weights = None if image_weights is None else image_weights[part]
                workers[index].add_up(images[part], labels[part], weights, len(images))

            share_out(parts, len(workers), add_up)
        np.copyto(self.store.gradients, workers[0].total)
        for worker in workers[1:]:
            self.store.gradients += worker.total
        return sum(w.losses for w in workers) / len(images), sum(w.correct for w in workers)

    def _staff(self, count: int) -> list[_Worker]:
        """So many workers, with nothing added up yet."""
        while len(self.workers) < count:
            self.workers.append(_Worker(self.network, self.store.twin(), self.options))
        for worker in self.workers[:count]:
            worker.begin()
        return self.workers[:count]


class _Worker:
    """Layers, gradients and the memory they work in: for one thread.

    losses, correct, total: of the blocks since `begin`.
    """

    def __init__(self, network: Network, store: ParameterStore, options: EngineOptions) -> None:
        self.store, self.options = store, options
        self.layers = RunningNetwork(network, store)
        self.loss = LOSSES[options.loss.name](options.loss)
        self.space = Space(store.dtype)
        self.total = np.zeros_like(store.gradients)
        layers = self.layers.layers
        first = next((i for i, layer in enumerate(layers) if not isinstance(layer, Flatten)), len(layers))
        if not options.mean and first < len(layers) and isinstance(layers[first], Linear):
            layers[first] = _ScalingLinear(layers[first].plan, store, 1 / (255 * options.std))
            self.options = replace(options, std=1 / 255)  # the pixels as they are

    def begin(self) -> None:
        self.losses, self.correct = 0.0, 0
        self.total.fill(0)

    def add_up(
        self, images: np.ndarray, labels: np.ndarray, image_weights: np.ndarray | None, count: int
    ) -> None:
        """A block of a batch of `count` images: adds the sum of its losses, how many are right, and its
        part of the gradient."""
        inputs = scale_pixels(images, self.options, self.space)
        logits = self.layers.forward(inputs, training=True)
        loss, gradient = self.loss(logits, labels, image_weights)
        if self.options.loss.reduction == "mean":
            gradient *= len(inputs) / count
        self.losses += loss * len(inputs)
        self.correct += self.loss.count_right(logits, labels)
        self.layers.backward(gradient)
        self.total += self.store.gradients


class _ScalingLinear(Linear):
    """A first layer that multiplies its inputs by a factor: W times it is less work than a batch times it."""

    def __init__(self, plan: LayerPlan, store: ParameterStore, factor: float) -> None:
        super().__init__(plan, store)
        self.factor = np.array(factor, store.dtype)

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:  # noqa: ARG002
        self.inputs = inputs
        outputs = self.space("outputs", (len(inputs), *self.plan.output_shape))
        product(inputs, (self.values["weight"] * self.factor).T, out=outputs)
        outputs += self.values["bias"]
        return outputs

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> None:  # noqa: ARG002
        """Nothing before it learns."""
        weight_gradient = outer_sum(gradient, self.inputs, out=self.gradients["weight"])
        weight_gradient *= self.factor
        column_sums(gradient, out=self.gradients["bias"])


def learns_by_image(network: Network) -> bool:
    """Whether an image's gradient does not depend on the batch it comes in: batch-norm averages over
    the batch, and dropout draws its masks in the batch's order."""
    return not any(layer.spec.kind in ("batch-norm", "dropout") for layer in walk(network.layers))


def widest_layer(network: Network) -> int:
    """Numbers of one image in the largest array between two layers."""
    return max(prod(network.input_shape), *(prod(layer.output_shape) for layer in walk(network.layers)))
