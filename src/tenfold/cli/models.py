"""Which model a command works with when none is named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tenfold.cli.output import stderr

if TYPE_CHECKING:
    from tenfold.classifier import Classifier

__all__ = ["find_model", "load_classifier"]


def find_model(named: Path | None, *, quiet: bool = False) -> Path:
    """The model named, or the newest finished run under runs/, which is then said on stderr."""
    if named is not None:
        return named
    from tenfold.errors import ModelError
    from tenfold.runs.folder import list_runs

    finished = [run for run in list_runs() if (run.folder / "model.safetensors").is_file()]
    if not finished:
        raise ModelError(
            "no model was named and runs/ holds none",
            remedy="train one with `tenfold train`, or name one with --model",
        )
    if not quiet:
        stderr().print(f"model: {finished[-1].folder}", markup=False)
    return finished[-1].folder


def load_classifier(named: Path | None, *, engine: str, quiet: bool = False) -> Classifier:
    from tenfold.classifier import Classifier

    return Classifier.load(find_model(named, quiet=quiet), engine=engine)
