"""Drawings -> the pictures that people send: a canvas drawn on with a mouse or a finger, and paper
written on with a pen and photographed (where the sheet lies, its ruling, the light on it, lens and sensor).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from PIL import Image, ImageFilter

from tenfold.synthesis.glyphs import Drawing, box, draw_strokes, normalise
from tenfold.synthesis.paper import compress

CanvasStyle = Literal["black-on-white", "white-on-black", "colour", "transparent"]
Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels, the last two outside

_CANVASES = ((28, 28), (64, 64), (90, 120), (280, 280), (400, 400), (300, 500), (480, 320), (800, 1000))
_PHOTOS = ((300, 300), (480, 480), (640, 480), (480, 640), (900, 900))
_INKS = np.array(
    [(32, 48, 140), (25, 40, 110), (50, 70, 170), (28, 28, 32), (45, 45, 50), (20, 22, 50), (170, 35, 40),
     (80, 80, 84), (105, 105, 108), (25, 95, 60), (95, 45, 120)],
    dtype=np.float32,
)  # fmt: skip
_INK_ODDS = (0.17, 0.12, 0.08, 0.14, 0.08, 0.07, 0.13, 0.1, 0.05, 0.03, 0.03)
_PAPERS = np.array(
    [(250, 250, 248), (244, 240, 228), (238, 232, 208), (228, 228, 222), (240, 232, 232), (226, 232, 224),
     (232, 228, 238), (214, 208, 190), (246, 244, 224)],
    dtype=np.float32,
)  # fmt: skip
_RULINGS = np.array(
    [(120, 170, 215), (150, 190, 220), (165, 165, 175), (190, 160, 200), (130, 130, 140), (215, 150, 150)],
    dtype=np.float32,
)
_SHARES = np.linspace(0, 1, 256)[:, None]
_GREY = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def canvas_picture(
    drawing: Drawing, rng: np.random.Generator, *, style: CanvasStyle | None = None
) -> Image.Image:
    """A drawing on a plain canvas of 28 x 28 to 1000 x 800 pixels, mode RGB, L or RGBA.

    The transparent style holds dark ink that only its alpha channel shows. Ink and paper differ by at
    least 70 grey levels of 255. Without `style` each comes up now and then.
    """
    if style is None:
        style = get_args(CanvasStyle)[rng.choice(4, p=[0.35, 0.2, 0.22, 0.23])]
    size = _canvas_size(rng)
    coverage = _canvas_coverage(normalise(drawing), size, rng)
    if style == "transparent":
        # most programs leave black under zero alpha; some the ink's colour, some white
        ink = np.zeros(3) if rng.random() < 0.7 else rng.uniform(0, 110, 3)
        under = (ink, ink, np.zeros(3), np.full(3, 255.0))[rng.integers(4)]
        return _coloured(coverage, np.concatenate([np.where(_SHARES > 0, ink, under), 255 * _SHARES], axis=1))
    ink, paper = _canvas_colours(style, rng)
    image = _coloured(coverage, paper + _SHARES * (ink - paper))
    if style != "colour" and rng.random() < 0.15:
        return image.convert("L")
    return compress(image, int(rng.integers(60, 96))) if rng.random() < 0.08 and min(size) > 60 else image


def paper_picture(
    drawings: Sequence[Drawing], rng: np.random.Generator, *, size: tuple[int, int] | None = None
) -> tuple[Image.Image, list[Box]]:
    """A photograph of one drawing, or of several in a row, on paper; and each drawing's box in it.

    `size` is (H, W) in pixels; without it, one drawing gets 300 x 300 to 900 x 900 and several a wide
    field that their row fits into. A box is cut off at the picture's edges; the image's mode is RGB.
    """
    drawings = [normalise(drawing) for drawing in drawings]
    rows, size, unit = _lay_out(drawings, rng, size)
    page = lay_page(size, rng)
    width = max(unit * min(np.exp(rng.normal(-2.95, 0.42)), 0.15), 1.1)
    ink, boxes = _ink_on(page.size, [tuple(map(page.to_picture, strokes)) for strokes in rows], width, rng)
    return _photograph(page, ink, unit, rng), boxes


def _canvas_size(rng: np.random.Generator) -> tuple[int, int]:
    if rng.random() < 0.6:
        return _CANVASES[rng.choice(len(_CANVASES), p=[0.16, 0.14, 0.12, 0.2, 0.12, 0.1, 0.1, 0.06])]
    short = np.exp(rng.uniform(np.log(28), np.log(420)))
    long = short * (1 if rng.random() < 0.4 else rng.uniform(1, 2.2))
    return (round(short), round(long)) if rng.random() < 0.65 else (round(long), round(short))


def _canvas_coverage(drawing: Drawing, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """The drawing somewhere on the canvas, small to filling, hair-thin to marker-thick."""
    _, extent = box(drawing.strokes)
    space = float(np.min(np.array(size[::-1]) / np.maximum(extent, 0.05)))
    length = space * (rng.uniform(0.3, 0.98) if rng.random() < 0.9 else rng.uniform(0.98, 1.01))
    length = max(length, min(17.0, 0.9 * space))
    width = max(length * min(np.exp(rng.normal(-2.75, 0.5)), 0.17), rng.uniform(0.8, 1.6))
    free = np.array(size[::-1]) - extent * length
    # an edge may cut into the line, but never takes a stroke away (a 5 is none without its hat)
    margin = min(width / 2, 0.04 * length) if rng.random() < 0.8 else -0.25 * width
    place = rng.uniform(np.minimum(margin, free / 2), np.maximum(free - margin, free / 2))
    strokes = [stroke * np.float32(length) + place for stroke in drawing.strokes]
    wobble = rng.uniform(0.02, 0.1) if rng.random() < 0.35 else 0.0
    coverage = draw_strokes(strokes, size, width, rng, pressure=rng.random() < 0.15, wobble=wobble)
    return (coverage > 0.5).astype(np.float32) if rng.random() < 0.2 and width > 1.3 else coverage


def _canvas_colours(style: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    dark, light = np.zeros(3), np.full(3, 255.0)
    if style != "colour":
        if rng.random() < 0.15:  # nearly
            dark, light = dark + rng.uniform(0, 40), light - rng.uniform(0, 25)
        return (dark, light) if style == "black-on-white" else (light, dark)
    for _ in range(40):
        ink, paper = rng.uniform(0, 255, (2, 3))
        if rng.random() < 0.5:
            paper = paper + (255 - paper) * 0.6  # paper is rather pale
        if abs((ink - paper) @ _GREY) >= 70:
            return ink, paper
    return dark, light


def _coloured(coverage: np.ndarray, colours: np.ndarray) -> Image.Image:
    """Each pixel gets the colour, of 256, that stands for its coverage."""
    table = np.rint(colours).astype(np.uint8)
    return Image.fromarray(table[np.rint(coverage * 255).astype(np.uint8)])


def _lay_out(
    drawings: list[Drawing], rng: np.random.Generator, size: tuple[int, int] | None
) -> tuple[list[list[np.ndarray]], tuple[int, int], float]:
    """Strokes in the sheet's pixels, one list a drawing; the picture's size; a drawing's height in pixels."""
    # between neighbours, as a share of a digit's height: touching now and then, mostly not
    gap = float(rng.uniform(-0.04, 0.06) if rng.random() < 0.2 else rng.uniform(0.06, 0.6))
    wave = rng.uniform(0, 0.05)
    rows, x = [], 0.0
    for drawing in drawings:
        scale = np.exp(rng.normal(0, 0.06)) if len(drawings) > 1 else 1.0
        _, extent = box(drawing.strokes)
        lift = np.array([x, -extent[1] * scale + rng.normal(0, wave)])
        rows.append([stroke * scale + lift for stroke in drawing.strokes])
        x += max(extent[0] * scale, 0.08) + gap + abs(rng.normal(0, 0.3)) * max(gap, 0.03)
    low, high = box(tuple(stroke for row in rows for stroke in row))
    extent = np.maximum(high - low, 0.1)
    size, unit = _photo_size(extent, len(drawings), rng, size)
    free = np.array(size[::-1]) - extent * unit
    place = free * rng.uniform(0.25, 0.75, 2) if len(drawings) == 1 else free * rng.uniform(0.35, 0.65, 2)
    return [[(stroke - low) * unit + place for stroke in row] for row in rows], size, unit


def _photo_size(
    extent: np.ndarray, count: int, rng: np.random.Generator, size: tuple[int, int] | None
) -> tuple[tuple[int, int], float]:
    if size is None and count > 1:
        unit = np.exp(rng.uniform(np.log(60), np.log(220)))
        margins = unit * rng.uniform((0.5, 0.6), (2.0, 1.8))
        wide, high = np.rint(extent * unit + margins)
        return (int(high), int(wide)), float(unit)
    if size is None:
        size = _PHOTOS[rng.choice(len(_PHOTOS), p=[0.3, 0.25, 0.18, 0.17, 0.1])]
    space = float(np.min(np.array(size[::-1]) / extent))
    return size, space * float(rng.uniform(0.35, 0.85) if count == 1 else rng.uniform(0.6, 0.88))


def _ink_on(
    size: tuple[int, int], rows: list[tuple[np.ndarray, ...]], width: float, rng: np.random.Generator
) -> tuple[np.ndarray, list[Box]]:
    """The coverage of all drawings, float32 (H, W), and each one's box."""
    wobble = rng.uniform(0.02, 0.09) if rng.random() < 0.4 else 0.0
    pressure = bool(rng.random() < 0.3)
    ink, boxes = np.zeros(size, dtype=np.float32), []
    for strokes in rows:
        low, high = box(strokes)
        corner = np.floor(low - width - 2)
        extent = np.ceil(high + width + 2 - corner).astype(int)
        inner, shape = [stroke - corner for stroke in strokes], (int(extent[1]), int(extent[0]))
        drawn = draw_strokes(inner, shape, width, rng, pressure=pressure, wobble=wobble)
        boxes.append(_stamp(ink, drawn, int(corner[0]), int(corner[1])))
    return ink, boxes


def _stamp(ink: np.ndarray, drawn: np.ndarray, x: int, y: int) -> Box:
    """Lays one drawing's coverage at (x, y), cut off at the edges; the box of what is left."""
    x0, y0 = max(x, 0), max(y, 0)
    x1, y1 = min(x + drawn.shape[1], ink.shape[1]), min(y + drawn.shape[0], ink.shape[0])
    if x0 >= x1 or y0 >= y1:
        return (x0, y0, x0, y0)
    seen = drawn[y0 - y : y1 - y, x0 - x : x1 - x]
    np.maximum(ink[y0:y1, x0:x1], seen, out=ink[y0:y1, x0:x1])
    columns, lines = np.flatnonzero(seen.any(axis=0)), np.flatnonzero(seen.any(axis=1))
    if not len(columns):
        return (x0, y0, x0, y0)
    return (int(x0 + columns[0]), int(y0 + lines[0]), int(x0 + columns[-1] + 1), int(y0 + lines[-1] + 1))


def _photograph(page: Page, ink: np.ndarray, unit: float, rng: np.random.Generator) -> Image.Image:
    x, y = page.from_picture()
    mask = sheet_mask(page, x, y)
    kind = str(rng.choice(["none", "lines", "grid"], p=[0.45, 0.3, 0.25]))
    rules, rule_colour = None, page.paper
    if kind != "none":
        rules, rule_colour = rule_page(page, x, y, kind, max(unit * rng.uniform(0.25, 1.1), 9.0), rng)
    colour = np.clip(_INKS[rng.choice(len(_INKS), p=_INK_ODDS)] + rng.normal(0, 8, 3), 0, 255)
    opacity = rng.uniform(0.35, 0.75) if colour.min() > 70 else rng.uniform(0.72, 1.0)
    noise = grain(page.size, rng)
    planes = [plane for plane in (ink, rules, mask) if plane is not None]
    radius = abs(rng.normal(0, 0.0022)) * min(page.size) if rng.random() < 0.8 else 0.0
    move_down, move_right = (rng.integers(-1, 2, 2) * (rng.random() < 0.15)).tolist()
    planes = soften(planes, min(radius, 0.02 * unit + 0.3), (move_down, move_right))
    ink = planes[0] * np.float32(opacity)
    if colour.min() > 70 and rng.random() < 0.7:  # pencil skips the paper's valleys
        ink = ink * np.clip(1 + np.float32(0.3) * noise, 0, 1)
    rules = planes[1] if rules is not None else None
    mask = planes[-1] if mask is not None else None
    light = light_on(page.size, rng)
    noise *= np.float32(np.exp(rng.uniform(np.log(0.8), np.log(9))))
    tint = (1 + rng.normal(0, 0.025, 3)).astype(np.float32)
    pixels = page.paper if rules is None else page.paper + rules[..., None] * (rule_colour - page.paper)
    pixels = pixels + ink[..., None] * (colour.astype(np.float32) - pixels)
    if mask is not None:
        pixels = page.around + mask[..., None] * (pixels - page.around)
    pixels = np.clip(pixels * (light[..., None] * tint) + noise[..., None], 0, 255)
    return compress(Image.fromarray(pixels.astype(np.uint8)), int(rng.integers(30, 96)))


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
        depth = np.reciprocal(back[2, 0] * x + (back[2, 1] * y + np.float32(1)))
        across, down = ((row[0] * x + (row[1] * y + row[2])) * depth for row in back[:2])
        return across, down


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
    paper, around = (np.clip(colour, 0, 255).astype(np.float32) for colour in (paper, around))
    left, top, right, bottom = (float(edge) for edge in edges)
    return Page(size, matrix, paper, around, (left, top, right, bottom))


def sheet_mask(page: Page, x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """1 on the sheet, 0 beside it, float32 (H, W); None where the sheet fills the picture."""
    left, top, right, bottom = page.edges
    if max(page.edges) < -1e5:
        return None
    across = np.minimum(x - left, (page.size[1] - right) - x)
    down = np.minimum(y - top, (page.size[0] - bottom) - y)
    return np.clip(np.minimum(across, down) + np.float32(0.5), 0, 1)


def rule_page(
    page: Page, x: np.ndarray, y: np.ndarray, kind: str, pitch: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The ruling's strength float32 (H, W) in 0..1 and its colour (3,); `kind` is "lines" or "grid",
    `pitch` the distance of lines in pixels."""
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
    near = np.abs(turns - np.rint(turns)) * np.float32(-pitch) + np.float32(thickness / 2 + 0.5)
    return np.clip(near, 0, min(1.0, thickness))


def light_on(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """How much light falls on each pixel, float32 (H, W), about 0.2..1.15: brightness, a gradient,
    a vignette, creases, and shadows with soft and hard edges."""
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
    light = (light / light.max() * np.clip(rng.normal(0.95, 0.13), 0.5, 1.2)).astype(np.float32)
    return np.array(Image.fromarray(light).resize(size[::-1], Image.Resampling.BILINEAR))


def _shadow(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A half plane, or a band, that lies in the shade."""
    heading = rng.uniform(0, 2 * np.pi)
    x = np.arange(size[1], dtype=np.float32) * np.float32(np.cos(heading))
    y = np.arange(size[0], dtype=np.float32)[:, None] * np.float32(np.sin(heading))
    inside = rng.uniform(0.1, 0.9, 2) * size[::-1]
    across = (x + y) - np.float32(inside @ [np.cos(heading), np.sin(heading)])
    if rng.random() < 0.3:
        across = np.abs(across) - np.float32(rng.uniform(0.08, 0.3) * min(size))
    edge = rng.uniform(1.0, 6.0) if rng.random() < 0.3 else rng.uniform(0.02, 0.35) * min(size)
    lit = np.clip(across * np.float32(1 / edge), -0.5, 0.5) + np.float32(0.5)
    depth = rng.uniform(0.1, 0.55)
    return lit * np.float32(depth) + np.float32(1 - depth)


def grain(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Noise of mean 0 and standard deviation 1, float32 (H, W): single pixels, or paper's coarser grain."""
    cell = int(rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15]))
    small = (-(-size[0] // cell), -(-size[1] // cell))
    raw = np.frombuffer(rng.bytes(2 * small[0] * small[1]), dtype=np.uint8).reshape(2, *small)
    noise = (raw[0].astype(np.float32) + raw[1] - np.float32(255)) * np.float32(1 / 104.5)
    if cell == 1:
        return noise
    return np.asarray(Image.fromarray(noise).resize(size[::-1], Image.Resampling.BILINEAR)) * np.float32(1.5)


def soften(planes: list[np.ndarray], radius: float, motion: tuple[int, int]) -> list[np.ndarray]:
    """Planes float32 (H, W) in 0..1, out of focus by a Gaussian of `radius` pixels and moved by
    `motion` (rows, columns) while the shutter was open."""
    if motion != (0, 0):
        planes = [
            (plane + np.roll(plane, motion, (0, 1)) + np.roll(plane, (-motion[0], -motion[1]), (0, 1)))
            * np.float32(1 / 3)
            for plane in planes
        ]
    if radius < 0.2:
        return planes
    blur, scaled = ImageFilter.GaussianBlur(radius), ((plane * 255).astype(np.uint8) for plane in planes)
    blurred = (Image.fromarray(plane).filter(blur) for plane in scaled)
    return [np.asarray(image, dtype=np.float32) * np.float32(1 / 255) for image in blurred]
