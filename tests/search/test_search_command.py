"""`tenfold search`: what a person sees, what a program reads, what is written, and how it ends."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Page
from searched import SPACE, run_search, searched

from tenfold.arrays import ImageDataset
from tenfold.cli import main
from tenfold.recipes.load import get_recipe
from tenfold.show.pages import write_page
from tenfold.training.search_space import check_space, own_picks

Command = Callable[..., tuple[Any, str, str]]


@pytest.fixture
def tenfold(tmp_path: Path, blobs: ImageDataset, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Command:
    """`tenfold ...` in a folder with data.npz and small.toml: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    np.savez("data.npz", images=blobs.images, labels=blobs.labels)
    Path("small.toml").write_text(searched().to_toml())

    def run(*arguments: str) -> tuple[Any, str, str]:
        monkeypatch.setattr(sys, "argv", ["tenfold", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, *capsys.readouterr()

    return run


SEARCH = ("search", "small.toml", "--data", "data.npz", "--engine", "numpy", "--metric", "loss")


def test_table_files_and_the_way_on(tenfold: Command) -> None:
    code, out, err = tenfold(*SEARCH, "--trials", "7")
    assert not code and [line.split()[1] for line in err.splitlines()] == list("0123456")
    assert "7 trials" in out and "judged by loss on one share held out" in out
    header = next(line for line in out.splitlines() if line.startswith("trial"))
    assert header.split() == ["trial", "accuracy", "loss", *SPACE, "seconds"]
    folder = Path("searches/small")
    assert f"train it with: tenfold train {folder / 'best.toml'}" in out
    assert {path.name for path in folder.iterdir()} == {"best.toml", "search.html", "study.journal"}
    code, out, err = tenfold(*SEARCH, "--trials", "8", "--json")
    assert not code and [line.split()[1] for line in err.splitlines()] == ["7"]
    document = json.loads(out)
    assert len(document["trials"]) == 8 and document["written"]["best"] == str(folder / "best.toml")
    best = document["trials"][document["best"]]
    assert best["loss"] == min(trial["loss"] for trial in document["trials"] if trial["loss"] is not None)

    code, out, _ = tenfold(
        "train", str(folder / "best.toml"), "--data", "data.npz", "--engine", "numpy", "--json", "--quiet",
        "--no-report",
    )  # fmt: skip
    trained = json.loads(out)
    assert not code and (trained["val_loss"], trained["val_accuracy"]) == (best["loss"], best["accuracy"])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["search", "mlp-small", "--data", "data.npz"], 2, "mlp-small does not say what to search for"),
        ([*SEARCH, "--metric", "acuracy"], 2, "expected accuracy or loss"),
        ([*SEARCH, "--folds", "1"], 2, "1 folds"),
        ([*SEARCH, "--set", "training.epochs=x"], 2, "training.epochs = 'x'"),
        ([*SEARCH, "--storage", "small.toml"], 1, "small.toml cannot be read"),
        ([*SEARCH, "--seconds", "0"], 2, "0 seconds; expected more than 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_mistakes_are_one_line(tenfold: Command, arguments: list[str], code: int, words: str) -> None:
    found, _, err = tenfold(*arguments)
    assert found == code and err.count("\n") == 1 and err.startswith("tenfold: ") and words in err
    assert not list(Path("searches").rglob("best.toml"))


def test_the_page(blobs: ImageDataset, tmp_path: Path, browser_page: Page) -> None:
    """Every key has its chart; nothing is asked of the network, nothing is wider than a phone."""
    space = SPACE | {"optimiser.name": {"choices": ["sgd", "adam"]}}
    path = write_page(run_search(blobs, searched(space), trials=12), path=tmp_path / "search.html")
    for width in (1280, 390):
        browser_page.show(path, width=width, dark=width == 390)
        assert browser_page.evaluate("document.documentElement.scrollWidth") <= width
        names = browser_page.evaluate("[...document.querySelectorAll('.plot')].map(p => p.dataset.name)")
        assert names == ["trials", *space]
    assert not browser_page.complaints()
    assert all(url.startswith(("file:", "data:")) for url in browser_page.requests())


def test_the_recipe_that_comes_with_it_can_be_searched() -> None:
    """Its own values lie within, so that the first trial is the recipe as it is."""
    recipe = get_recipe("mlp-120-84")
    check_space(recipe, (28, 28), 10)
    assert own_picks(recipe).keys() == recipe.search.keys() > {"optimiser.learning_rate", "training.epochs"}
