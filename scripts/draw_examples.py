"""Draws the pictures in examples/: digits as a hand draws them, a photographed note, a table of marks.

python scripts/draw_examples.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tenfold.synthesis.glyphs import Drawing, draw_strokes, load_glyphs, normalise, vary
from tenfold.synthesis.scenes import paper_picture

FOLDER = Path(__file__).parents[1] / "examples"
NOTE_SEED = 11
MARKS = (("1", "7", "38"), ("2", "4", "265"), ("3", "", "90"), ("4", "5", "17"), ("5", "9", "246"))
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


def photograph_table(rows: tuple[tuple[str, ...], ...]) -> Image.Image:
    """Numbers in ruled cells, handwritten, on a page seen from the side."""
    rng = np.random.default_rng(NOTE_SEED)
    wide, high, margin = 150, 84, 50
    size = len(rows[0]) * wide + 2 * margin, len(rows) * high + 2 * margin
    page = np.zeros((size[1], size[0]), np.float32)
    styles: dict[str, list[Drawing]] = {}
    for glyph in load_glyphs():
        styles.setdefault(glyph.label, []).append(glyph)
    for i, row in enumerate(rows):
        for j, text in enumerate(row):
            start = margin + (j + 0.5) * wide - 19 * len(text)
            for k, digit in enumerate(text):
                glyph = styles[digit][rng.integers(len(styles[digit]))]
                drawn = normalise(vary(glyph, rng, strength=0.4))
                place = np.array([start + 38 * k, margin + i * high + 18], np.float32)
                strokes = [stroke * np.float32(44) + place for stroke in drawn.strokes]
                page = np.maximum(page, 0.8 * draw_strokes(strokes, page.shape, 4.0))
    picture = Image.fromarray(np.rint(228 - 190 * page).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for k in range(len(rows) + 1):
        draw.line([(margin, margin + k * high), (size[0] - margin, margin + k * high)], fill=120, width=2)
    for k in range(len(rows[0]) + 1):
        draw.line([(margin + k * wide, margin), (margin + k * wide, size[1] - margin)], fill=120, width=2)
    lean = (1.0, 0.06, -20.0, 0.03, 1.0, -12.0, 0.0, 0.00012)
    seen = picture.transform(size, Image.Transform.PERSPECTIVE, lean, Image.Resampling.BICUBIC, fillcolor=70)
    light = np.linspace(0.8, 1.05, size[0], dtype=np.float32)
    grain = rng.normal(0, 2.5, (size[1], size[0]))
    return Image.fromarray(np.clip(np.asarray(seen) * light + grain, 0, 255).astype(np.uint8))


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    photograph("3141592").save(FOLDER / "note.jpg", quality=85)
    photograph_table(MARKS).save(FOLDER / "marks.jpg", quality=88)
    for name, strokes in DIGITS.items():
        draw(strokes).save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
