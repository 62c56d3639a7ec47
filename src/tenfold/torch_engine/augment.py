"""Applies AugmentationDraws to a whole batch at once, on its device.

The order and the meaning are those of `tenfold.augmentation.draws`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from tenfold.augmentation.draws import AugmentationDraws

__all__ = ["augment"]


def augment(images: torch.Tensor, draws: AugmentationDraws) -> torch.Tensor:
    """uint8 (N, H, W) -> float32 (N, H, W) in 0..255."""
    pixels = images.to(torch.float32)
    if draws.stroke is not None:
        pixels = _change_strokes(pixels, draws.stroke)
    if draws.affine is not None or draws.displacement is not None:
        pixels = _resample(pixels, draws)
    if draws.crop is not None:
        pixels = _crop(pixels, draws.crop)
    if draws.erase is not None:
        pixels = _erase(pixels, draws.erase)
    return pixels


def _change_strokes(pixels: torch.Tensor, stroke: np.ndarray) -> torch.Tensor:
    """Blends with the grey dilation (stroke > 0) or erosion (< 0) by a 3x3 cross; beyond one pixel
    the first dilation is applied whole and the blend is with the second."""
    amount = _tensor(stroke, pixels)[:, None, None]
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
    for axis in (1, 2):
        size = pixels.shape[axis] - 1
        for to, source in ((0, 1), (1, 0)):
            part = grown.narrow(axis, to, size)
            torch.maximum(part, pixels.narrow(axis, source, size), out=part)
    return grown


def _resample(pixels: torch.Tensor, draws: AugmentationDraws) -> torch.Tensor:
    """Bilinear, zeros outside: the output pixel at (x, y) is the input at
    affine @ (x - cx, y - cy, 1) + (cx, cy) + displacement."""
    count, height, width = pixels.shape
    sizes = torch.tensor([max(width - 1, 1), max(height - 1, 1)], dtype=torch.float32, device=pixels.device)
    places = _places(height, width, pixels.device)
    if draws.affine is not None:
        affine = _tensor(draws.affine, pixels)
        moved = places.reshape(1, -1, 3) @ affine.transpose(1, 2)  # (N, H W, 2)
        moved = moved.reshape(count, height, width, 2)
    else:
        moved = places[None, :, :, :2].expand(count, height, width, 2)
    if draws.displacement is not None:
        moved = moved + _tensor(draws.displacement, pixels).permute(0, 2, 3, 1)
    # grid_sample counts from -1 at the first pixel's centre to 1 at the last's.
    grid = moved * (2 / sizes)
    sampled = functional.grid_sample(
        pixels[:, None], grid, mode="bilinear", padding_mode="zeros", align_corners=True
    )
    return sampled[:, 0]


def _places(height: int, width: int, device: torch.device) -> torch.Tensor:
    """float32 (H, W, 3): (x, y, 1) of each pixel, counted from the image's centre."""
    y = torch.arange(height, dtype=torch.float32, device=device) - (height - 1) / 2
    x = torch.arange(width, dtype=torch.float32, device=device) - (width - 1) / 2
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([columns, rows, torch.ones_like(rows)], dim=2)


def _crop(pixels: torch.Tensor, crop: np.ndarray) -> torch.Tensor:
    """output[y, x] = input[y + dy, x + dx], zero outside."""
    count, height, width = pixels.shape
    pad = int(np.abs(crop).max(initial=0))
    padded = functional.pad(pixels, (pad, pad, pad, pad))
    corner = _tensor(crop, pixels) + pad
    rows = corner[:, 0, None] + torch.arange(height, device=pixels.device)
    columns = corner[:, 1, None] + torch.arange(width, device=pixels.device)
    image = torch.arange(count, device=pixels.device)
    return padded[image[:, None, None], rows[:, :, None], columns[:, None, :]]


def _erase(pixels: torch.Tensor, erase: np.ndarray) -> torch.Tensor:
    y0, x0, y1, x1 = _tensor(erase, pixels).T[:, :, None]  # each (N, 1)
    y = torch.arange(pixels.shape[1], device=pixels.device)
    x = torch.arange(pixels.shape[2], device=pixels.device)
    rows, columns = (y >= y0) & (y < y1), (x >= x0) & (x < x1)
    return pixels.masked_fill(rows[:, :, None] & columns[:, None, :], 0.0)


def _tensor(array: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(array, device=like.device)
