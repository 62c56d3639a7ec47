"""How long a report takes, and how large it is: `tenfold report` on a run of `cnn` over full MNIST.

    python benchmarks/report_time.py [--quick] [--run RUN] [--readme]

A run is trained first where none is named. A report of a folder without robustness measures it, on 1,000
test images under fifteen corruptions of five severities; the second kind of report only writes the page.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from common import markdown_table, publish
from process_cost import Cost, run_measured

TENFOLD = [sys.executable, "-m", "tenfold"]
KINDS = {"measuring robustness first": True, "of a run that holds everything": False}


def report(source: Path, folder: Path, *, measure: bool) -> tuple[Cost, int]:
    """The cost of one report on a fresh copy of the run, and the bytes of the page."""
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(source, run)
    if measure:
        for path in run.glob("robustness.*"):
            path.unlink()
    cost = run_measured([*TENFOLD, "report", str(run)], folder / "out.txt")
    return cost, (run / "report.html").stat().st_size


def prepare(given: Path | None, folder: Path) -> Path:
    """A run with everything measured."""
    run = folder / "trained" if given is None else Path(shutil.copytree(given, folder / "given"))
    if given is None:
        subprocess.run([*TENFOLD, "train", "cnn", "--run-dir", str(run), "--quiet"], check=True)
    subprocess.run([*TENFOLD, "report", str(run)], check=True)
    return run


def row(kind: str, costs: list[Cost], sizes: list[int]) -> list[str]:
    walls = [cost.wall for cost in costs]
    return [
        kind,
        f"{statistics.median(walls):.2f} ({min(walls):.2f} .. {max(walls):.2f})",
        f"{statistics.median(cost.cpu for cost in costs):.2f}",
        f"{max(cost.peak_mib for cost in costs):.0f}",
        f"{max(sizes) / 1e6:.2f}",
        f"{len(costs)}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one repeat instead of five")
    parser.add_argument("--run", type=Path, help="a finished run of cnn on mnist")
    parser.add_argument("--readme", action="store_true", help="write the table into its page")
    options = parser.parse_args()
    costs: dict[str, list[Cost]] = {kind: [] for kind in KINDS}
    sizes: dict[str, list[int]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as place:
        run = prepare(options.run, Path(place))
        for _ in range(1 if options.quick else 5):
            for kind, measure in KINDS.items():
                cost, size = report(run, Path(place), measure=measure)
                costs[kind].append(cost)
                sizes[kind].append(size)
    columns = (
        "`tenfold report`, cnn on MNIST",
        "wall s, median (min .. max)",
        "CPU s",
        "peak MiB",
        "MB",
        "n",
    )
    table = markdown_table(columns, [row(kind, costs[kind], sizes[kind]) for kind in KINDS])
    note = (
        "A process of its own each time, with all imports. The page is one file; robustness is measured on "
        "1,000 test images, fifteen corruptions, five severities. Made by `python benchmarks/report_time.py`."
    )
    document = {
        kind: {
            "wall": [c.wall for c in costs[kind]],
            "cpu": [c.cpu for c in costs[kind]],
            "bytes": sizes[kind],
        }
        for kind in KINDS
    }
    publish("report_time", table, note, document, readme=options.readme)


if __name__ == "__main__":
    main()
