"""Random changes of training images: drawn here once for both engines, applied by each of them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tenfold.settings import AugmentationSettings

__all__ = ["AugmentationDraws", "Sources"]

# AugmentationSettings + a random generator -> the numbers that say how to change each image.
#
# The engines apply them in this order, on pixels as float32 0..255 (outside the image is black):
# stroke width, affine map + displacement in one bilinear resampling, crop, flip, colour, erasing. The first
# four treat each channel alike.


@dataclass(frozen=True, eq=False)
class AugmentationDraws:
    """For N images of (H, W) or (H, W, 3); a field is None where that change is off.

    affine: float32 (N, 2, 3), output pixel (x, y, 1), counted from the image's centre, to the
    input pixel (x, y) from which its value comes.
    displacement: float32 (N, 2, H, W), pixels (x, y) added to that input position.
    stroke: float32 (N,), pixels by which strokes grow (> 0) or shrink (< 0).
    crop: int64 (N, 2), rows and columns (dy, dx): output[y, x] = input[y + dy, x + dx].
    erase: int64 (N, 4), rectangle y0, x0, y1, x1 (half open) to make black; empty where y0 == y1.
    flip: bool (N,), images to mirror from left to right.
    colour: float32 (N, C, C + 1) for C channels: a pixel's new values are the first C columns times its
    values, plus the last column, clipped to 0..255.
    """

    affine: np.ndarray | None = None
    displacement: np.ndarray | None = None
    stroke: np.ndarray | None = None
    crop: np.ndarray | None = None
    erase: np.ndarray | None = None
    flip: np.ndarray | None = None
    colour: np.ndarray | None = None

    @classmethod
    def draw(
        cls,
        settings: AugmentationSettings,
        count: int,
        image_shape: tuple[int, ...],
        rng: np.random.Generator,
    ) -> AugmentationDraws | None:
        """Draws for `count` images of (H, W) or (H, W, 3), or None where nothing is on."""
        if not settings.active:
            return None
        s, size, channels = settings, image_shape[:2], (*image_shape, 1)[2]
        tinted = s.brightness or s.contrast or (channels > 1 and (s.saturation or s.hue))
        moved = s.rotation or s.shear or s.shift or s.scale
        draws = cls(
            affine=_affine(s, count, rng) if moved else None,
            displacement=_displacement(s, count, size, rng) if s.elastic else None,
            stroke=_uniform(rng, s.stroke_width, count) if s.stroke_width else None,
            crop=rng.integers(-s.crop_padding, s.crop_padding + 1, (count, 2)) if s.crop_padding else None,
            erase=_erase(s, count, size, rng) if s.erasing else None,
            flip=rng.random(count) < s.flip if s.flip else None,
            colour=_colour(s, count, channels, rng) if tinted else None,
        )
        if s.untouched:
            _leave(draws, rng.random(count) < s.untouched)
        return draws

    def part(self, chosen: slice) -> AugmentationDraws:
        """Those of some of the images."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        return AugmentationDraws(**{k: None if v is None else v[chosen] for k, v in arrays.items()})

    def find_sources(self, shape: tuple[int, ...]) -> Sources | None:
        """Where the pixels of pictures come from, of shape (N, H, W, ...); None where nothing moves."""
        affine, displacement, crop = self.affine, self.displacement, self.crop
        if affine is None and displacement is None and crop is None:
            return None
        count, height, width = shape[:3]
        reach = (0, 0) if crop is None else tuple(int(far) for far in np.abs(crop).max(axis=0, initial=0))
        borders = min(reach[0], height), min(reach[1], width)
        grid = _grid(height, width, *borders)
        rows = np.zeros((2, count, len(grid)), np.float32)
        rows[:, :, :3] = np.eye(2, 3)[:, None] if affine is None else affine.transpose(1, 0, 2)
        if crop is not None:
            rows[:, :, 2] += rows[:, :, 0] * crop[:, 1] + rows[:, :, 1] * crop[:, 0]
            rows[0, :, 3:] = _beyond(crop, *borders)
        rows[:, :, 2] += np.array([[(width - 1) / 2], [(height - 1) / 2]], np.float32)
        if displacement is not None:
            displacement = displacement.transpose(1, 0, 2, 3)
            displacement = displacement if crop is None else _cropped(displacement, crop)
        return Sources(rows, grid, displacement)


def _leave(draws: AugmentationDraws, chosen: np.ndarray) -> None:
    if draws.affine is not None:
        draws.affine[chosen] = np.eye(2, 3, dtype=np.float32)
    if draws.colour is not None:
        draws.colour[chosen] = np.eye(*draws.colour.shape[1:], dtype=np.float32)
    for field in (draws.displacement, draws.stroke, draws.crop, draws.erase, draws.flip):
        if field is not None:
            field[chosen] = 0


def _uniform(rng: np.random.Generator, bound: float, *shape: int) -> np.ndarray:
    return rng.uniform(-bound, bound, shape).astype(np.float32)


def _affine(s: AugmentationSettings, count: int, rng: np.random.Generator) -> np.ndarray:
    """The inverse of rotate(shear(scale(.))) + shift, as output -> input."""
    angle = np.deg2rad(_uniform(rng, s.rotation, count))
    shear = np.tan(np.deg2rad(_uniform(rng, s.shear, count)))
    scale = 1 + _uniform(rng, s.scale, count)
    shift = _uniform(rng, s.shift, count, 2)
    turn = np.empty((count, 2, 3), np.float32)
    cosine, sine = np.cos(angle) / scale, np.sin(angle) / scale
    turn[:, 1, 0], turn[:, 1, 1] = -sine, cosine
    turn[:, 0, 0], turn[:, 0, 1] = cosine + shear * sine, sine - shear * cosine
    turn[:, :, 2] = -(turn[:, :, 0] * shift[:, :1] + turn[:, :, 1] * shift[:, 1:])
    return turn


def _displacement(
    s: AugmentationSettings, count: int, image_shape: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray:
    """White noise, smoothed round the edges by a Gaussian, with a standard deviation of `elastic`.

    Smoothing leaves next to nothing of the waves that are shorter than the Gaussian, and white noise
    is white in waves as well: so noise is drawn for the few long waves alone.
    """
    down, across = (_long_waves(size, s.elastic_smoothness) for size in image_shape)
    noise = rng.standard_normal((count * 2, down.shape[1], across.shape[1]), dtype=np.float32)
    field = down @ (noise @ (across.T * np.float32(s.elastic)))
    return field.reshape(count, 2, *image_shape)


@cache
def _long_waves(size: int, smoothness: float) -> np.ndarray:
    """float32 (size, M): the waves on a ring of pixels that a Gaussian leaves more than a hundredth of,
    as far as it leaves them; scaled so that white noise of them has a deviation of 1 in each pixel."""
    places, numbers = np.arange(size), np.arange(size)
    # one cosine or sine a column: 0, then each frequency's two; the fastest of an even size has one
    angles = 2 * np.pi * np.outer(places, (numbers + 1) // 2) / size
    waves = np.where(numbers % 2 == 1, np.cos(angles), np.sin(angles))
    waves[:, 0] = 1
    waves /= np.linalg.norm(waves, axis=0)
    left = np.exp(-0.5 * (2 * np.pi * smoothness * ((numbers + 1) // 2) / size) ** 2)
    kept = waves[:, left > 0.01] * left[left > 0.01]
    return np.asarray(kept * np.sqrt(size / np.sum(kept**2)), dtype=np.float32)


def _erase(
    s: AugmentationSettings, count: int, size: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray:
    height, width = size
    chosen = rng.random(count) < s.erasing
    sides = rng.uniform(1 / 8, 1 / 3, (count, 2)) * [height, width]
    sides = np.maximum(np.rint(sides), 1).astype(np.int64)
    corner = np.floor(rng.random((count, 2)) * (np.array([height, width]) - sides + 1)).astype(np.int64)
    return np.concatenate([corner, corner + sides * chosen[:, None]], axis=1)


_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
# red, green, blue -> luma and the two differences of colour of the YIQ system, whose plane a hue turns in
_YIQ = np.array([_LUMA, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])


def _colour(s: AugmentationSettings, count: int, channels: int, rng: np.random.Generator) -> np.ndarray:
    """Hue, then saturation, brightness and contrast, as one affine map of a pixel's channels."""
    brightness, contrast, saturation = (
        1 + rng.uniform(-bound, bound, (count, 1, 1)) for bound in (s.brightness, s.contrast, s.saturation)
    )
    angle = np.deg2rad(rng.uniform(-s.hue, s.hue, count))
    maps = np.tile(np.eye(channels, channels + 1), (count, 1, 1))
    if channels > 1:
        turn = np.tile(np.eye(3), (count, 1, 1))
        turn[:, 1, 1] = turn[:, 2, 2] = np.cos(angle)
        turn[:, 1, 2], turn[:, 2, 1] = -np.sin(angle), np.sin(angle)
        grey = np.tile(_LUMA, (3, 1))
        maps[:, :, :3] = (grey + saturation * (np.eye(3) - grey)) @ np.linalg.inv(_YIQ) @ turn @ _YIQ
    maps *= brightness * contrast
    maps[:, :, -1:] = 127.5 * (1 - contrast)
    return maps.astype(np.float32)


# Draws -> where in the picture each pixel of the result comes from: one matrix product for both engines.
#
# Affine map and crop are one step: the crop moves the places at which the affine map is asked. What it
# brings in from beyond the picture is black whatever the map says, so those places are sent far away.

_FAR = 1e6  # pixels; added to a position it lies outside of any picture


class Sources(NamedTuple):
    """rows @ grid + displacement is the position x, y in the picture, 0 at the first pixel's centre.

    rows: float32 (2, N, K), of which y has zeros from the fourth on; displacement: float32 (2, N, H, W)
    or None; grid: float32 (K, H W), shared by all callers and not to be changed.
    """

    rows: np.ndarray
    grid: np.ndarray
    displacement: np.ndarray | None


@cache
def _grid(height: int, width: int, down: int, across: int) -> np.ndarray:
    """float32 (3 + 2 down + 2 across, H W): x and y from the picture's middle, ones; then 1 in the
    first, second, ... row of pixels, in the last, the last but one, ..., and likewise in columns."""
    y, x = np.mgrid[:height, :width].reshape(2, -1)
    near = [(y == k) for k in range(down)] + [(y == height - 1 - k) for k in range(down)]
    near += [(x == k) for k in range(across)] + [(x == width - 1 - k) for k in range(across)]
    return np.stack([x - (width - 1) / 2, y - (height - 1) / 2, np.ones(len(x)), *near]).astype(np.float32)


@cache
def _borders(down: int, across: int) -> tuple[np.ndarray, np.ndarray]:
    """int64 (2, M), (M,): crop @ first > second where a row or column of `_grid` comes from beyond."""
    sides = [(-1, 0)] * down + [(1, 0)] * down + [(0, -1)] * across + [(0, 1)] * across
    numbers = np.concatenate([np.arange(down)] * 2 + [np.arange(across)] * 2)
    return np.array(sides, np.int64).reshape(-1, 2).T, numbers


def _beyond(crop: np.ndarray, down: int, across: int) -> np.ndarray:
    """(N, 2 down + 2 across): _FAR for each row and column near a border that comes from beyond it."""
    sides, numbers = _borders(down, across)
    return np.multiply(crop @ sides > numbers, np.float32(_FAR))


def _cropped(fields: np.ndarray, crop: np.ndarray) -> np.ndarray:
    """(2, N, H, W): output[y, x] = field[y + dy, x + dx]; anything where that is beyond the field.

    All fields as one line, in which each is read from a few numbers before or behind its start.
    """
    _, count, height, width = fields.shape
    size = height * width
    moves = np.clip(crop, [-height, -width], [height, width]) @ [width, 1]
    slack = int(np.abs(moves).max(initial=0))
    line = np.zeros(fields.size + 2 * slack, np.float32)
    line[slack : slack + fields.size].reshape(fields.shape)[...] = fields
    starts = slack + moves + size * np.arange(2 * count).reshape(2, count)
    return sliding_window_view(line, size)[starts].reshape(fields.shape)
