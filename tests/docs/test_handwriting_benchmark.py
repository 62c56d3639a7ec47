"""The figures of benchmarks/handwriting.py on small cases that can be counted by hand, without any peer."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binomtest

from tenfold.numerics import wilson_interval
from tenfold.reader.adaptation import edit_distance

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
NAMES = (
    "reading_scores",
    "answers",
    "handwriting_peers",
    "handwriting_figures",
    "handwriting_costs",
    "misses",
)
REAL_LABELS = """path,label,kind,provider,note
cheque/0.png,1049,cheque,x,
logbook/0.png,8900,logbook-separated,x,"8,900"
wild/0.png,12?34,field,x,operators among digits
wild/1.png,,other,x,letter a
wild/2.png,7,photo,x,
"""
RENDERED_LABELS = """path,label,kind,provider,style
canvas/0.png,3,canvas,x,transparent
other/0.png,Q,other,x,lines
"""


@pytest.fixture(scope="module")
def programs() -> Iterator[dict[str, ModuleType]]:
    """The benchmark's modules by name; they import each other as programs do."""
    sys.path.insert(0, str(BENCHMARKS))
    yield {name: importlib.import_module(name) for name in (*NAMES, "handwriting")}
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small real-dev and handwriting-dev."""
    for folder, labels in (("real-dev", REAL_LABELS), ("handwriting-dev", RENDERED_LABELS)):
        for line in labels.splitlines()[1:]:
            path = tmp_path / folder / line.partition(",")[0]
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 20), (230, 230, 220)).save(path)
        (tmp_path / folder / "labels.csv").write_text(labels, encoding="utf-8")
    return tmp_path


class FakeReader:
    """Gives its texts in the order of the pictures, in the form of tenfold's reader."""

    def __init__(self, *texts: str, confidence: float | None = 0.9) -> None:
        self.texts, self.confidence = iter(texts), confidence

    def read(self, picture: Any) -> Any:
        text = next(self.texts)
        digits = [SimpleNamespace(label="5" if c == "?" else c, verdict="unsure" if c == "?" else "digit")
                  for c in text if c in "0123456789?"]  # fmt: skip
        return SimpleNamespace(text=text, confidence=self.confidence, digits=tuple(digits), troubles=())


def answers_to(
    programs: dict[str, ModuleType], pairs: list[tuple[str, str]], kind: str = "cheque"
) -> list[Any]:
    """(text, label) each -> answers of a kind."""
    answers, reader = programs["answers"], FakeReader(*(text for text, _ in pairs))
    cases = [answers.Case(Path("x.png"), f"{i}.png", label, kind) for i, (_, label) in enumerate(pairs)]
    found: list[Any] = answers.answer_cases(lambda picture: answers.read_with_tenfold(reader, picture), cases)
    return found


@pytest.mark.parametrize(
    ("read", "label", "edits"),
    [("1049", "1049", 0), ("", "1049", 4), ("149", "1049", 1), ("10490", "1049", 1), ("1?49", "1049", 1),
     ("0941", "1049", 3), ("kitten", "sitting", 3)],
)  # fmt: skip
def test_edit_distance_counts_edits(read: str, label: str, edits: int) -> None:
    assert edit_distance(read, label) == edit_distance(label, read) == edits


def test_edit_distance_is_a_shortest_path() -> None:
    """Breadth first over all single edits of short binary texts, independent of the table of the book."""
    texts = ["".join(t) for n in range(4) for t in itertools.product("01", repeat=n)]
    for start in texts:
        reached, edge, steps = {start: 0}, [start], 0
        while edge:
            steps += 1
            edge = [new for old in edge for new in _edits(old) if new in texts and new not in reached]
            reached |= dict.fromkeys(edge, steps)
        for end in texts:
            assert edit_distance(start, end) == reached[end]


def _edits(text: str) -> set[str]:
    cuts = [(text[:i], text[i:]) for i in range(len(text) + 1)]
    dropped = {a + b[1:] for a, b in cuts if b}
    replaced = {a + c + b[1:] for a, b in cuts if b for c in "01"}
    return dropped | replaced | {a + c + b for a, b in cuts for c in "01"}


@pytest.mark.parametrize(("right", "total"), [(0, 10), (394, 400), (120, 120), (5, 9)])
def test_wilson_interval_equals_scipy(right: int, total: int) -> None:
    interval = binomtest(right, total).proportion_ci(method="wilson")
    assert wilson_interval(right, total) == pytest.approx((interval.low, interval.high), abs=1e-9)


@pytest.mark.parametrize(
    ("text", "label", "verdict"),
    [("7", "7", "exact"), ("8,900", "8900", "exact"), ("12\n34", "1234", "exact"), ("", "7", "refused"),
     ("?", "7", "refused"), ("-,", "7", "refused"), ("1?", "17", "refused"), ("1", "7", "wrong"),
     ("77", "7", "wrong")],
)  # fmt: skip
def test_each_answer_counts_once(
    programs: dict[str, ModuleType], text: str, label: str, verdict: str
) -> None:
    figures = programs["handwriting_figures"].measure_answers(answers_to(programs, [(text, label)]))
    assert {name: figures[name]["count"] for name in ("exact", "refused", "wrong")} == {
        name: int(name == verdict) for name in ("exact", "refused", "wrong")
    }


def test_where_there_is_no_digit_none_may_be_answered(programs: dict[str, ModuleType]) -> None:
    answers = answers_to(programs, [("", ""), ("?", ""), ("1?", ""), ("4", "")], "other")
    figures = programs["handwriting_figures"].measure_answers(answers)
    assert (figures["exact"]["count"], figures["refused"]["count"], figures["wrong"]["count"]) == (2, 3, 1)
    assert figures["digit_accuracy"] is None and figures["calibration_error"] is None


def test_digit_accuracy_by_hand(programs: dict[str, ModuleType]) -> None:
    """One edit for the ?, one for the missing 0: 2 of 8 digits."""
    answers = answers_to(programs, [("1?49", "1049"), ("149", "1049")])
    figures = programs["handwriting_figures"].measure_answers(answers)
    assert figures["digit_accuracy"]["share"] == pytest.approx(6 / 8)
    assert figures["n"] == 2


def test_calibration_takes_what_was_forced(programs: dict[str, ModuleType]) -> None:
    """Confidence 0.9 each; "?" stands for a 5, so that 3 of 4 are right: the one bin is 0.15 off."""
    answers = answers_to(programs, [("?", "5"), ("1", "1"), ("2", "2"), ("3", "8")], "photo")
    assert programs["handwriting_figures"].calibration(answers) == pytest.approx(0.15)


def test_curve_by_hand(programs: dict[str, ModuleType]) -> None:
    answers = answers_to(programs, [("1", "1"), ("2", "3"), ("4", "")])
    changed = [_with_confidence(answer, sure) for answer, sure in zip(answers, (0.9, 0.8, 0.1), strict=True)]
    curve = programs["handwriting_figures"].confidence_curve(changed)
    assert curve["coverage"] == pytest.approx([1 / 3, 2 / 3, 1], abs=1e-4)
    assert curve["risk"] == pytest.approx([0, 1 / 2, 2 / 3], abs=1e-4)


def _with_confidence(answer: Any, confidence: float) -> Any:
    return type(answer)(answer.case, answer.text, confidence, answer.forced, answer.cpu_ms)


def test_pictures_are_found_by_kind(programs: dict[str, ModuleType], root: Path) -> None:
    kinds = ("cheque", "logbook-separated", "field", "other", "rendered-canvas", "rendered-other")
    cases = programs["answers"].find_cases(root, kinds)
    assert {kind: [case.label for case in found] for kind, found in cases.items()} == {
        "cheque": ["1049"], "logbook-separated": ["8900"], "field": ["1234"], "other": [""],
        "rendered-canvas": ["3"], "rendered-other": [""],
    }  # fmt: skip
    assert cases["rendered-other"][0].name == "handwriting-dev/other/0.png"
    with pytest.raises(SystemExit, match="no pictures of sheet"):
        programs["answers"].find_cases(root, ["cheque", "sheet"])


def test_measure_tenfold_in_one_call(programs: dict[str, ModuleType], root: Path) -> None:
    figures = programs["handwriting"].measure_tenfold(FakeReader("1049", "?"), root, ["cheque", "photo"], 1)
    assert figures["cheque"]["exact"]["count"] == 1
    assert figures["photo"]["refused"]["count"] == 1


def test_real_pictures_stand_first(programs: dict[str, ModuleType]) -> None:
    measure = programs["handwriting"].measure_groups
    answers = {kind: answers_to(programs, [("7", "7"), ("1", "7")], kind)
               for kind in ("rendered-canvas", "photo", "scan", "canvas")}  # fmt: skip
    ours, peer = measure(answers), measure({"photo": answers["photo"]})
    table = programs["handwriting"].make_tables({"tenfold": ours, "peer": peer}, {})
    rows = [line for line in table.splitlines() if "these three together" in line]
    assert "| 6 | 50.0 % (18.8 to 81.2) | -" in " ".join(rows[0].split())
    assert "| 0.0 / 50.0 / 50.0 | -" in " ".join(rows[1].split())
    assert table.index("real pictures") < table.index("rendered by us")


def test_misses_are_drawn(programs: dict[str, ModuleType], root: Path, tmp_path: Path) -> None:
    answers = programs["answers"]
    cases = answers.find_cases(root, ["cheque", "photo", "other"])
    reader = FakeReader("1049", "1", "3")
    found = {kind: answers.answer_cases(lambda picture: answers.read_with_tenfold(reader, picture), each)
             for kind, each in cases.items()}  # fmt: skip
    paths = programs["misses"].draw_misses(found, tmp_path / "misses")
    assert [path.name for path in paths] == ["photo.png", "other.png"]


@pytest.mark.parametrize(
    ("best", "text"),
    [([0, 1, 1, 0, 1, 2, 2, 0], "001"), ([0, 0], ""), ([2, 0, 2], "11"), ([1], "0")],
)
def test_greedy_decoding(programs: dict[str, ModuleType], best: list[int], text: str) -> None:
    probs = np.full((len(best), 3), 0.1)
    probs[np.arange(len(best)), best] = 0.8
    found, confidence = programs["handwriting_peers"].decode_greedily(probs, ["blank", "0", "1"])
    assert found == text
    assert confidence == (pytest.approx(0.8) if text else None)


def test_tesseract_gets_a_border_and_enough_height(programs: dict[str, ModuleType], tmp_path: Path) -> None:
    Image.new("RGBA", (50, 32), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    data = programs["handwriting_peers"].to_png(tmp_path / "clear.png")
    (tmp_path / "grey.png").write_bytes(data)
    with Image.open(tmp_path / "grey.png") as grey:
        assert grey.size == (100 + 32, 64 + 32)
        assert grey.getextrema() == (255, 255)


def test_a_number_becomes_a_photo(programs: dict[str, ModuleType], root: Path) -> None:
    path = root / "real-dev" / "cheque" / "0.png"
    photo = programs["handwriting_costs"].enlarge(path, np.random.default_rng(0))
    assert photo.shape == (3000, 4000, 3)
    assert np.abs(photo.mean(axis=(0, 1)) - [230, 230, 220]).max() < 1


def test_a_trial_writes_no_results(programs: dict[str, ModuleType]) -> None:
    parse = programs["handwriting"].parse_options
    assert parse([]).out == programs["handwriting"].RESULTS
    assert parse(["--limit", "3"]).out is None
    assert parse(["--kinds", "cheque,photo"]).kinds == ["cheque", "photo"]
    assert parse(["--peers", "none"]).peers == []
    for wrong in (["--readme", "--limit", "3"], ["--peers", "abbyy"]):
        with pytest.raises(SystemExit):
            parse(wrong)
