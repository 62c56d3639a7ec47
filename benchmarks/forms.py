"""Filled forms of ten layouts, photographed: fields read with a template, beside RapidOCR on the same crops.

    python benchmarks/forms.py [--data-dir ../shared/data] [--forms 200] [--readme]

Layouts and scenes are drawn (`form_layouts.py`, `form_scenes.py`): a sheet on a desk, turned, from near, a
scan, in shadow, each with perspective, a slight bend, blur, grain and JPEG. What is written comes from real
digits of writers that the network was not trained on: scans of `numbers_cc0`, and strokes of pendigits,
uji_v2_digits and UNIPEN drawn with a pen. Of every second layout the example is a filled form. A field of
a form that is not found counts as sent to review. RapidOCR's recogniser reads the crops that tenfold cut,
flat and without rules, where something is written, which is in its favour; it knows no patterns and sums.
One thread each.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import numpy as np
from answers import cpu_seconds, data_root
from common import machine, markdown_table, publish
from form_layouts import LAYOUTS, Blank
from form_scenes import SCENES, fill, make_values, photograph_form, scan
from PIL import Image

from tenfold.errors import DataError
from tenfold.forms.fields import FilledForm
from tenfold.forms.read import FormReader
from tenfold.forms.template import Check, Field, Form
from tenfold.pictures.open import open_picture
from tenfold.reader.line_reader import LineReader, load_reader
from tenfold.synthesis.sources import Hand, load_sources

FIRST = 1000  # seed of the first form; those below were looked at while this was written


def make_form(blank: Blank, example: Image.Image | np.ndarray) -> Form:
    wide, high = blank.page.size
    fields = tuple(
        Field(
            place.name,
            (place.box[0] / wide, place.box[1] / high, place.box[2] / wide, place.box[3] / high),
            place.pattern,
        )
        for place in blank.places
    )
    checks = tuple(map(Check.parse, blank.sums))
    return Form(blank.name, Path(f"{blank.name}.png"), fields, checks, example=open_picture(example))


def make_readers(reader: LineReader, blanks: Sequence[Blank], hands: Sequence[Hand]) -> dict[str, FormReader]:
    """Of every second layout the example is filled."""
    readers = {}
    for number, blank in enumerate(blanks):
        rng = np.random.default_rng(number)
        filled = fill(blank, make_values(blank, rng), hands[number % len(hands)], rng)
        example = scan(filled) if number % 2 else blank.page
        readers[blank.name] = FormReader(reader, make_form(blank, example))
    return readers


def make_peer() -> Any:
    """RapidOCR's recogniser, or None where it is not installed."""
    from handwriting_peers import RapidOcr

    try:
        return RapidOcr(masked=False)
    except SystemExit:
        return None


def read_peer(peer: Any, crop: np.ndarray) -> str:
    text = peer.read(np.ascontiguousarray(np.repeat(crop[:, :, None], 3, axis=2))).text
    return "".join(c for c in text.replace(".", ",") if c.isdigit() or c == ",")


def score(
    found: FilledForm | None,
    truth: dict[str, str],
    peer: Any,
    tally: Counter[str],
    misses: list[dict[str, str]],
) -> None:
    for name, value in truth.items():
        tally["fields"] += 1
        field = next((each for each in found.fields if each.name == name), None) if found else None
        if field is None:
            tally["sent"] += 1
            continue
        right = field.text == value
        tally["exact"] += right
        tally["sent"] += field.doubtful
        tally["kept"] += not field.doubtful
        tally["kept_exact"] += right and not field.doubtful
        tally[f"reason {field.reason}"] += 1
        if value and peer is not None:
            tally["written"] += 1
            tally["written_exact"] += right
            tally["peer_exact"] += read_peer(peer, field.crop) == value
        if not right:
            misses.append({"written": value, "read": field.text, "reason": field.reason})


def measure(count: int, root: Path) -> dict[str, Any]:
    sources = load_sources(root, "held")
    hands = [hand for hand in sources.hands if hand.name != "mnist" and len(hand.glyphs) == 10]
    blanks, reader, peer = [layout() for layout in LAYOUTS], load_reader(), make_peer()
    readers = make_readers(reader, blanks, hands)
    tally: Counter[str] = Counter()
    misses: list[dict[str, str]] = []
    seconds, lost = [], []
    for number in range(FIRST, FIRST + count):
        rng = np.random.default_rng(number)
        blank, scene = blanks[number % len(blanks)], SCENES[number // len(blanks) % len(SCENES)]
        truth = make_values(blank, rng)
        page = fill(blank, truth, hands[rng.integers(len(hands))], rng)
        photo, _ = photograph_form(page, scene, sources.papers, rng)
        started = cpu_seconds()
        try:
            found: FilledForm | None = readers[blank.name].read(photo)
        except DataError:
            found = None
            lost.append(f"{number} {blank.name} {scene}")
        seconds.append(cpu_seconds() - started)
        score(found, truth, peer, tally, misses)
        print(number, blank.name, scene, "found" if found else "not found", dict(tally), flush=True)
    return {
        "forms": count, "registered": count - len(lost), "lost": lost, "tally": dict(tally),
        "misses": misses, "seconds": [round(each, 2) for each in seconds],
    }  # fmt: skip


def table_of(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    tally, seconds = Counter(found["tally"]), found["seconds"]

    def share(part: str, of: str) -> tuple[str, str]:
        return f"{tally[of]:,}", f"{100 * tally[part] / max(1, tally[of]):.1f} %"

    rows = [
        ("forms found", f"{found['forms']:,}", f"{100 * found['registered'] / found['forms']:.1f} %"),
        ("fields exact", *share("exact", "fields")),
        ("fields sent to review", *share("sent", "fields")),
        ("fields exact among the rest", *share("kept_exact", "kept")),
    ]
    if tally["written"]:
        rows += [
            ("written fields of found forms exact", *share("written_exact", "written")),
            ("the same, RapidOCR on the same crops", *share("peer_exact", "written")),
        ]
    told = f"{statistics.median(seconds):.1f} ({max(seconds):.1f})"
    return [*rows, ("CPU seconds per form, median (most)", f"{len(seconds):,}", told)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data-dir")
    parser.add_argument("--forms", type=int, default=200)
    parser.add_argument("--readme", action="store_true", help="put the table into its page")
    options = parser.parse_args()
    found = measure(options.forms, data_root(options.data_dir))
    note = f"One thread; {machine()['processor']}. Made by `python benchmarks/forms.py`."
    publish(
        "forms",
        markdown_table(("what", "n", "measured"), table_of(found)),
        note,
        found,
        readme=options.readme,
    )


if __name__ == "__main__":
    main()
