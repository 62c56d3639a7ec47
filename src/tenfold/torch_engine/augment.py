"""Applies AugmentationDraws to a whole batch at once, on its device.

The order and the meaning are those of `tenfold.augmentation`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from tenfold.augmentation import AugmentationDraws, Sources
from tenfold.torch_engine.modules import channels_first

# Pixels in a piece, on a processor: 512 images of 28x28. What is made of more does not fit the cache, and
# is memory that the system takes back each time.
PIECE_PIXELS = 512 * 784


def augment(images: torch.Tensor, draws: AugmentationDraws) -> torch.Tensor:
    """uint8 (N, H, W) or (N, H, W, 3) -> float32 of the same shape in 0..255."""
    step = max(1, PIECE_PIXELS // images[0].numel())
    if images.device.type != "cpu" or len(images) <= step:
        return _change(images, draws)
    results = torch.empty(images.shape, dtype=torch.float32)
    for start in range(0, len(images), step):
        part = slice(start, start + step)
        results[part] = _change(images[part], draws.part(part))
    return results


def _change(images: torch.Tensor, draws: AugmentationDraws) -> torch.Tensor:
    pixels = channels_first(images.to(torch.float32))
    if draws.stroke is not None:
        pixels = _change_strokes(pixels, draws.stroke)
    sources = draws.find_sources(images.shape)
    if sources is not None:
        pixels = _resample(pixels, sources)
    if draws.flip is not None:
        pixels = torch.where(_tensor(draws.flip, pixels)[:, None, None, None], pixels.flip(3), pixels)
    if draws.colour is not None:
        maps = _tensor(draws.colour, pixels)
        changed = torch.baddbmm(maps[:, :, -1:], maps[:, :, :-1], pixels.flatten(2))
        pixels = changed.clamp_(0, 255).reshape(pixels.shape)
    if draws.erase is not None:
        pixels = _erase(pixels, draws.erase)
    return pixels[:, 0] if images.ndim == 3 else pixels.permute(0, 2, 3, 1)


def _change_strokes(pixels: torch.Tensor, stroke: np.ndarray) -> torch.Tensor:
    """Blends with the grey dilation (stroke > 0) or erosion (< 0) by a 3x3 cross; beyond one pixel
    the first dilation is applied whole and the blend is with the second."""
    amount = _tensor(stroke, pixels)[:, None, None, None]
    sign = torch.where(amount < 0, -1.0, 1.0)  # erosion is the dilation of the negative
    amount = amount.abs()
    before = pixels * sign
    after = _dilate(before)
    result = torch.lerp(before, after, amount.clamp(max=1))
    if np.abs(stroke).max(initial=0) > 1:
        result = torch.where(amount > 1, torch.lerp(after, _dilate(after), amount - 1), result)
    return result * sign


def _dilate(pixels: torch.Tensor) -> torch.Tensor:
    """The maximum of each pixel and its four neighbours inside the image."""
    grown = pixels.clone()
    for axis in (2, 3):
        size = pixels.shape[axis] - 1
        for to, source in ((0, 1), (1, 0)):
            part = grown.narrow(axis, to, size)
            torch.maximum(part, pixels.narrow(axis, source, size), out=part)
    return grown


def _resample(pixels: torch.Tensor, sources: Sources) -> torch.Tensor:
    """Bilinear, zeros outside."""
    count, _, height, width = pixels.shape
    # grid_sample counts from -1 at the first pixel's centre to 1 at the last's.
    units = np.array([2 / max(width - 1, 1), 2 / max(height - 1, 1)], np.float32)[:, None]
    rows = sources.rows * units[:, :, None]
    rows[:, :, 2] -= 1
    places = _tensor(rows, pixels).flatten(0, 1) @ _tensor(sources.grid, pixels)
    places = places.reshape(2, count, height, width)
    if sources.displacement is not None:
        places.add_(_tensor(sources.displacement * units[:, :, None, None], pixels))
    # x and y in planes of their own: on a CPU that is faster than pairs
    grid = places.permute(1, 2, 3, 0)
    return functional.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=True)


def _erase(pixels: torch.Tensor, erase: np.ndarray) -> torch.Tensor:
    y0, x0, y1, x1 = _tensor(erase, pixels).T[:, :, None]  # each (N, 1)
    y = torch.arange(pixels.shape[2], device=pixels.device)
    x = torch.arange(pixels.shape[3], device=pixels.device)
    rows, columns = (y >= y0) & (y < y1), (x >= x0) & (x < x1)
    inside = rows[:, :, None].to(pixels.dtype) * columns[:, None].to(pixels.dtype)
    return pixels * (1 - inside)[:, None]


def _tensor(array: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(array, device=like.device)
