"""Which model a command works with when none is named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tenfold.cli.output import stderr

if TYPE_CHECKING:
    from tenfold.classifier import Classifier
    from tenfold.reader.load import AnyModel
    from tenfold.runs.folder import Run

__all__ = ["find_model", "load_classifier", "load_classifier_or_reader"]


def find_model(named: Path | None, *, quiet: bool = False) -> Path:
    """The model named, or the newest finished run under runs/, which is then said on stderr.

    "reader" names the one that comes with the package, unless there is a file of that name.
    """
    if named is not None:
        return _built_in() if str(named) == "reader" and not named.exists() else named
    from tenfold.errors import ModelError

    newest = _newest_run()
    if newest is None:
        raise ModelError(
            "no model was named and runs/ holds none",
            remedy="train one with `tenfold train`, or name one with --model",
        )
    if not quiet:
        stderr().print(f"model: {newest.folder}", markup=False)
    return newest.folder


def _newest_run() -> Run | None:
    """The newest finished run under runs/."""
    from tenfold.runs.folder import list_runs

    finished = [run for run in list_runs() if (run.folder / "model.safetensors").is_file()]
    return finished[-1] if finished else None


def _built_in() -> Path:
    from tenfold.reader.load import READER_FOLDER

    return READER_FOLDER


def load_classifier(named: Path | None, *, engine: str, quiet: bool = False) -> Classifier:
    from tenfold.classifier import Classifier

    return Classifier.load(find_model(named, quiet=quiet), engine=engine)


def load_classifier_or_reader(
    named: Path | None, *, engine: str, quiet: bool = False
) -> tuple[AnyModel, Run | None]:
    """The model named, the newest finished run, or else the built-in reader; said on stderr if none is
    named. And the run that it is of, if it lies in a run's folder.
    """
    from tenfold.reader.load import is_line_reader, load_model
    from tenfold.runs.folder import is_run, open_run

    if named is None and _newest_run() is None:
        if not quiet:
            stderr().print("model: the built-in reader", markup=False)
        path = _built_in()
    else:
        path = find_model(named, quiet=quiet)
    if engine == "auto" and is_line_reader(path):
        engine = "numpy"  # PyTorch takes long to import
    folder = path if path.is_dir() else path.parent
    return load_model(path, engine=engine), open_run(folder) if is_run(folder) else None
