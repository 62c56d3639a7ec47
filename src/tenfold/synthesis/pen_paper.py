"""Paper as a camera sees it: where the sheet lies, its ruling, the light on it, and what a lens,
a sensor and JPEG do to the picture.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

_PAPERS = np.array(
    [(250, 250, 248), (244, 240, 228), (238, 232, 208), (228, 228, 222), (240, 232, 232), (226, 232, 224),
     (232, 228, 238), (214, 208, 190), (246, 244, 224)],
    dtype=np.float32,
)  # fmt: skip
_RULINGS = np.array(
    [(120, 170, 215), (150, 190, 220), (165, 165, 175), (190, 160, 200), (130, 130, 140), (215, 150, 150)],
    dtype=np.float32,
)


@dataclass(frozen=True, eq=False)
class Page:
    """A sheet in a picture of `size` (H, W): `matrix` (3, 3) takes points of the sheet to the picture.

    `paper` and `around` are colours (3,) in 0..255; `edges` says how far inside the picture's borders
    (left, top, right, bottom; pixels of the sheet) the sheet ends, negative where it goes beyond.
    """

    size: tuple[int, int]
    matrix: np.ndarray
    paper: np.ndarray
    around: np.ndarray
    edges: tuple[float, float, float, float]

    def to_picture(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 2) of the sheet -> where they lie in the picture, float32 (n, 2)."""
        placed = points @ self.matrix[:2, :2].T + self.matrix[:2, 2]
        depth = points @ self.matrix[2, :2] + 1.0
        return (placed / depth[:, None]).astype(np.float32)

    def from_picture(self) -> tuple[np.ndarray, np.ndarray]:
        """Which x and which y of the sheet each pixel's centre shows: two arrays, float32 (H, W)."""
        back = np.linalg.inv(self.matrix)
        back = (back / back[2, 2]).astype(np.float32)
        x = np.arange(self.size[1], dtype=np.float32) + np.float32(0.5)
        y = np.arange(self.size[0], dtype=np.float32)[:, None] + np.float32(0.5)
        depth = back[2, 0] * x + (back[2, 1] * y + np.float32(1))
        np.reciprocal(depth, out=depth)
        return (
            (back[0, 0] * x + (back[0, 1] * y + back[0, 2])) * depth,
            (back[1, 0] * x + (back[1, 1] * y + back[1, 2])) * depth,
        )


def lay_page(size: tuple[int, int], rng: np.random.Generator) -> Page:
    """A sheet of some colour, turned and tilted a little; half of the time one sees where it ends."""
    height, width = size
    paper = (_PAPERS[rng.integers(len(_PAPERS))] + rng.normal(0, 3, 3)) * rng.uniform(0.86, 1.0)
    around = (
        paper * rng.uniform(0.7, 1.15) if rng.random() < 0.6 else rng.uniform(15, 200) + rng.normal(0, 18, 3)
    )
    turn = np.deg2rad(np.clip(rng.normal(0, 3.0), -8, 8)) * (0.4 if width > 2 * height else 1.0)
    stretch = 1 + rng.normal(0, 0.02, 2)
    cosine, sine = np.cos(turn), np.sin(turn)
    matrix = np.eye(3)
    matrix[:2, :2] = np.array([[cosine, -sine], [sine, cosine]]) * stretch
    matrix[2, :2] = rng.normal(0, 0.035, 2) / max(size)
    middle = np.array([width / 2, height / 2])
    matrix[:2, 2] = middle * (matrix[2, :2] @ middle + 1) - matrix[:2, :2] @ middle
    edges = rng.uniform(-0.12, 0.035, 4) * min(size) if rng.random() < 0.6 else np.full(4, -1e6)
    left, top, right, bottom = (float(edge) for edge in edges)
    return Page(
        size,
        matrix,
        np.clip(paper, 0, 255).astype(np.float32),
        np.clip(around, 0, 255).astype(np.float32),
        (left, top, right, bottom),
    )


def sheet_mask(page: Page, x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """1 on the sheet, 0 beside it, float32 (H, W); None where the sheet fills the picture."""
    left, top, right, bottom = page.edges
    if max(page.edges) < -1e5:
        return None
    across = np.minimum(x - left, (page.size[1] - right) - x)
    down = np.minimum(y - top, (page.size[0] - bottom) - y)
    inside = np.minimum(across, down)
    inside += np.float32(0.5)
    return np.clip(inside, 0, 1, out=inside)


def rule_page(
    page: Page, x: np.ndarray, y: np.ndarray, kind: str, pitch: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The ruling's strength float32 (H, W) in 0..1 and its colour (3,); `kind` is "lines" or "grid",
    `pitch` the distance of lines in pixels.
    """
    thickness = rng.uniform(0.8, 1.2 + 0.004 * min(page.size))
    strength = rng.uniform(0.1, 0.65) if rng.random() < 0.8 else rng.uniform(0.65, 1.0)
    lines = _lines(y, pitch, thickness, rng)
    if kind == "grid":
        np.maximum(lines, _lines(x, pitch, thickness, rng), out=lines)
    elif rng.random() < 0.15:  # the margin's line
        place = rng.uniform(0.03, 0.25) * page.size[1]
        np.maximum(lines, np.clip(thickness / 2 + 0.5 - np.abs(x - np.float32(place)), 0, 1), out=lines)
    lines *= np.float32(strength)
    colour = _RULINGS[rng.integers(len(_RULINGS))] * rng.uniform(0.75, 1.08)
    return lines, colour.astype(np.float32)


def _lines(along: np.ndarray, pitch: float, thickness: float, rng: np.random.Generator) -> np.ndarray:
    turns = along * np.float32(1 / pitch) + np.float32(rng.uniform(0, 1))
    turns -= np.rint(turns)
    np.abs(turns, out=turns)
    turns *= np.float32(-pitch)
    turns += np.float32(thickness / 2 + 0.5)
    return np.clip(turns, 0, min(1.0, thickness), out=turns)


def light_on(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """How much light falls on each pixel, float32 (H, W), about 0.2..1.15: brightness, a gradient,
    a vignette, creases, and shadows with soft and hard edges.
    """
    light = _smooth_light(size, rng)
    for _ in range(int(rng.choice([0, 1, 2], p=[0.52, 0.4, 0.08]))):
        light *= _shadow(size, rng)
    return light


def _smooth_light(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Made on a 24 x 24 grid and enlarged: nothing in it is sharper."""
    steps = np.linspace(-1, 1, 24, dtype=np.float32)
    x, y = steps, steps[:, None]
    heading = rng.uniform(0, 2 * np.pi)
    slope = np.cos(heading) * x + np.sin(heading) * y
    light = 1 + rng.uniform(0, 0.22) * slope
    if rng.random() < 0.4:
        light = light * (1 - rng.uniform(0.05, 0.35) * (x**2 + y**2) / 2)
    if rng.random() < 0.25:  # a sheet that is not flat
        light = light + rng.uniform(0.02, 0.1) * np.sin(rng.uniform(2, 7) * slope + rng.uniform(0, 6))
    light = light / light.max() * np.clip(rng.normal(0.95, 0.13), 0.5, 1.2)
    enlarged = Image.fromarray(light.astype(np.float32)).resize(size[::-1], Image.Resampling.BILINEAR)
    return np.array(enlarged)


def _shadow(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A half plane, or a band, that lies in the shade."""
    heading = rng.uniform(0, 2 * np.pi)
    x = np.arange(size[1], dtype=np.float32) * np.float32(np.cos(heading))
    y = np.arange(size[0], dtype=np.float32)[:, None] * np.float32(np.sin(heading))
    across = x + y
    inside = rng.uniform(0.1, 0.9, 2) * size[::-1]
    across -= np.float32(inside @ [np.cos(heading), np.sin(heading)])
    if rng.random() < 0.3:
        np.abs(across, out=across)
        across -= np.float32(rng.uniform(0.08, 0.3) * min(size))
    edge = rng.uniform(1.0, 6.0) if rng.random() < 0.3 else rng.uniform(0.02, 0.35) * min(size)
    across *= np.float32(1 / edge)
    np.clip(across, -0.5, 0.5, out=across)
    across += np.float32(0.5)
    depth = rng.uniform(0.1, 0.55)
    across *= np.float32(depth)
    across += np.float32(1 - depth)
    return across


def grain(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Noise of mean 0 and standard deviation 1, float32 (H, W): single pixels, or paper's coarser grain."""
    cell = int(rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15]))
    small = (-(-size[0] // cell), -(-size[1] // cell))
    raw = np.frombuffer(rng.bytes(2 * small[0] * small[1]), dtype=np.uint8).reshape(2, *small)
    noise = raw[0].astype(np.float32)
    noise += raw[1]
    noise -= np.float32(255)
    noise *= np.float32(1 / 104.5)
    if cell > 1:
        noise = np.array(Image.fromarray(noise).resize(size[::-1], Image.Resampling.BILINEAR))
        noise *= np.float32(1.5)
    return noise


def soften(planes: list[np.ndarray], radius: float, motion: tuple[int, int]) -> list[np.ndarray]:
    """Planes float32 (H, W) in 0..1, out of focus by a Gaussian of `radius` pixels and moved by
    `motion` (rows, columns) while the shutter was open.
    """
    if motion != (0, 0):
        planes = [
            (plane + np.roll(plane, motion, (0, 1)) + np.roll(plane, (-motion[0], -motion[1]), (0, 1)))
            * np.float32(1 / 3)
            for plane in planes
        ]
    if radius < 0.2:
        return planes
    scaled = [Image.fromarray((plane * 255).astype(np.uint8)) for plane in planes]
    blurred = [image.filter(ImageFilter.GaussianBlur(radius)) for image in scaled]
    return [np.asarray(image, dtype=np.float32) * np.float32(1 / 255) for image in blurred]


def compress(image: Image.Image, quality: int) -> Image.Image:
    """The picture after a round trip through JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    buffer.seek(0)
    with Image.open(buffer) as opened:
        return opened.convert("RGB")
