"""Forms filled by hand, and photographed: sheets on desks, scans, turned, in shadow."""

from __future__ import annotations

import io
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from form_layouts import Blank, Place
from PIL import Image, ImageFilter
from scipy import ndimage

from tenfold.synthesis.ink import Pen, draw_text, random_pen
from tenfold.synthesis.sources import Hand

__all__ = ["SCENES", "fill", "make_values", "photograph_form", "scan"]

SCENES = ("desk", "turned", "near", "scan", "shadow")
_EMPTY = 0.06  # share of fields without a sum that are left empty
_LONGEST = 1900  # pixels of a photo


def make_values(blank: Blank, rng: np.random.Generator) -> dict[str, str]:
    """Of every field, its totals right; some fields are left empty."""
    values = {place.name: place.value(rng) for place in blank.places}
    summed = set()
    for check in blank.sums:
        total, parts = check.split(" = ")
        names = parts.split(" + ")
        found = sum(Decimal(values[name].replace(",", ".")) for name in names)
        values[total] = str(found).replace(".", ",")
        summed |= {total, *names}
    for name in values:
        if name not in summed and rng.random() < _EMPTY:
            values[name] = ""
    return values


def fill(blank: Blank, values: dict[str, str], hand: Hand, rng: np.random.Generator) -> np.ndarray:
    """float32 (H, W) 0..1: the form with the values in one hand and pen."""
    page = np.asarray(blank.page, np.float32) / 255
    pen, dark = random_pen(rng), rng.uniform(0.6, 0.95)
    pen = Pen(min(pen.width, 0.12), pen.slant, pen.stretch, min(pen.gap, 0.4), pen.gap_spread)
    ink = np.zeros(page.shape, np.float32)
    size = rng.uniform(0.8, 1.1)
    for place in blank.places:
        if values[place.name]:
            _write(ink, place, values[place.name], hand, pen, size, rng)
    return page * (1 - ink * dark)


def _write(
    ink: np.ndarray, place: Place, text: str, hand: Hand, pen: Pen, size: float, rng: np.random.Generator
) -> None:
    x0, y0, x1, y1 = place.box
    if place.cells:
        pitch = (x1 - x0) / place.cells
        for number, letter in enumerate(text):
            layer, _ = draw_text(letter, hand, size * place.height, pen, rng)
            left = x0 + pitch * (number + 0.5) - layer.shape[1] / 2 + rng.normal(0, 0.06) * pitch
            _lay(ink, layer, left, (y0 + y1 - layer.shape[0]) / 2 + rng.normal(0, 0.04) * place.height)
        return
    layer, top = draw_text(text, hand, size * place.height, pen, rng)
    if layer.shape[1] > 0.92 * (x1 - x0):
        ratio = 0.92 * (x1 - x0) / layer.shape[1]
        layer = np.asarray(
            Image.fromarray(layer).resize((int(layer.shape[1] * ratio), int(layer.shape[0] * ratio)))
        )
    slack = x1 - x0 - layer.shape[1]
    left = x0 + slack * rng.uniform(0.1, 0.7)
    middle = (y0 + y1) / 2 + rng.normal(0, 0.06) * (y1 - y0)
    _lay(ink, layer, left, middle - size * place.height / 2 - top)


def _lay(ink: np.ndarray, layer: np.ndarray, left: float, top: float) -> None:
    y, x = max(0, int(top)), max(0, int(left))
    part = ink[y : y + layer.shape[0], x : x + layer.shape[1]]
    np.maximum(part, layer[: part.shape[0], : part.shape[1]] / np.float32(255), out=part)


def scan(page: np.ndarray) -> np.ndarray:
    """float32 (H, W) -> uint8 (H, W): as it is printed."""
    return (np.clip(page, 0, 1) * 255).astype(np.uint8)


def photograph_form(
    page: np.ndarray, scene: str, papers: Sequence[np.ndarray], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """float32 (H, W) -> the photo uint8 (h, w), and where a grid of 9 x 9 places of the page lies on it,
    float (81, 2). papers: what a desk may be covered with."""
    high, wide = page.shape
    turn = int(rng.integers(1, 4)) if scene == "turned" else 0
    shape = (wide, high) if turn % 2 else (high, wide)
    size = np.array([shape[1], shape[0]], np.float64)
    size *= rng.uniform(0.8, 1.0) * _LONGEST / size.max()
    if scene in ("desk", "turned", "shadow"):
        size = size * rng.uniform(1.0, 1.25, 2)
    place = _Place(page.shape, size, turn, scene, rng)
    height, width = round(size[1]), round(size[0])
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    back = place.back(np.stack([x.ravel(), y.ravel()], axis=1))
    paper = page * rng.uniform(0.8, 1) + 0
    seen = ndimage.map_coordinates(
        ndimage.gaussian_filter(paper, 0.4), [back[:, 1], back[:, 0]], order=1, mode="nearest"
    ).reshape(height, width)
    inside = ((back >= 0) & (back < np.array([wide, high]))).all(axis=1).reshape(height, width)
    around = (
        np.full((height, width), 0.02, np.float32) if scene == "scan" else _desk((height, width), papers, rng)
    )
    picture = np.where(inside, seen, around) * _light((height, width), scene, rng)
    return _expose(picture, rng), place.forward(_grid(page.shape))


def _grid(shape: tuple[int, ...]) -> np.ndarray:
    return np.stack(np.meshgrid(np.linspace(0, shape[1], 9), np.linspace(0, shape[0], 9)), -1).reshape(-1, 2)


class _Place:
    """Where a page lies on a photo: corners moved at random, and a slight bend. size: of the photo."""

    def __init__(
        self, shape: tuple[int, ...], size: np.ndarray, turn: int, scene: str, rng: np.random.Generator
    ) -> None:
        flat = scene == "scan"
        self.page = np.array([shape[1], shape[0]], np.float64)
        share = (
            rng.uniform(0.9, 1.0)
            if flat
            else rng.uniform(0.97, 1.08)
            if scene == "near"
            else rng.uniform(0.62, 0.92)
        )
        corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * share
        corners = corners + rng.normal(0, 0.004 if flat else 0.05, (4, 2)) * (scene != "near" or 0.4)
        skew = np.deg2rad(rng.normal(0, 1.5 if flat else 4))
        rotation = np.array([[np.cos(skew), np.sin(skew)], [-np.sin(skew), np.cos(skew)]])
        half = size / 2
        aspect = self.page[::-1] if turn % 2 else self.page
        fitted = aspect * min(size / aspect) / 2
        corners = np.roll(corners * fitted @ rotation + half, -turn, axis=0)
        slack = (size - np.ptp(corners, axis=0)) / 2
        corners += rng.uniform(-0.3, 0.3, 2) * np.maximum(0, slack)
        units = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float64)
        self.matrix = _homography(units, corners)
        self.bend = np.zeros(2) if flat else rng.normal(0, 0.006, 2)

    def forward(self, points: np.ndarray) -> np.ndarray:
        unit = points / self.page
        bent = unit + self.bend * np.sin(np.pi * unit[:, ::-1]) ** 2
        mapped = np.column_stack([bent, np.ones(len(bent))]) @ self.matrix.T
        return mapped[:, :2] / mapped[:, 2:]

    def back(self, points: np.ndarray) -> np.ndarray:
        mapped = np.column_stack([points, np.ones(len(points))]) @ np.linalg.inv(self.matrix).T
        unit = bent = mapped[:, :2] / mapped[:, 2:]
        for _ in range(3):
            unit = bent - self.bend * np.sin(np.pi * np.clip(unit[:, ::-1], 0, 1)) ** 2
        return unit * self.page


def _homography(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    rows = []
    for (x, y), (u, v) in zip(one, other):
        rows += [(x, y, 1, 0, 0, 0, -u * x, -u * y), (0, 0, 0, x, y, 1, -v * x, -v * y)]
    return np.append(np.linalg.solve(np.array(rows), other.ravel()), 1.0).reshape(3, 3)


def _desk(shape: tuple[int, int], papers: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Wood, cloth or plain, dark or as light as paper; sometimes something else lies on it."""
    level = rng.uniform(0.1, 0.85)
    y = np.linspace(0, 60, shape[0], dtype=np.float32)[:, None] + 4 * _smooth(shape, 90, rng)
    grain = 0.06 * np.sin(y * rng.uniform(0.5, 3)) if rng.random() < 0.5 else 0.0
    if papers and rng.random() < 0.3:
        cloth = papers[int(rng.integers(len(papers)))]
        grain = grain + 0.2 * (np.asarray(Image.fromarray(cloth).resize(shape[::-1]), np.float32) / 255 - 0.5)
    desk = level + grain + 0.03 * _smooth(shape, 4, rng) + 0.05 * _smooth(shape, 60, rng)
    if rng.random() < 0.3:
        x0, y0 = rng.integers(shape[1]), rng.integers(shape[0])
        desk[y0 : y0 + shape[0] // 3, x0 : x0 + shape[1] // 3] = rng.uniform(0.1, 1)
    return np.clip(desk, 0.03, 1).astype(np.float32)


def _smooth(shape: tuple[int, int], grain: float, rng: np.random.Generator) -> np.ndarray:
    coarse = rng.standard_normal((int(shape[0] / grain) + 2, int(shape[1] / grain) + 2), dtype=np.float32)
    return np.asarray(Image.fromarray(coarse).resize(shape[::-1], Image.Resampling.BICUBIC))


def _light(shape: tuple[int, int], scene: str, rng: np.random.Generator) -> np.ndarray:
    if scene == "scan":
        return np.ones(shape, np.float32)
    y, x = (
        np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None],
        np.linspace(-1, 1, shape[1], dtype=np.float32),
    )
    turn = rng.uniform(0, 2 * np.pi)
    along = np.cos(turn) * x + np.sin(turn) * y
    light = 1 - rng.uniform(0, 0.35) * (1 + along) / 2
    if scene == "shadow":
        edge = np.clip((along - rng.uniform(-0.6, 0.6)) * rng.uniform(3, 30), 0, 1)
        light = light * (1 - rng.uniform(0.25, 0.55) * edge)
    return light


def _expose(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    image = Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8))
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.6)))
    grey = np.asarray(image) + rng.standard_normal(picture.shape, dtype=np.float32) * rng.uniform(0, 6)
    stream = io.BytesIO()
    Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).save(
        stream, "JPEG", quality=int(rng.integers(55, 95))
    )
    return np.asarray(Image.open(stream))
