"""A network that only answers: its batch-norms folded, its parameters settled, no memory for learning."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, prod

import numpy as np
from numpy.typing import DTypeLike

from tenfold.engines.base import EngineOptions
from tenfold.networks.shapes import Layer, Network
from tenfold.numpy_engine.blas import one_blas_thread
from tenfold.numpy_engine.buffers import Buffers
from tenfold.numpy_engine.fold import fold_network
from tenfold.numpy_engine.network import RunningNetwork
from tenfold.numpy_engine.store import ParameterStore

__all__ = ["CHUNK_NUMBERS", "MOST_WORKERS", "AnsweringNetwork", "even_parts", "scale_pixels", "widest_layer"]

# Numbers in the largest array between two layers: 512 Ki of float32 are 2 MiB.
CHUNK_NUMBERS = 1 << 19
MOST_WORKERS = 4


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
        self._idle: list[_Runner] = []

    def logits(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W) -> float32 (N, K), columns as the network's last layer has them."""
        answers = np.empty((len(images), self.network.classes), np.float32)
        parts = even_parts(len(images), self.chunk)
        with one_blas_thread() as threads:
            workers = min(threads, len(parts), MOST_WORKERS)
            if workers < 2:
                self._answer(images, parts, answers)
            else:
                self._share_out(images, parts, answers, workers)
        return answers

    def _share_out(self, images: np.ndarray, parts: list[slice], answers: np.ndarray, workers: int) -> None:
        from concurrent.futures import ThreadPoolExecutor  # 5 ms that one image does not pay

        with ThreadPoolExecutor(workers) as pool:
            shares = [parts[worker::workers] for worker in range(workers)]
            list(pool.map(lambda share: self._answer(images, share, answers), shares))

    def _answer(self, images: np.ndarray, parts: list[slice], answers: np.ndarray) -> None:
        try:
            runner = self._idle.pop()
        except IndexError:
            runner = _Runner(self.network, self.store, self.options)
        for part in parts:
            answers[part] = runner.forward(images[part])
        self._idle.append(runner)


class _Runner:
    """Layers and the memory they work in: for one thread at a time."""

    def __init__(self, network: Network, store: ParameterStore, options: EngineOptions) -> None:
        self.layers, self.options = RunningNetwork(network, store), options
        self.layers.settle()
        self.buffers = Buffers(store.dtype)

    def forward(self, images: np.ndarray) -> np.ndarray:
        return self.layers.forward(scale_pixels(images, self.options, self.buffers), training=False)


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


def even_parts(count: int, most: int) -> list[slice]:
    """Slices of 0..count of about the same length, none longer than `most`."""
    length = ceil(count / max(1, ceil(count / most)))
    return [slice(start, start + length) for start in range(0, count, max(1, length))]


def widest_layer(network: Network) -> int:
    """Numbers of one image in the largest array between two layers."""

    def sizes(layers: tuple[Layer, ...]) -> list[int]:
        return [size for layer in layers for size in (prod(layer.output_shape), *sizes(layer.inner))]

    return max(prod(network.input_shape), *sizes(network.layers))
