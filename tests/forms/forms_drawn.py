"""A small form with printed numbers in it, as a template, and photographed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

__all__ = ["PLACES", "draw_form", "photograph", "write_toml"]

SIZE = (620, 460)
PLACES = {"a": (300, 90, 460, 160), "b": (300, 180, 460, 250), "total": (300, 290, 460, 360)}


def draw_form(
    values: Mapping[str, str], *, title: str = "Marks of one exam", boxes: bool = True
) -> Image.Image:
    """L: labels, boxes, and the values in them."""
    page = Image.new("L", SIZE, 250)
    draw = ImageDraw.Draw(page)
    draw.text((40, 25), title, fill=40, font=ImageFont.load_default(size=34))
    for number, (name, (x0, y0, x1, y1)) in enumerate(PLACES.items()):
        draw.text((40, y0 + 20), f"Task {name}, row {number}", fill=40, font=ImageFont.load_default(size=24))
        if boxes:
            draw.rectangle((x0, y0, x1, y1), outline=60, width=3)
        middle = (x0 + x1) // 2, (y0 + y1) // 2
        font = ImageFont.load_default(size=46)
        draw.text(middle, values.get(name, ""), fill=30, font=font, anchor="mm")
    draw.text(
        (40, 400), "Please write clearly, and nothing else.", fill=40, font=ImageFont.load_default(size=22)
    )
    return page


def photograph(page: Image.Image, turns: int = 0) -> tuple[Image.Image, np.ndarray]:
    """On a dark desk, from the side, turned by so many quarters, in uneven light: the photo (L), and where
    the page's corners lie on it, float (4, 2), from its upper left one clockwise."""
    wide, high = 900, 760
    corners = np.array([(120, 90), (800, 140), (770, 640), (90, 600)], float)
    source = np.array([(0, 0), (SIZE[0], 0), SIZE, (0, SIZE[1])], float)
    rows = []
    for (x, y), (u, v) in zip(corners, source, strict=True):
        rows += [(x, y, 1, 0, 0, 0, -u * x, -u * y), (0, 0, 0, x, y, 1, -v * x, -v * y)]
    back = np.linalg.solve(np.array(rows), source.ravel())
    seen = page.transform(
        (wide, high), Image.Transform.PERSPECTIVE, back.tolist(), Image.Resampling.BICUBIC, fillcolor=60
    )
    light = np.linspace(1, 0.7, wide)[None] * np.linspace(0.95, 0.8, high)[:, None]
    grain = np.random.default_rng(0).normal(0, 3, (high, wide))
    grey = np.clip(np.asarray(seen) * light + grain, 0, 255).astype(np.uint8)
    photo = Image.fromarray(grey).filter(ImageFilter.GaussianBlur(0.8)).rotate(90 * turns, expand=True)
    for _ in range(turns):
        corners, wide, high = np.stack([corners[:, 1], wide - corners[:, 0]], axis=1), high, wide
    return photo, corners


def write_toml(folder: Path, *, more: str = "", example: Image.Image | None = None) -> Path:
    """exam.toml and its picture."""
    (example or draw_form({})).save(folder / "exam.png")
    lines = ['name = "exam"', 'picture = "exam.png"']
    for name, box in PLACES.items():
        shares = [round(edge / SIZE[i % 2], 4) for i, edge in enumerate(box)]
        lines += ["[[field]]", f'name = "{name}"', f"box = {shares}", r"pattern = '\d{1,3}'"]
    path = folder / "exam.toml"
    path.write_text("\n".join([*lines, more]) + "\n", encoding="utf-8")
    return path
