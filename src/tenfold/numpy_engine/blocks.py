"""The gradient of a large batch, added up from blocks of images.

A block's numbers stay in the processor's cache on their whole way through the network and back, so
the pictures, one byte a pixel, are all that a step reads from memory. Blocks are shared out to as many
threads as NumPy's matrix products would take; NumPy lets go of Python's lock while it computes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace

import numpy as np

from tenfold.engines.base import EngineOptions
from tenfold.networks.shapes import Layer, Network
from tenfold.numpy_engine.answering import MOST_WORKERS, even_parts, scale_pixels, widest_layer
from tenfold.numpy_engine.blas import one_blas_thread
from tenfold.numpy_engine.buffers import Buffers
from tenfold.numpy_engine.flatten import Flatten
from tenfold.numpy_engine.linear import Linear
from tenfold.numpy_engine.network import RunningNetwork
from tenfold.numpy_engine.registry import LOSSES
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
            workers = self._staff(min(threads, len(parts), MOST_WORKERS))
            shares = [parts[index :: len(workers)] for index in range(len(workers))]
            contexts = [copy_context() for _ in workers]  # they hold np.errstate
            with ThreadPoolExecutor(len(workers)) as pool:
                futures = [
                    pool.submit(context.run, worker.add_up, images, labels, image_weights, share)
                    for context, worker, share in zip(contexts, workers, shares, strict=True)
                ]
                sums = [future.result() for future in futures]
        np.copyto(self.store.gradients, workers[0].total)
        for worker in workers[1:]:
            self.store.gradients += worker.total
        return sum(loss for loss, _ in sums) / len(images), sum(correct for _, correct in sums)

    def _staff(self, count: int) -> list[_Worker]:
        while len(self.workers) < count:
            self.workers.append(_Worker(self.network, self.store.twin(), self.options))
        return self.workers[:count]


class _Worker:
    """Layers, gradients and the memory they work in: for one thread."""

    def __init__(self, network: Network, store: ParameterStore, options: EngineOptions) -> None:
        self.layers, self.store, self.options = RunningNetwork(network, store), store, options
        self.loss = LOSSES[options.loss.name](options.loss)
        self.buffers = Buffers(store.dtype)
        self.total = np.zeros_like(store.gradients)
        first = next((layer for layer in self.layers.layers if not isinstance(layer, Flatten)), None)
        if isinstance(first, Linear) and not options.mean:
            first.factor = 1 / (255 * options.std)
            self.options = replace(options, std=1 / 255)  # the pixels as they are

    def add_up(
        self, images: np.ndarray, labels: np.ndarray, image_weights: np.ndarray | None, parts: Sequence[slice]
    ) -> tuple[float, int]:
        """The sum of the images' losses, how many are right; `total` is these blocks' gradient."""
        losses, correct = 0.0, 0
        self.total.fill(0)
        for part in parts:
            inputs = scale_pixels(images[part], self.options, self.buffers)
            logits = self.layers.forward(inputs, training=True)
            loss, gradient = self.loss(
                logits, labels[part], None if image_weights is None else image_weights[part]
            )
            if self.options.loss.reduction == "mean":
                gradient *= len(inputs) / len(images)
            losses += loss * len(inputs)
            correct += int(np.count_nonzero(logits.argmax(axis=1) == labels[part]))
            self.layers.backward(gradient)
            self.total += self.store.gradients
        return losses, correct


def learns_by_image(network: Network) -> bool:
    """Whether an image's gradient does not depend on the batch it comes in: batch-norm averages over
    the batch, and dropout draws its masks in the batch's order."""
    return not any(layer.spec.kind in ("batch-norm", "dropout") for layer in _walk(network.layers))


def _walk(layers: Sequence[Layer]) -> Iterator[Layer]:
    for layer in layers:
        yield layer
        yield from _walk(layer.inner)
