"""What the benchmarks share: the machine's description, means with spread, tables, README sections."""

from __future__ import annotations

import json
import re
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tenfold.runs.folder import describe_environment

__all__ = ["RESULTS", "ROOT", "machine", "markdown_table", "publish", "rest", "spread"]

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
# Where tables stand.
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))


def machine() -> dict[str, Any]:
    """Hardware, versions and threads, with what PyTorch says of itself."""
    return {key: value for key, value in describe_environment("torch").items() if key != "engine"}


def rest() -> None:
    """A pause before a turn, in which the threads of the one before come to rest: OpenBLAS's, and OpenMP's,
    wait for more work in busy loops, on the cores that the next one needs."""
    time.sleep(0.1)


def spread(values: Sequence[float], *, scale: float = 1.0, digits: int = 2, unit: str = "") -> str:
    """mean ± sample standard deviation."""
    mean = scale * statistics.fmean(values)
    if len(values) < 2:
        return f"{mean:.{digits}f}{unit}"
    return f"{mean:.{digits}f} ± {scale * statistics.stdev(values):.{digits}f}{unit}"


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to the same width, so that it reads as well on a terminal as on a page."""
    table = [list(columns), *[list(row) for row in rows]]
    widths = [max(len(row[i]) for row in table) for i in range(len(columns))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in table]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _write_results(folder: Path, name: str, document: dict[str, Any]) -> Path:
    """NAME.json, with the machine beside the figures."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"machine": machine()} | document, indent=1) + "\n", encoding="utf-8")
    return path


def update_pages(section: str, text: str) -> None:
    """Replaces what stands between <!-- SECTION --> and <!-- /SECTION -->, on the page that has it."""
    pattern = rf"(<!-- {section} -->\n).*?(<!-- /{section} -->)"
    for page in PAGES:
        before = page.read_text(encoding="utf-8")
        after, count = re.subn(pattern, lambda m: f"{m[1]}{text}\n{m[2]}", before, flags=re.DOTALL)
        if count == 1:
            page.write_text(after, encoding="utf-8")
            return
    raise SystemExit(f"neither the README nor a page of docs/ has one section {section!r}")


def publish(
    name: str, table: str, note: str, document: dict[str, Any], *, readme: bool, folder: Path = RESULTS
) -> None:
    """Prints table and note, writes FOLDER/NAME.json, and where asked the section of its page."""
    print(f"\n{table}\n\n{note}")
    print(_write_results(folder, name, {"table": table, "note": note} | document))
    if readme:
        update_pages(name.replace("_", "-"), f"{table}\n\n{note}")
