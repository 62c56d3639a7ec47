"""A place of its own for every test of the command line, without network and without MNIST."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from cli_chain import RECIPE, Command, in_process, write_npz


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with the recipe tiny.toml; no data set lies anywhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TENFOLD_DATA_DIR", raising=False)
    (tmp_path / "tiny.toml").write_text(RECIPE)
    return tmp_path


@pytest.fixture(autouse=True, scope="session")
def _commands_are_made_once() -> Iterator[None]:
    """Each call of `main` makes all commands from their signatures, which takes longer than most of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", functools.cache(typer.main.get_command))
        yield


@pytest.fixture
def tenfold(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> Command:
    return in_process(capsys, monkeypatch)


@pytest.fixture
def trained(trained_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data.npz and two runs below runs/: one and two (another seed, one more epoch)."""
    return Path(shutil.copytree(trained_once, tmp_path_factory.mktemp("copy") / "trained"))


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `trained` copies."""
    from tenfold.data.load import DataRequest
    from tenfold.recipes.load import change_recipe, parse_recipe
    from tenfold.runs.run import start_run
    from tenfold.show.report import write_report

    folder = tmp_path_factory.mktemp("trained")
    data, recipe = write_npz(folder / "data.npz"), parse_recipe(RECIPE)
    longer = change_recipe(recipe, {"training.epochs": 3})
    for number, (name, each) in enumerate((("one", recipe), ("two", longer))):
        outcome = start_run(
            each, data=DataRequest(data), engine="numpy", seed=number, run_dir=folder / "runs" / name
        )
        write_report(outcome.run)
        os.utime(folder / "runs" / name / "environment.json", (10**9 + number, 10**9 + number))
    return folder
