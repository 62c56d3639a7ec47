"""A training batch: its images changed as the draws of `tenfold.augmentation` say, and the gradient of a
large one.

Both work on a few images at a time, in kept arrays that fit the processor's cache, and on as many threads as
NumPy's matrix products would take.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tenfold.augmentation import AugmentationDraws, Sources
from tenfold.networks.engine import EngineOptions
from tenfold.networks.shapes import Layer as LayerPlan
from tenfold.networks.shapes import Network
from tenfold.numpy_engine.layers import Flatten, Linear, walk
from tenfold.numpy_engine.losses import Loss
from tenfold.numpy_engine.network import RunningNetwork, scale_pixels
from tenfold.numpy_engine.runtime.answers import widest_layer
from tenfold.numpy_engine.runtime.memory import ParameterStore, Space
from tenfold.numpy_engine.runtime.products import even_parts, limit_workers, own_threads, product, share_out

__all__ = ["augment"]

# Numbers in the largest array between two layers: 1 Mi of float32 are 4 MiB. In smaller blocks the threads
# wait for each other at Python's lock.
BLOCK_NUMBERS = 1 << 20
# Pixels in a piece: 256 images of 28x28. Smaller pieces fit a nearer cache, but threads meet more often.
PIECE_PIXELS = 256 * 784
PIECES_A_WORKER = 2  # fewer are not worth a thread's start


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
        with own_threads() as threads:
            count = limit_workers(threads, len(parts))
            while len(self.workers) < count:
                self.workers.append(_Worker(self.network, self.store.twin(), self.options))
            workers = self.workers[:count]
            for worker in workers:
                worker.begin()

            def add_up(index: int, part: slice) -> None:
                weights = None if image_weights is None else image_weights[part]
                workers[index].add_up(images[part], labels[part], weights, len(images))

            share_out(parts, count, add_up)
        np.copyto(self.store.gradients, workers[0].total)
        for worker in workers[1:]:
            self.store.gradients += worker.total
        return sum(w.losses for w in workers) / len(images), sum(w.correct for w in workers)


class _Worker:
    """Layers, gradients and the memory they work in: for one thread.

    losses, correct, total: of the blocks since `begin`.
    """

    def __init__(self, network: Network, store: ParameterStore, options: EngineOptions) -> None:
        self.store, self.options = store, options
        self.layers = RunningNetwork(network, store)
        self.loss = Loss.of(options.loss)
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
        super().backward(gradient, wanted=False)
        self.gradients["weight"] *= self.factor


def learns_by_image(network: Network) -> bool:
    """Whether an image's gradient does not depend on the batch it comes in: batch-norm averages over
    the batch, dropout draws its masks in the batch's order, and of a user's layer nothing is known."""
    return not any(layer.spec.kind in ("batch-norm", "dropout", "own") for layer in walk(network.layers))


def augment(images: np.ndarray, draws: AugmentationDraws, *, space: Space | None = None) -> np.ndarray:
    """uint8 (N, H, W) or (N, H, W, 3) -> float32 of the same shape in 0..255.

    In this order: stroke width, affine map and displacement in one bilinear resampling, crop, flip, colour,
    erasing; black outside. With `space`, the result is kept there and the next call overwrites it.
    """
    results = np.empty(images.shape, np.float32) if space is None else _take(space, "out", images.shape)
    step = max(1, PIECE_PIXELS // (images.shape[1] * images.shape[2]))
    parts = [slice(start, start + step) for start in range(0, len(images), step)]
    kept = space or Space(np.float32)

    def change(worker: int, part: slice) -> None:
        _change(images[part], draws.part(part), results[part], kept.of_worker(worker))

    with own_threads() as threads:
        share_out(parts, limit_workers(threads, len(parts) // PIECES_A_WORKER), change)
    return results


def _take(space: Space, name: str, shape: tuple[int, ...]) -> np.ndarray:
    return space(f"augment {name}", shape, np.float32)


def _change(images: np.ndarray, draws: AugmentationDraws, results: np.ndarray, space: Space) -> None:
    if images.ndim == 3:
        _move(images, draws, results, space)
    else:
        plane = _take(space, "plane", images.shape[:3])
        for channel in range(images.shape[3]):
            _move(images[..., channel], draws, plane, space)
            results[..., channel] = plane
    if draws.flip is not None:
        results[draws.flip] = results[draws.flip][:, :, ::-1]
    if draws.colour is not None:
        _tint(results, draws.colour)
    if draws.erase is not None:
        _erase(results, draws.erase)


def _move(images: np.ndarray, draws: AugmentationDraws, results: np.ndarray, space: Space) -> None:
    """Stroke width, resampling and crop of one channel."""
    count, height, width = images.shape
    size = count * (height + 2) * (width + 2)
    # The pictures in frames of one black pixel, all as one line: a row's frame is next to that of the
    # following row, and each pixel has a neighbour on the right, below, and below on the right.
    line = _take(space, "line", (size + width + 3,))
    line.fill(0)
    framed = line[:size].reshape(count, height + 2, width + 2)
    if draws.stroke is None:
        np.copyto(framed[:, 1:-1, 1:-1], images)
    else:
        _change_strokes(images, draws.stroke, framed, space)
    sources = draws.find_sources(images.shape)
    if sources is None:
        np.copyto(results, framed[:, 1:-1, 1:-1])
    else:
        _resample(line, _positions(sources, images.shape, space), results, space)


def _tint(pictures: np.ndarray, maps: np.ndarray) -> None:
    """The affine map (N, C, C + 1) of each picture's channels, clipped to 0..255."""
    pixels = pictures.reshape(len(pictures), -1, maps.shape[1])
    changed = pixels @ maps[:, :, :-1].transpose(0, 2, 1)
    changed += maps[:, None, :, -1]
    np.clip(changed, 0, 255, out=pixels)


def _change_strokes(images: np.ndarray, widths: np.ndarray, framed: np.ndarray, space: Space) -> None:
    """framed = (1 - |s|) picture + |s| grown (s > 0) or shrunk picture, s being one width a picture.

    Beyond a whole pixel, the picture that has grown once takes the place of the picture.
    """
    flips = np.where(widths < 0, 255, 0).astype(np.uint8)[:, None, None]
    shares = np.abs(widths)
    before = np.zeros(framed.shape, np.uint8)
    np.bitwise_xor(images, flips, out=before[:, 1:-1, 1:-1])  # shrinking is growing of the negative
    after = _grown(before)
    twice = shares > 1
    if twice.any():
        before[twice] = after[twice]
        after[twice] = _grown(after[twice])
        shares = shares - twice
    for pictures in (before, after):
        pictures ^= flips
        _blacken_frames(pictures)
    np.copyto(framed, before)
    change = _take(space, "change", framed.shape)
    np.copyto(change, after)
    change -= framed
    change *= shares[:, None, None]
    framed += change


def _grown(framed: np.ndarray) -> np.ndarray:
    """The largest of each pixel and its four neighbours; uint8, in black frames."""
    line = framed.reshape(-1)
    grown = line.copy()
    for step in (1, framed.shape[2]):
        np.maximum(grown[step:], line[:-step], out=grown[step:])
        np.maximum(grown[:-step], line[step:], out=grown[:-step])
    pictures = grown.reshape(framed.shape)
    _blacken_frames(pictures)
    return pictures


def _blacken_frames(framed: np.ndarray) -> None:
    framed[:, 0] = framed[:, -1] = 0
    framed[:, :, 0] = framed[:, :, -1] = 0


def _positions(sources: Sources, shape: tuple[int, ...], space: Space) -> np.ndarray:
    """Where each output pixel's value comes from in the framed picture: x and y, float32 (2, N, H W)."""
    count, height, width = shape
    places = _take(space, "places", (2, count, height * width))
    # what lies beyond a crop is sent away along x: y needs the first three terms only
    for axis, (terms, size) in enumerate(((len(sources.grid), width), (3, height))):
        rows = sources.rows[axis, :, :terms]
        rows[:, 2] += 1  # the frame
        np.matmul(rows, sources.grid[:terms], out=places[axis])
        if sources.displacement is not None:
            moved = places[axis].reshape(shape)
            moved += sources.displacement[axis]
        np.clip(places[axis], 0, size + 1, out=places[axis])  # outside of the frame all is black as well
    return places


def _resample(line: np.ndarray, places: np.ndarray, results: np.ndarray, space: Space) -> None:
    """Bilinear, with black outside, as torch.nn.functional.grid_sample(align_corners=True)."""
    count, height, width = results.shape
    wide = width + 2
    # whole numbers up to 2^24 are exact in float32, and faster there than as integers
    whole = np.floor(places, out=_take(space, "whole", places.shape))
    places -= whole
    (x, y), (entry, row) = places, whole
    row *= wide
    entry += row
    entry += (np.arange(count, dtype=np.float32) * ((height + 2) * wide))[:, None]
    narrow = space("augment narrow", x.shape, np.int32)
    index = space("augment index", x.shape, np.intp)
    np.copyto(narrow, entry, casting="unsafe")
    np.copyto(index, narrow)  # in two steps, each of which has a fast loop
    corners = _take(space, "corners", (4, *x.shape))
    for corner, start in zip(corners, (0, 1, wide, wide + 1), strict=True):
        np.take(line[start:], index, mode="wrap", out=corner)
    here, right, below, diagonal = corners
    for left, other in ((here, right), (below, diagonal)):
        other -= left
        other *= x
        left += other
    below -= here
    below *= y
    np.add(here, below, out=results.reshape(count, -1))


def _erase(pictures: np.ndarray, rectangles: np.ndarray) -> None:
    """Blackens y0 <= y < y1, x0 <= x < x1 of each picture."""
    height, width = pictures.shape[1:3]
    y0, x0, y1, x1 = rectangles.T[:, :, None]
    rows, columns = np.arange(height), np.arange(width)
    inside = ((y0 <= rows) & (rows < y1))[:, :, None] & ((x0 <= columns) & (columns < x1))[:, None, :]
    pictures[inside] = 0
