"""Draws docs/reading.png: every step of reading the first digits of examples/note.jpg.

python scripts/draw_reading.py
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from tenfold.reader.explain import explain_reading
from tenfold.reader.load import load_reader
from tenfold.reader.reading import read_picture

ROOT = Path(__file__).parents[1]
SHARE = 0.6  # of the note's width; the next digit is cut through, and is to be refused
WIDTH = 520  # pixels


def main() -> None:
    note = Image.open(ROOT / "examples" / "note.jpg")
    part = note.crop((0, 0, round(SHARE * note.width), note.height))
    reader = load_reader()
    sheet = explain_reading(read_picture(reader, part), reader, name="note.jpg")
    sheet = sheet.resize((WIDTH, round(sheet.height * WIDTH / sheet.width)), Image.Resampling.LANCZOS)
    sheet.quantize(128).save(ROOT / "docs" / "reading.png", optimize=True)


if __name__ == "__main__":
    main()
