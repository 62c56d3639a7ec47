"""Lines of CSV: no cell is one that a spreadsheet runs, and what people write is kept as it is."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

import tenfold
from tenfold.files import csv_line

RUN = ["=1+cmd|'/c calc'!A0", "@SUM(A1)", "+A1", "-A1", "=HYPERLINK(\"x\")", " =A1", "\t=A1", "\r=A1", "\n@a",
       "|calc", "%0A=a", "\uff1dA1", "--1+a", "=\u00b2", "-\r=A1"]  # fmt: skip
KEPT = ["", "7", "-1.049", "+49", "07/11\n-1,5", "=5", "1+2=3", "-3×4", "-", "a=b", "x@y.z", "not a digit",
        "-1e-5", "a\r=A1", "O'Neil", "run 1/=a.png"]  # fmt: skip


def parsed(line: str) -> list[str]:
    return next(csv.reader(io.StringIO(line, newline="")))


@pytest.mark.parametrize("cell", RUN)
def test_a_formula_becomes_text(cell: str) -> None:
    assert parsed(csv_line(("a", cell, "b"))) == ["a", f"'{cell}", "b"]


@pytest.mark.parametrize("cell", KEPT)
def test_what_is_no_formula_stays(cell: str) -> None:
    assert parsed(csv_line((cell, "b"))) == [cell, "b"]


def test_as_the_library_writes_it() -> None:
    expected = io.StringIO(newline="")
    csv.writer(expected).writerow([1, 0.5, None, 'a "b", c', "d\ne"])
    assert csv_line([1, 0.5, None, 'a "b", c', "d\ne"], "\r\n") == expected.getvalue()


def test_all_tables_are_written_with_it() -> None:
    package = Path(tenfold.__file__).parent
    writers = [path.name for path in package.rglob("*.py") if "csv.writer" in (text := path.read_text()) or
               "DictWriter" in text or ".to_csv" in text]  # fmt: skip
    assert writers == ["files.py"]
