"""`tenfold compare`, the same by its older name, and what `tenfold report` measures."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli_chain import Command


def test_compare_says_whether_the_difference_is_real(
    tenfold: Command, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained)
    one, two = "runs/one", "runs/two"
    document = tenfold("compare", one, two, "--json").json
    (test,) = document["tests"]
    assert test["runs"] == ["one", "two"] and test["n"] == 30 and document["notes"] == []
    assert 0 < test["p"] <= 1 and test["real"] == (test["p_adjusted"] < 0.05)
    assert test["words"] in tenfold("compare", one, two).out
    assert tenfold("runs", "compare", one, two, "--json").json == document
    assert len(tenfold("compare", one, two, one, "--json").json["tests"]) == 3


def test_compare_writes_a_page(tenfold: Command, trained: Path, place: Path) -> None:
    one, two = trained / "runs" / "one", trained / "runs" / "two"
    assert tenfold("compare", one, two, "--html", "pages/both.html").out.endswith("page: pages/both.html\n")
    text = (place / "pages" / "both.html").read_text(encoding="utf-8")
    assert "Is the difference real?" in text and "training.epochs" in text
    tenfold("compare", one).complaint(2, "two runs or more")
    tenfold("compare", one, "nowhere").complaint(1, "nowhere is not a run's folder")


def test_report_measures_robustness_and_says_so(tenfold: Command, trained: Path, place: Path) -> None:
    shutil.copytree(trained / "runs" / "one", "one", ignore=shutil.ignore_patterns("robustness.*"))
    assert tenfold("report", "one", "--no-measure").err == ""
    assert not Path("one/robustness.json").exists()
    assert "has not been measured" in Path("one/report.html").read_text(encoding="utf-8")
    done = tenfold("report", "one")
    assert done.err == "measuring robustness on up to 1,000 test images (kept in robustness.json)\n"
    assert Path("one/robustness.json").is_file()
    assert "has not been measured" not in Path("one/report.html").read_text(encoding="utf-8")
    assert tenfold("report", "one").err == ""
