"""Reading real pictures of other people's digits, beside other readers.

    python benchmarks/handwriting.py [--limit 30] [--kinds cheque,photo] [--peers rapidocr] [--readme]

Measures the reader that comes with the package on `real-dev` (real pictures), `handwriting-dev` (rendered
by us) and, with --mnist, on MNIST's test set. RapidOCR and tesseract read the same pictures. Runs on one
core. Prints tables; writes handwriting.json and the curve of coverage and risk to benchmarks/results/.
With --limit, --kinds or other --peers nothing is written unless --out names a folder. With --keep-peers only
tenfold is measured, and what the results hold of the other readers, on the same pictures, stays.

For a quick look: `measure_tenfold(reader, data_root(None), ["cheque"], 50)`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from answers import (
    PAGES,
    REAL,
    RENDERED,
    Answer,
    Case,
    Read,
    answer_cases,
    data_root,
    find_cases,
    read_with_tenfold,
)
from common import RESULTS, machine, publish
from handwriting_costs import cost_table, measure_costs, measure_sizes
from handwriting_figures import (
    DEFINITIONS,
    MNIST,
    TOGETHER,
    WILD,
    confidence_curve,
    exact_table,
    group_answers,
    measure_answers,
    refusal_table,
)
from handwriting_peers import Peer, make_peers
from misses import draw_misses, find_misses
from risk_curve import draw_curves

from tenfold import load_dataset, load_reader
from tenfold.helpers import ONE_CORE

Figures = dict[str, Any]
Answers = dict[str, list[Answer]]
PEERS = ("rapidocr", "tesseract")
CURVE_PEER = "RapidOCR, digits only"


class Tenfold:
    """The reader under measurement, in the form of the peers."""

    name = "tenfold"

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def prepare(self, cases: Sequence[Case]) -> Sequence[Case]:
        return cases

    def read(self, picture: Any) -> Read:
        return read_with_tenfold(self._reader, picture)

    def describe(self) -> Figures:
        return measure_sizes()


def measure_tenfold(
    reader: Any, root: Path, kinds: Iterable[str] = (*REAL, *RENDERED), limit: int | None = None
) -> dict[str, Figures]:
    """The figures of each kind on its first `limit` pictures, or all. root: holds real-dev/."""
    return measure_groups(answer_kinds(Tenfold(reader), find_cases(root, kinds, limit)))


def answer_kinds(reader: Peer, cases: Mapping[str, list[Case]]) -> Answers:
    """Kinds that the reader leaves out are missing."""
    answers = {}
    for kind, found in cases.items():
        if chosen := reader.prepare(found):
            answers[kind] = answer_cases(reader.read, chosen, reader.name)
    return answers


def measure_groups(answers: Answers) -> dict[str, Figures]:
    return {kind: measure_answers(found) for kind, found in group_answers(answers).items()}


def find_mnist_cases(root: Path, limit: int | None) -> list[Case]:
    """MNIST's test set as pictures."""
    test_set = load_dataset("mnist", split="test", data_dir=root)
    return [
        Case(Path(f"{i:05}"), f"mnist/{i:05}", test_set.class_names[label], MNIST, image=np.asarray(image))
        for i, (image, label) in enumerate(zip(test_set.images[:limit], test_set.labels[:limit], strict=True))
    ]


def make_tables(figures: Mapping[str, Mapping[str, Figures]], costs: Mapping[str, Figures]) -> str:
    """Real pictures first, then rendered ones, then costs."""
    tables = [
        make(figures, rendered=rendered)
        for rendered in (False, True)
        for make in (exact_table, refusal_table)
        if any((kind in (*RENDERED, MNIST)) == rendered for each in figures.values() for kind in each)
    ]
    return "\n\n".join([*tables, cost_table(costs, figures)] if costs else tables)


def describe(figures: Mapping[str, Mapping[str, Figures]], readers: Mapping[str, Figures]) -> str:
    """What stands below the tables. readers: what each says of itself."""
    told = [
        "95 % intervals (Wilson) in brackets. Separators, operators and spaces are dropped before texts are "
        "compared; refused: a `?` in the text, or no digit; digits right: 1 - edits / digits."
    ]
    errors = [
        f"{kind} {entry['calibration_error']:.3f}"
        for kind, entry in figures["tenfold"].items()
        if entry["calibration_error"] is not None and kind not in WILD
    ]
    if errors:
        told.append(f"Calibration error of tenfold (15 bins, single digits): {', '.join(errors)}.")
    host = machine()
    told += [
        *_describe_peers(figures, readers),
        f"{host['processor']}, {host['cores']} cores, {host['threads']} thread(s), NumPy {host['numpy']}.",
        "Made by `python benchmarks/handwriting.py`.",
    ]
    return " ".join(told)


def _describe_peers(
    figures: Mapping[str, Mapping[str, Figures]], readers: Mapping[str, Figures]
) -> list[str]:
    told = []
    if rapid := readers.get("RapidOCR"):
        told.append(
            f"RapidOCR {rapid['version']}: its recogniser on the whole picture; all models of its wheel take "
            f"{rapid['bytes_of_all_models'] / 2**20:.0f} MiB. Digits only: all other characters masked."
        )
    if tesseract := readers.get("tesseract"):
        counts = [entry["n"] for kind, entry in figures["tesseract"].items() if kind != TOGETHER]
        modes = ", ".join(f"{kind} {mode}" for kind, mode in tesseract["page_modes"].items())
        told.append(
            f"tesseract {tesseract['version']}, digits only, on the first {max(counts, default=0)} pictures "
            f"of each kind at most, with the page mode that is best for it: {modes}."
        )
    if naive := readers.get("naive pipeline"):
        told.append(
            f"Naive pipeline: the CNN of PyTorch's MNIST example ({naive['epochs']} epochs) behind grey, "
            "invert where bright, resize to 28x28."
        )
    return told


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data-dir", help="holds real-dev/, handwriting-dev/ and mnist/")
    parser.add_argument("--limit", type=int, help="pictures of each kind, for a trial")
    parser.add_argument(
        "--kinds", type=_names, help="such as cheque,rendered-photo; else all but whole pages"
    )
    parser.add_argument("--pages", action="store_true", help="whole pages of sudokus too")
    parser.add_argument("--mnist", action="store_true", help="MNIST's test set as pictures too, tenfold only")
    parser.add_argument("--peers", type=_names, default=list(PEERS), help="rapidocr,tesseract or none")
    parser.add_argument("--peer-limit", type=int, default=100, help="pictures of each kind for tesseract")
    parser.add_argument("--naive", action="store_true", help="the naive pipeline too, on single digits")
    parser.add_argument("--naive-weights", type=Path, help="trained where missing (else in the cache)")
    parser.add_argument("--no-costs", action="store_true", help="leave latency and memory out")
    parser.add_argument("--keep-peers", action="store_true", help="measure tenfold only")
    parser.add_argument("--misses", type=Path, help="folder for contact sheets of tenfold's misses")
    parser.add_argument("--out", type=Path, help="folder of the results")
    parser.add_argument("--readme", action="store_true", help="put the tables into README.md")
    options = parser.parse_args(arguments)
    options.peers = [name for name in options.peers if name != "none"]
    if unknown := set(options.peers) - set(PEERS):
        parser.error(f"unknown peers {', '.join(sorted(unknown))}: expected {', '.join(PEERS)} or none")
    whole = options.limit is None and options.kinds is None and options.peers == list(PEERS)
    if options.readme and not (whole and not options.no_costs):
        parser.error("--readme needs all pictures, peers and costs")
    if options.out is None and whole:
        options.out = RESULTS
    options.kinds = [*(options.kinds or (*REAL, *RENDERED)), *(PAGES if options.pages else ())]
    return options


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def main() -> None:
    options = parse_options()
    root = data_root(options.data_dir)
    cases = find_cases(root, options.kinds, options.limit)
    tenfold = Tenfold(load_reader())
    naive = (options.naive_weights, str(root)) if options.naive else None
    peers = [] if options.keep_peers else make_peers(options.peers, limit=options.peer_limit, naive=naive)
    readers: list[Peer] = [tenfold, *peers]
    costs: Figures = {}
    if not options.no_costs:  # first: what fails in it fails early
        cheques = find_cases(root, ["cheque"])["cheque"]
        costs = measure_costs(readers, cheques)
    answers = {reader.name: answer_kinds(reader, cases) for reader in readers}
    if options.mnist:
        found = find_mnist_cases(root, options.limit)
        answers["tenfold"][MNIST] = answer_cases(tenfold.read, found, "tenfold")
    figures = {name: measure_groups(each) for name, each in answers.items()}
    described = {reader.name: reader.describe() for reader in readers}
    if options.misses:
        draw_misses(answers["tenfold"], options.misses)
    earlier = json.loads((RESULTS / "handwriting.json").read_text()) if options.keep_peers else {}
    figures = {**earlier.get("figures", {}), **figures}
    described = {**earlier.get("readers", {}), **described}
    costs = {**earlier.get("costs", {}), **costs}
    write_results(options, answers, figures, described, costs, earlier.get("curves", {}))


def write_results(
    options: argparse.Namespace,
    answers: dict[str, Answers],
    figures: dict[str, dict[str, Figures]],
    described: dict[str, Figures],
    costs: Figures,
    curves: Figures,
) -> None:
    """curves: of readers that were measured earlier."""
    table, note = make_tables(figures, costs), describe(figures, described)
    if options.keep_peers:
        note += " The other readers were measured in an earlier run, on the same pictures."
    if options.out is None:
        print(f"{table}\n\n{note}")
        return
    for name in (n for n in ("tenfold", CURVE_PEER) if n in answers):
        real = [answer for kind in REAL for answer in answers[name].get(kind, ())]
        if real:
            curves[name] = confidence_curve(real)
    options.out.mkdir(parents=True, exist_ok=True)
    if curves:
        draw_curves(curves, options.out / "coverage_risk.png")
    document = {
        "definitions": DEFINITIONS,
        "figures": figures,
        "costs": costs,
        "readers": described,
        "curves": curves,
        "misses": [miss.to_dict() for found in answers["tenfold"].values() for miss in find_misses(found)],
    }
    publish("handwriting", table, note, document, readme=options.readme, folder=options.out)


def run_on_one_core() -> None:
    """Starts the program anew where libraries would take more threads: they read the number when loaded."""
    if any(os.environ.get(name) != count for name, count in ONE_CORE.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ONE_CORE)


if __name__ == "__main__":
    run_on_one_core()
    main()
