"""The same pictures through every way that tenfold answers: how far apart the answers are.

    python benchmarks/parity.py [--data-dir DIR] [--quick] [--readme]

Pictures of every kind of `real-dev` and `handwriting-dev` are read by the reader that comes with the
package: in Python, which the others are compared with, by `tenfold read --json`, by `tenfold serve` over
HTTP, with the exported ONNX file as the network, in ONNX Runtime, and by the browser bundle in headless
Chromium, which decodes the files itself. Prints a table; writes parity.json to benchmarks/results/.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from answers import REAL, Case, data_root, find_cases
from common import ROOT, markdown_table, publish

from tenfold.export.onnx_file import export_onnx
from tenfold.export.web import export_web
from tenfold.reader.line_reader import load_reader

sys.path.append(str(ROOT / "scripts"))

Answer = dict[str, Any]  # text, characters, troubles, as `tenfold read --json` gives them
_MOST, _QUICK = 50, 6  # pictures of each kind


def read_in_python(cases: Sequence[Case], _: Path) -> list[Answer]:
    reader = load_reader()
    return [reader.read(case.path).to_dict() for case in cases]


def read_by_command(cases: Sequence[Case], _: Path) -> list[Answer]:
    command = [sys.executable, "-m", "tenfold", "read", "--json", "--quiet"]
    done = subprocess.run(
        [*command, *(str(case.path) for case in cases)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def read_over_http(cases: Sequence[Case], _: Path) -> list[Answer]:
    from other_ways import serving

    answers = []
    with serving() as address:
        for case in cases:
            headers = {"Content-Type": "application/octet-stream"}
            request = urllib.request.Request(f"{address}/v1/read", case.path.read_bytes(), headers)
            with urllib.request.urlopen(request, timeout=60) as answer:
                answers += json.load(answer)["pictures"]
    return answers


def read_with_onnx(cases: Sequence[Case], place: Path) -> list[Answer]:
    from other_ways import OnnxReader

    reader = OnnxReader(export_onnx(load_reader(), place / "reader.onnx"))
    return [reader.read(case.path).to_dict() for case in cases]


def read_in_browser(cases: Sequence[Case], place: Path) -> list[Answer]:
    from browser import open_page
    from browser_reading import open_bundle

    site = export_web(load_reader(), place / "site")
    root = Path(os.path.commonpath([case.path for case in cases]))
    with open_page() as page, open_bundle(page, site, root) as bundle:
        return [bundle.read(case.path.relative_to(root).as_posix()) for case in cases]


WAYS: dict[str, Callable[[Sequence[Case], Path], list[Answer]]] = {
    "`tenfold read --json`": read_by_command,
    "HTTP: `POST /v1/read`": read_over_http,
    "ONNX Runtime": read_with_onnx,
    "browser bundle, headless Chromium": read_in_browser,
}


def compare(expected: Sequence[Answer], found: Sequence[Answer]) -> dict[str, Any]:
    """same: pictures with the same characters: labels, verdicts and boxes. alike: with the same text.
    difference: the largest of a probability, over the pictures whose characters can be paired."""
    pairs = list(zip(expected, found, strict=True))
    paired = [(one, other) for one, other in pairs if len(one["characters"]) == len(other["characters"])]
    gaps = [
        float(np.abs(np.subtract(mine["probs"], own["probs"])).max())
        for one, other in paired
        for own, mine in zip(one["characters"], other["characters"], strict=True)
    ]
    return {
        "pictures": len(pairs),
        "characters": sum(len(one["characters"]) for one, _ in pairs),
        "same": sum(_told(one) == _told(other) for one, other in pairs),
        "alike": sum(one["text"] == other["text"] for one, other in pairs),
        "identical": sum(_told(one, probs=True) == _told(other, probs=True) for one, other in pairs),
        "difference": max(gaps, default=0.0),
    }


def _told(answer: Answer, *, probs: bool = False) -> list[Any]:
    return [
        (each["label"], each["verdict"], list(each["box"]), each["probs"] if probs else None)
        for each in answer["characters"]
    ]


def measure(cases: Sequence[Case]) -> dict[str, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name:
        expected = read_in_python(cases, Path(name))
        figures = {}
        for way, read in WAYS.items():
            print(way, file=sys.stderr, flush=True)
            figures[way] = compare(expected, read(cases, Path(name)))
    return figures


def table_of(figures: dict[str, dict[str, Any]]) -> str:
    columns = (
        "way",
        "same characters, verdicts and boxes",
        "same probabilities to the last bit",
        "largest difference",
    )
    rows = [
        (
            way,
            f"{each['same']:,} of {each['pictures']:,}",
            f"{each['identical']:,}",
            f"{each['difference']:.1g}",
        )
        for way, each in figures.items()
    ]
    return markdown_table(columns, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data-dir", help="the folder that holds both (else TENFOLD_DATA_DIR)")
    parser.add_argument("--quick", action="store_true", help="a few pictures of each kind; writes nothing")
    parser.add_argument("--readme", action="store_true", help="put the table into its page")
    arguments = parser.parse_args()
    kinds = find_cases(data_root(arguments.data_dir), limit=_QUICK if arguments.quick else _MOST)
    kinds.pop("sheet", None)  # tables, of which the browser reads lines, not cells
    cases = [case for each in kinds.values() for case in each]
    figures = measure(cases)
    count = next(iter(figures.values()))["characters"]
    real = sum(case.kind in REAL for case in cases)
    note = (
        f"{real} real pictures and {len(cases) - real} rendered ones ("
        + ", ".join(f"{len(each)} {kind}" for kind, each in kinds.items())
        + f"; {count:,} characters), PNG and JPEG, each way against `LineReader.read` in Python. Differences "
        "are of a character's probability. The browser decodes the files itself."
    )
    if arguments.quick:
        print(f"{table_of(figures)}\n\n{note}")
        return
    publish("parity", table_of(figures), note, {"ways": figures}, readme=arguments.readme)


if __name__ == "__main__":
    main()
