"""Draws docs/reading.png: how the first digits of examples/note.jpg are read.

python scripts/draw_reading.py
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from tenfold.reader.explain import explain_reading
from tenfold.reader.load import load_reader

ROOT = Path(__file__).parents[1]
SHARE = 0.6  # of the note's width; the next digit is cut through
WIDTH = 520  # pixels


def main() -> None:
    note = Image.open(ROOT / "examples" / "note.jpg")
    part = note.crop((0, 0, round(SHARE * note.width), note.height))
    reader = load_reader()
    sheet = explain_reading(reader.read(part), reader, name="note.jpg")
    sheet = sheet.resize((WIDTH, round(sheet.height * WIDTH / sheet.width)), Image.Resampling.LANCZOS)
    sheet.quantize(128).save(ROOT / "docs" / "reading.png", optimize=True)


if __name__ == "__main__":
    main()
