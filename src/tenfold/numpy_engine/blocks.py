"""The gradient of a large batch, added up from blocks of images.

A block's numbers stay in the processor's cache on their whole way through the network and back, so
the pictures, one byte a pixel, are all that a step reads from memory. Blocks are shared out to as many
threads as NumPy's matrix products would take; NumPy releases the GIL while it computes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from tenfold.engines.base import EngineOptions
from tenfold.networks.shapes import Layer, Network
from tenfold.numpy_engine.answering import scale_pixels, widest_layer
from tenfold.numpy_engine.blas import one_blas_thread
from tenfold.numpy_engine.buffers import Buffers
from tenfold.numpy_engine.flatten import Flatten
from tenfold.numpy_engine.linear import Linear
from tenfold.numpy_engine.network import RunningNetwork
from tenfold.numpy_engine.registry import LOSSES
from tenfold.numpy_engine.sharing import even_parts, limit_workers, share_out
from tenfold.numpy_engine.store import ParameterStore

__all__ = ["BLOCK_NUMBERS", "BlockGradients", "learns_by_image"]

# Numbers in the largest array between two layers: 1 Mi of float32 are 4 MiB. In smaller blocks the
# threads wait for each other at Python's lock.
BLOCK_NUMBERS = 1 << 20


class BlockGradients:
    """Works on the parameters of `store`, and leaves the batch's gradient in it.

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
        self.layers, self.store, self.options = RunningNetwork(network, store), store, options
        self.loss = LOSSES[options.loss.name](options.loss)
        self.buffers = Buffers(store.dtype)
        self.total = np.zeros_like(store.gradients)
        first = next((layer for layer in self.layers.layers if not isinstance(layer, Flatten)), None)
        if isinstance(first, Linear) and not options.mean:
            first.factor = 1 / (255 * options.std)
            self.options = replace(options, std=1 / 255)  # the pixels as they are

    def begin(self) -> None:
        self.losses, self.correct = 0.0, 0
        self.total.fill(0)

    def add_up(
        self, images: np.ndarray, labels: np.ndarray, image_weights: np.ndarray | None, count: int
    ) -> None:
        """A block of a batch of `count` images: adds the sum of its losses, how many are right, and its
        part of the gradient."""
        inputs = scale_pixels(images, self.options, self.buffers)
        logits = self.layers.forward(inputs, training=True)
        loss, gradient = self.loss(logits, labels, image_weights)
        if self.options.loss.reduction == "mean":
            gradient *= len(inputs) / count
        self.losses += loss * len(inputs)
        self.correct += self.loss.count_right(logits, labels)
        self.layers.backward(gradient)
        self.total += self.store.gradients


def learns_by_image(network: Network) -> bool:
    """Whether an image's gradient does not depend on the batch it comes in: batch-norm averages over
    the batch, and dropout draws its masks in the batch's order."""
    return not any(layer.spec.kind in ("batch-norm", "dropout") for layer in _walk(network.layers))


def _walk(layers: Sequence[Layer]) -> Iterator[Layer]:
    for layer in layers:
        yield layer
        yield from _walk(layer.inner)
