"""The data that belong to a model on the command line, and the report that shows what was measured."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import typer

    from tenfold.arrays import ImageDataset

__all__ = ["hold_folder", "keeps_scores", "load_data_for", "renew_report"]


def hold_folder(context: typer.Context, folder: Path) -> None:
    """Keeps other processes from writing there until the command ends. Raises UsageError where one does."""
    from tenfold.claims import claim_folder

    context.with_resource(claim_folder(folder))


def load_data_for(path: Path, data: str | None, split: str, options: dict[str, Any]) -> ImageDataset:
    """The data named, scaled as the model's own; else what the run at `path` was trained on."""
    from tenfold.classifier import read_card
    from tenfold.data.load import load_dataset
    from tenfold.data.ranges import FULL, is_alike, tell_range
    from tenfold.errors import ModelError
    from tenfold.runs.folder import Run, is_run
    from tenfold.runs.run import load_for_run

    if data is None and path.is_dir() and is_run(path):
        return load_for_run(Run(path), split=split, **options)
    dataset = load_dataset(data, split=split, **options)
    if dataset.value_range == FULL:
        return dataset
    with suppress(ModelError):  # who needs the model says what is wrong with it
        trained = read_card(path).value_range
        if dataset.value_range != trained and is_alike(dataset.value_range, trained):
            dataset = load_dataset(data, split=split, value_range=trained, **options)
            tell_range(*trained, f"{dataset.name}, as the model's own data")
    return dataset


def keeps_scores(path: Path, data: str | None, split: str) -> bool:
    """Whether scores on these data are those of the run at `path`: on its own test images, or on those that
    were named for a training in Python, whose record cannot name any."""
    from tenfold.runs.folder import Run, is_run

    if not path.is_dir() or split != "test":
        return False
    return data is None or (is_run(path) and Run(path).in_memory)


def renew_report(folder: Path) -> Path | None:
    """Writes the run's report again, where there is one, so that it shows what was just added."""
    if not (folder / "report.html").is_file():
        return None
    from tenfold.report.write import write_report
    from tenfold.runs.folder import open_run

    return write_report(open_run(folder))
