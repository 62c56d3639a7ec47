"""Whole pages: sudokus cell by cell, and sheets with tables or lines, beside RapidOCR with its detector.

    python benchmarks/tables.py [--data-dir ../shared/data] [--readme]

Real photos by other people, which the network was not trained or tuned on; how tables are found was worked
out while looking at them. A cell of a sudoku is right where its
digit is read, where nothing is read in an empty one, and always where it holds pencil candidates. RapidOCR
knows no cells: each digit that it reads is put into the cell of the grid that tenfold found there, which is
in its favour. Of a sheet the digits are compared in reading order (RapidOCR's boxes by rows): 1 - edits /
digits; words of a sheet count against whoever reads digits in them. One thread each; CPU seconds with
decoding, of the picture's second reading. A table of 100 cells, drawn here on 12 megapixels, measures the
memory of a whole process, and the time.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import numpy as np
from answers import cpu_seconds, data_root
from common import machine, markdown_table, publish
from PIL import Image, ImageDraw, ImageFont
from process_cost import run_measured
from reading_scores import keep_digits

from tenfold.pictures.open import open_picture
from tenfold.reader.adaptation import edit_distance
from tenfold.reader.line_reader import load_reader
from tenfold.reader.reading import Reading
from tenfold.reader.table import Table

SIDE = 9


class Word(NamedTuple):
    """What RapidOCR read; box: float (4, 2), x and y of its corners from the upper left clockwise."""

    text: str
    box: np.ndarray


class Scored(NamedTuple):
    right: int
    of: int
    seconds: float


def make_rapidocr() -> Callable[[Path], list[Word]]:
    import cv2
    from rapidocr import RapidOCR

    cv2.setNumThreads(1)
    threads = {"EngineConfig.onnxruntime.intra_op_num_threads": 1}
    engine: Any = RapidOCR(params={"Global.log_level": "error"} | threads)

    def read(path: Path) -> list[Word]:
        found = engine(open_picture(path, longest=4000).pixels[:, :, ::-1])
        if found.boxes is None:
            return []
        return [Word(text, np.asarray(box)) for text, box in zip(found.txts, found.boxes, strict=True)]

    return read


def timed(read: Callable[[], Any]) -> tuple[Any, float]:
    read()
    started = cpu_seconds()
    found = read()
    return found, cpu_seconds() - started


def right_cells(cells: Sequence[Sequence[str]], label: str) -> int:
    """label: nine rows of nine; . is empty, c holds candidates."""
    rows = label.split()
    if [len(row) for row in cells] != [SIDE] * SIDE:
        return sum(row.count("c") for row in rows)
    return sum(
        truth == "c" or text == truth.replace(".", "")
        for row, told in zip(cells, rows, strict=True)
        for text, truth in zip(row, told, strict=True)
    )


def put_into_cells(words: Sequence[Word], table: Table, scale: float) -> list[list[str]]:
    """Each digit into the cell around its middle; a word's digits stand evenly along it."""
    texts = [["" for _ in row] for row in table.rows]
    for word in words:
        for number, character in enumerate(word.text):
            along = (number + 0.5) / len(word.text)
            top, bottom = (word.box[a] + along * (word.box[b] - word.box[a]) for a, b in ((0, 1), (3, 2)))
            x, y = (top + bottom) / 2 * scale
            for i, row in enumerate(table.rows):
                for j, cell in enumerate(row):
                    x0, y0, x1, y1 = cell.box
                    if character.isdigit() and x0 <= x < x1 and y0 <= y < y1:
                        texts[i][j] += character
    return texts


def in_reading_order(words: Sequence[Word]) -> str:
    """Rows of words whose middles lie within half of a word's height, each from the left."""
    rows: list[list[Word]] = []
    for word in sorted(words, key=lambda each: each.box[:, 1].mean()):
        middle, high = word.box[:, 1].mean(), np.ptp(word.box[:, 1])
        if rows and abs(middle - rows[-1][0].box[:, 1].mean()) < high / 2:
            rows[-1].append(word)
        else:
            rows.append([word])
    return " ".join(word.text for row in rows for word in sorted(row, key=lambda each: each.box[:, 0].mean()))


def score_sudoku(reading: Reading, words: Sequence[Word], label: str, scale: float) -> tuple[int, int]:
    table = reading.table
    cells = [[cell.text for cell in row] for row in table.rows] if table else []
    beside = put_into_cells(words, table, scale) if table else []
    return right_cells(cells, label), right_cells(beside, label)


def score_sheet(text: str, label: str) -> int:
    """Digits less edits, at least 0; a "?" is an edit."""
    truth = keep_digits(label)
    return max(0, len(truth) - edit_distance(keep_digits(text, doubtful="?"), truth))


def measure(rows: Sequence[dict[str, str]], root: Path) -> dict[str, dict[str, list[Scored]]]:
    """Kind -> reader -> a score for each picture."""
    reader, rapidocr = load_reader(), make_rapidocr()
    found: dict[str, dict[str, list[Scored]]] = {}
    for row in rows:
        path, label = root / row["path"], row["label"]
        picture = open_picture(path, longest=4000)
        reading, ours = timed(partial(reader.read, path))
        words, theirs = timed(partial(rapidocr, path))
        if row["kind"] == "sudoku-page":
            size = SIDE * SIDE
            one, other = score_sudoku(reading, words, label, picture.scale)
        else:
            size = len(keep_digits(label))
            one, other = score_sheet(reading.text, label), score_sheet(in_reading_order(words), label)
        scores = found.setdefault(row["kind"], {"tenfold": [], "RapidOCR": []})
        scores["tenfold"].append(Scored(one, size, ours))
        scores["RapidOCR"].append(Scored(other, size, theirs))
        print(row["path"], *(f"{name} {each[-1]}" for name, each in scores.items()), flush=True)
    return found


def draw_large(path: Path) -> None:
    """A photo of 12 megapixels of a sheet with a table of 10 x 10 numbers."""
    rng, cell = np.random.default_rng(0), 260
    page = Image.new("L", (4000, 3000), 215)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=0.5 * cell)
    for k in range(11):
        for line in (
            (600 + k * cell, 200, 600 + k * cell, 200 + 10 * cell),
            (600, 200 + k * cell, 3200, 200 + k * cell),
        ):
            draw.line(line, fill=110, width=5)
    for i, j in np.ndindex(10, 10):
        place = 600 + (j + 0.5) * cell, 200 + (i + 0.5) * cell
        draw.text(place, str(rng.integers(10, 100)), fill=50, font=font, anchor="mm")
    turned = page.rotate(3, Image.Resampling.BILINEAR, fillcolor=215)
    grain = 6 * rng.standard_normal((3000, 4000), dtype=np.float32)
    Image.fromarray((np.asarray(turned) + grain).clip(0, 255).astype(np.uint8)).convert("RGB").save(path)


def measure_large() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "large.jpg"
        draw_large(path)
        reading, seconds = timed(partial(load_reader().read, path))
        cost = run_measured([sys.executable, "-m", "tenfold", "read", str(path)], Path(place) / "out")
    cells = math.prod(reading.table.shape) if reading.table else 0
    return {"cells": cells, "cpu_s": seconds, "peak_mib": cost.peak_mib, "process_cpu_s": cost.cpu}


def table_of(found: dict[str, dict[str, list[Scored]]]) -> list[tuple[str, ...]]:
    names = {"sudoku-page": "cells of whole sudokus", "sheet": "digits of sheets"}
    return [
        (
            names[kind],
            name,
            f"{len(each)}",
            f"{sum(s.of for s in each):,}",
            f"{100 * sum(s.right for s in each) / sum(s.of for s in each):.1f} %",
            f"{sum(s.right == s.of for s in each)}",
            f"{statistics.median(s.seconds for s in each):.1f} ({max(s.seconds for s in each):.1f})",
        )
        for kind, scores in found.items()
        for name, each in scores.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data-dir")
    parser.add_argument("--readme", action="store_true", help="put the table into its page")
    options = parser.parse_args()
    root = data_root(options.data_dir) / "real-dev"
    with (root / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] in ("sudoku-page", "sheet")]
    large = measure_large()
    found = measure(sorted(rows, key=lambda row: row["kind"], reverse=True), root)
    columns = ("what", "reader", "pictures", "n", "right", "pictures all right", "CPU s, median (most)")
    note = (
        f"One thread each; {machine()['processor']}. RapidOCR 3.10.0 with its detector. "
        f"A table of {large['cells']:.0f} cells in a photo of 12 megapixels: {large['cpu_s']:.1f} s of CPU, "
        f"{large['process_cpu_s']:.1f} s and {large['peak_mib']:.0f} MiB with the start of the process. "
        "Made by `python benchmarks/tables.py`."
    )
    document = {kind: {name: list(each) for name, each in scores.items()} for kind, scores in found.items()}
    publish(
        "tables",
        markdown_table(columns, table_of(found)),
        note,
        {"scores": document, "large": large},
        readme=options.readme,
    )


if __name__ == "__main__":
    main()
