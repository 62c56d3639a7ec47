"""Time to 99 %, accuracy seed by seed, the ladder and the profile: the figures, on cases done by hand."""

from __future__ import annotations

import itertools
import json
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.text import Text

from tenfold import change_recipe, get_recipe

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A benchmark as a module, by name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module


def run(seconds: float, accuracy: float = 0.99, round_number: int = 0) -> dict[str, Any]:
    return {
        "seconds_since_start": seconds, "test_accuracy": accuracy, "round": round_number,
        "cpu_seconds": 2 * seconds, "peak_mib": 100.0, "train_seconds": seconds / 2,
    }  # fmt: skip


def test_the_first_epoch_at_99_counts_else_the_last(program: Any) -> None:
    outcome = program("time_to_99").outcome
    epochs = [run(s, a) for s, a in ((1, 0.97), (2, 0.99), (3, 0.98), (4, 0.995))]
    assert outcome({"epochs": epochs}, 7, 2)["seconds_since_start"] == 2
    assert outcome({"epochs": epochs[:1]}, 7, 2) == epochs[0] | {"seed": 7, "round": 2}


def test_entrants_take_turns(program: Any) -> None:
    """Two runs per round of the first, one of the second, one round only of the third; seeds count on."""
    module, order = program("time_to_99"), []

    def entrant(name: str, rounds: int, each: int = 1) -> Any:
        def start(seed: int) -> dict[str, Any]:
            order.append((name, seed))
            return {"epochs": [run(1)]}

        return module.Entrant(name, name, start, rounds, each)

    runs = module.run_all([entrant("a", 2, 2), entrant("b", 2), entrant("c", 1)], 2)
    assert order == [("a", 0), ("a", 1), ("b", 0), ("c", 0), ("a", 2), ("a", 3), ("b", 1)]
    assert [one["round"] for one in runs["a"]] == [0, 0, 1, 1]


def test_ratios_are_to_ours_of_the_same_round(program: Any) -> None:
    module = program("time_to_99")
    ours = [run(1), run(2), run(3), run(4, round_number=1)]
    peer = [run(20, 0.991), run(20, 0.989, round_number=1)]
    assert module.ratios(peer, ours) == [10, 5]
    row = module.row("peer", peer, ours)
    assert row[0] == "peer" and row[1].startswith("99.000 ± 0.141") and row[2] == "98.90 .. 99.10 %"
    assert row[3:] == ("2", "20.00", "40.0", "100", "7.5 (5.0 .. 10.0)")
    assert module.row("ours", ours, ours)[-1] == "1"


def test_quartiles_are_numpys(program: Any) -> None:
    values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6]
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    assert program("time_to_99").quartiles(values) == f"{middle:.2f} ({low:.2f} .. {high:.2f})"


@pytest.fixture
def counted(program: Any, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """accuracy.py, whose trainings only note the seeds they were asked for."""
    module, seeds = program("accuracy"), []

    def pretend(_name: str, _data_dir: Path, *options: str) -> dict[str, Any]:
        seeds.append(int(options[options.index("--seed") + 1]))
        entry = run(10.0 + seeds[-1], 0.98 + seeds[-1] / 1000)
        return {"epochs": [entry], "engine": "numpy", "precision": "float32", "passes": 8, "threads": 1}

    monkeypatch.setattr(module, "run_program", pretend)
    return SimpleNamespace(module=module, seeds=seeds)


def test_accuracy_goes_on_where_it_was(counted: SimpleNamespace, tmp_path: Path) -> None:
    measure = counted.module.measure
    measure("mlp-small", range(2), tmp_path, tmp_path)
    _, results = measure("mlp-small", range(4), tmp_path, tmp_path)
    assert counted.seeds == [0, 1, 2, 3]
    assert [result["seed"] for result in results] == [0, 1, 2, 3]
    assert len((tmp_path / "mlp-small.jsonl").read_text().splitlines()) == 4
    (recipe, kept), = counted.module.all_kept(tmp_path)  # fmt: skip
    assert recipe.name == "mlp-small" and kept == results
    row = counted.module.row(recipe, kept)
    accuracies = [98.0, 98.1, 98.2, 98.3]
    assert row[2:5] == ("4", f"98.150 ± {np.std(accuracies, ddof=1):.3f} %", "98.00 .. 98.30 %")


def test_results_of_another_recipe_do_not_count(counted: SimpleNamespace, tmp_path: Path) -> None:
    recipe = get_recipe("mlp-small")
    path = tmp_path / "mlp-small.toml"
    for changes in ({}, {"title": "another title"}, {"training.epochs": 3}):
        path.write_text(change_recipe(recipe, changes).to_toml())
        counted.module.measure(str(path), range(1), tmp_path / "parts", tmp_path)
    assert counted.seeds == [0, 0], "a title changes nothing, the epochs do"


def test_a_recipe_is_trained_and_kept(program: Any, tmp_path: Path) -> None:
    """The whole way, with a process of its own, on the embedded sample."""
    options = ("--source", "sample", "--engine", "numpy", "--set", "training.epochs=1")
    _, results = program("accuracy").measure("softmax-sgd", range(1), tmp_path, tmp_path, *options)
    assert len(results) == 1 and 0.5 < results[0]["test_accuracy"] < 1
    assert results[0]["recipe"] == "softmax-sgd" and results[0]["passes"] == 1


def rungs(ladder: Any, count: int, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    places = zip(np.exp(rng.uniform(0, 8, count)), rng.uniform(0.92, 0.998, count))
    return [
        ladder.Rung(f"r{i}", f"`a recipe {i}`", float(a), 0.0005, float(s), 3, bool(i % 2))
        for i, (s, a) in enumerate(places)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_frontier_is_what_nothing_beats(program: Any, seed: int) -> None:
    ladder = program("ladder")
    some = rungs(ladder, 12, seed)
    unbeaten = {
        one.name
        for one in some
        if not any(other.seconds <= one.seconds and other.accuracy > one.accuracy for other in some)
    }
    found = ladder.frontier(some)
    assert {one.name for one in found} == unbeaten
    assert [one.seconds for one in found] == sorted(one.seconds for one in found)


def test_the_results_with_more_runs_count(program: Any, tmp_path: Path) -> None:
    def document(**rows: int) -> str:
        values = {"title": "t", "accuracy": 0.99, "deviation": None, "seconds": 1.0}
        return json.dumps({"rows": {name.replace("_", " "): values | {"n": n} for name, n in rows.items()}})

    ladder = program("ladder")
    assert ladder.earlier(tmp_path) == {}
    (tmp_path / "accuracy.json").write_text(document(fast=1, cnn=5))
    (tmp_path / "time_to_99.json").write_text(document(fast=20, fast_float32=20, keras=1))
    found = ladder.earlier(tmp_path)
    assert {name: one.n for name, one in found.items()} == {"fast": 20, "cnn": 5, "keras": 1}
    assert found["cnn"].ours and not found["keras"].ours


def test_labels_cover_nothing(program: Any, tmp_path: Path) -> None:
    """Thirteen points, some of them close together, as the ladder has."""
    ladder, plot = program("ladder"), program("ladder_plot")
    places = [
        (5, 0.921), (6.5, 0.974), (7.5, 0.979), (8, 0.982), (20, 0.981), (2, 0.9909), (25, 0.9952),
        (890, 0.9972), (3500, 0.9981), (12, 0.9905), (148, 0.9903), (168, 0.9901), (7, 0.955),
    ]  # fmt: skip
    some = [
        ladder.Rung(f"r{i}", f"a name as long as {i}", a, 0.0004, float(s), 3, bool(i % 2))
        for i, (s, a) in enumerate(places)
    ]
    labels = plot.draw_ladder(some, ladder.frontier(some), tmp_path / "ladder.png")
    boxes = [Text.get_window_extent(label) for label in labels]  # without the lines to the points
    assert sorted(label.get_text() for label in labels) == sorted(one.title for one in some)
    frame = labels[0].axes.get_window_extent()
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
    for box in boxes:
        assert frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
    points = labels[0].axes.transData.transform([(one.seconds, 100 * (1 - one.accuracy)) for one in some])
    assert not any(box.contains(x, y) for box in boxes for x, y in points)
    assert (tmp_path / "ladder.png").read_bytes()[:4] == b"\x89PNG"


def test_stages_are_what_lies_between_marks(program: Any) -> None:
    profile = program("fast_profile")
    marks = {"interpreter": 0.1, "names": 0.4, "files": 0.5, "training": 2.5, "saving": 3.0}
    stages = profile.stage_times(marks)
    assert list(stages) == list(marks) and sum(stages.values()) == pytest.approx(3.0)
    assert stages["training"] == pytest.approx(2.0)


def test_import_times_by_package(program: Any) -> None:
    """A package's own modules add up; Python's own library is one entry; other lines are passed over."""
    text = """import time: self [us] | cumulative | imported package
import time:       250 |        250 |     json.decoder
import time:       750 |       1000 |   json
a warning: 3 | 4 | 5
import time:      2000 |       2000 |   torch._C
import time:      1000 |       4000 | torch
"""
    found = program("fast_profile").parse_import_times(text)
    assert found == pytest.approx({"torch": 0.003, "Python's own library": 0.001})
    assert list(found) == ["torch", "Python's own library"]


def test_shares_of_operations(program: Any) -> None:
    profile = program("fast_profile")
    operations = [
        {"name": "aten::convolution_backward", "seconds": 3.0},
        {"name": "aten::mkldnn_convolution", "seconds": 1.5},
        {"name": "aten::conv2d", "seconds": 0.5},
        {"name": "aten::_fused_adamw_", "seconds": 2.0},
        {"name": "what nobody knows", "seconds": 3.0},
    ]
    shares = profile.operation_shares(operations)
    assert shares == pytest.approx(
        {"convolution, backward": 0.3, profile.OTHER: 0.3, "convolution, forward": 0.2, "optimiser": 0.2}
    )


def test_rows_of_the_profile_add_up(program: Any) -> None:
    profile = program("fast_profile")
    stages = {"interpreter": 0.1, "first step": 0.3, "steps": 0.6}
    imports = {"torch": 0.2, "numpy": 0.05, "tiny": 0.004, "tinier": 0.003}
    rows = profile.rows(stages, imports, {"convolution, forward": 0.75, "loss": 0.246, "pooling": 0.004})
    assert [row[1:] for row in rows] == [
        ("1000", "100 %"), ("100", "10 %"), ("300", "30 %"), ("600", "60 %"),
        ("257", "26 %"), ("200", "20 %"), ("50", "5 %"), ("7", "1 %"),
        ("900", "100 %"), ("675", "75 %"), ("221", "25 %"), ("4", "0 %"),
    ]  # fmt: skip
