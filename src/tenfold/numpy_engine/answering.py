"""A network that only answers: its batch-norms folded, its parameters settled, no memory for learning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

import numpy as np
from numpy.typing import DTypeLike

from tenfold.engines.base import EngineOptions
from tenfold.networks.shapes import Layer, Network
from tenfold.numpy_engine.blas import one_blas_thread
from tenfold.numpy_engine.buffers import Buffers
from tenfold.numpy_engine.fold import fold_network
from tenfold.numpy_engine.network import RunningNetwork
from tenfold.numpy_engine.quick import Kernels, build_quick_layers
from tenfold.numpy_engine.sharing import even_parts, limit_workers, share_out
from tenfold.numpy_engine.store import ParameterStore

__all__ = ["CHUNK_NUMBERS", "AnsweringNetwork", "scale_pixels", "widest_layer"]

# Numbers in the largest array between two layers: 512 Ki of float32 are 2 MiB.
CHUNK_NUMBERS = 1 << 19


class AnsweringNetwork:
    """Answers with the parameters that it was made with; make another when they have changed.

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

        def answer(runner: _Runner, part: slice) -> None:
            answers[part] = runner.forward(images[part])

        self._share_out(images, answer)
        return answers

    def input_gradient(self, images: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Pixels (N, H, W), and of each image the weights of its logits, of the same shape as
        `logits` has them -> d (weights . logits) / d inputs, (N, H, W) in the network's precision."""
        gradients = np.empty(images.shape, self.store.dtype)

        def differentiate(runner: _Runner, part: slice) -> None:
            gradients[part] = runner.input_gradient(images[part], weights[part])

        self._share_out(images, differentiate)
        return gradients

    def features(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W) -> float32 (N, D), what enters the last linear layer."""
        found = np.empty((len(images), self.network.feature_count), np.float32)

        def collect(runner: _Runner, part: slice) -> None:
            found[part] = runner.features(images[part])

        self._share_out(images, collect)
        return found

    def _share_out(self, images: np.ndarray, work: _Work) -> None:
        """Does the work on all parts of the images, on as many threads as it pays for."""
        parts = even_parts(len(images), 1 if self.network.reads_lines else self.chunk)
        with one_blas_thread() as threads:
            workers = limit_workers(threads, len(parts))
            runners = [self._take_runner() for _ in range(workers)]
            share_out(parts, workers, lambda worker, part: work(runners[worker], part))
        self._idle += runners

    def _take_runner(self) -> _Runner:
        try:
            return self._idle.pop()
        except IndexError:
            return _Runner(self.network, self.store, self.options, self._kernels)


class _Runner:
    """Layers and the memory they work in: for one thread at a time. kernels: see `build_quick_layers`."""

    def __init__(
        self, network: Network, store: ParameterStore, options: EngineOptions, kernels: Kernels
    ) -> None:
        self.options = options
        quick = build_quick_layers(network.layers, store, kernels) if network.reads_lines else None
        self.layers = RunningNetwork(network, store, layers=quick)
        self.layers.settle()
        self.buffers = Buffers(store.dtype)

    def forward(self, images: np.ndarray) -> np.ndarray:
        return self.layers.forward(scale_pixels(images, self.options, self.buffers), training=False)

    def input_gradient(self, images: np.ndarray, weights: np.ndarray) -> np.ndarray:
        self.forward(images)
        return self.layers.pull_back(np.ascontiguousarray(weights, dtype=self.buffers.dtype))

    def features(self, images: np.ndarray) -> np.ndarray:
        return self.layers.features(scale_pixels(images, self.options, self.buffers))


_Work = Callable[[_Runner, slice], None]


def scale_pixels(pixels: np.ndarray, options: EngineOptions, buffers: Buffers) -> np.ndarray:
    """Pixels 0..255 -> (pixel / 255 - mean) / std, in an array of `buffers`."""
    inputs = buffers.take("inputs", pixels.shape)
    kind = inputs.dtype.type
    np.copyto(inputs, pixels)
    factor = 1 / (255 * options.std)
    if factor != 1:
        inputs *= kind(factor)
    if options.mean:
        inputs -= kind(options.mean / options.std)
    return inputs


def widest_layer(network: Network) -> int:
    """Numbers of one image in the largest array between two layers."""

    def sizes(layers: tuple[Layer, ...]) -> list[int]:
        return [size for layer in layers for size in (prod(layer.output_shape), *sizes(layer.inner))]

    return max(prod(network.input_shape), *sizes(network.layers))
