"""Draws the pictures in examples/: digits as a hand draws them, and a photographed note.

python scripts/draw_examples.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tenfold.pens.distort import vary
from tenfold.pens.glyphs import load_glyphs
from tenfold.pens.scenes import paper_picture
from tenfold.pens.strokes import Drawing

FOLDER = Path(__file__).parents[1] / "examples"
NOTE_SEED = 11
SIDE, PEN, INK = 280, 17, (35, 45, 95)

# Strokes as points in units of the picture's side.
DIGITS = {
    "two": [[(.30, .33), (.34, .24), (.45, .18), (.58, .20), (.66, .30), (.63, .42), (.52, .55), (.38, .68),
             (.28, .78), (.45, .77), (.62, .77), (.74, .76)]],
    "five": [[(.66, .20), (.40, .21), (.38, .34), (.36, .47), (.46, .43), (.58, .45), (.66, .55), (.65, .68),
              (.56, .77), (.44, .79), (.33, .74)]],
    "seven": [[(.30, .26), (.45, .25), (.60, .24), (.70, .24), (.62, .38), (.54, .54), (.48, .68),
               (.45, .80)]],
}  # fmt: skip


def draw(strokes: list[list[tuple[float, float]]]) -> Image.Image:
    """Drawn four times as large and reduced, so that the edges are soft."""
    scale = 4
    picture = Image.new("RGB", (SIDE * scale, SIDE * scale), (250, 249, 245))
    pen = ImageDraw.Draw(picture)
    radius = PEN * scale / 2
    for stroke in strokes:
        points = [(x * SIDE * scale, y * SIDE * scale) for x, y in stroke]
        pen.line(points, fill=INK, width=PEN * scale, joint="curve")
        for x, y in points:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=INK)
    return picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def photograph(digits: str) -> Image.Image:
    """A note on ruled paper, half in the shade, in the package's own glyphs."""
    rng = np.random.default_rng(NOTE_SEED)
    styles: dict[str, list[Drawing]] = {}
    for glyph in load_glyphs():
        styles.setdefault(glyph.label, []).append(glyph)
    chosen = [vary(styles[digit][rng.integers(len(styles[digit]))], rng, strength=0.5) for digit in digits]
    return paper_picture(chosen, rng)[0]


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    photograph("3141592").save(FOLDER / "note.jpg", quality=85)
    for name, strokes in DIGITS.items():
        draw(strokes).save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
