"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenfold.cli.output import stderr

if TYPE_CHECKING:
    import typer

    from tenfold.arrays import ImageDataset
    from tenfold.recipes.schema import Recipe


def _check_engine(name: str) -> str:
    """Before anything is read."""
    from tenfold.engines.create import check_engine_name

    return check_engine_name(name)


def _check_device(name: str) -> str:
    from tenfold.engines.create import check_device_name

    return check_device_name(name)


Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, progress on stderr.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only results.")]
Seed = Annotated[int, typer.Option(min=0, help="Random seed.")]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        help="numpy, torch, or auto (torch for convolutions, else numpy).",
        callback=_check_engine,
    ),
]
ReaderEngineName = Annotated[
    str, typer.Option("--engine", help="numpy, torch, or auto.", callback=_check_engine)
]
DeviceName = Annotated[
    str,
    typer.Option("--device", help="cpu, cuda, mps or auto (PyTorch engine).", callback=_check_device),
]
DataSource = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="A data set by name (see `tenfold data`), or a path: IDX, image folder, CSV, npz.",
    ),
]
Changes = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe.")
]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Folder of named data sets (default: TENFOLD_DATA_DIR).")
]
Offline = Annotated[bool, typer.Option("--offline", help="Do not use the network.")]
ModelPath = Annotated[
    Path | None,
    typer.Option("--model", "-m", help="A run's folder or a model.safetensors (default: the newest run)."),
]


# Recipes as they are named on the command line, changed as its options ask.


def choose_recipe(
    name: str, changes: Sequence[str] | None = None, short: Mapping[str, Any] | None = None
) -> Recipe:
    """changes: KEY=VALUE each; short: dotted key -> value, None where that option was not given. Raises
    UsageError where one key is given two values.
    """
    from tenfold.errors import UsageError
    from tenfold.recipes.load import change_recipe, get_recipe, parse_change

    given = [parse_change(change) for change in changes or []]
    wanted: dict[str, Any] = {}
    for key, value in given + [pair for pair in (short or {}).items() if pair[1] is not None]:
        if wanted.setdefault(key, value) != value:
            raise UsageError(f"{key} is given twice: {wanted[key]} and {value}", expected="one value")
    recipe = get_recipe(name)
    if not wanted:
        return recipe
    changed = change_recipe(recipe, wanted)
    for key in ("min_steps", "steps"):
        own = getattr(recipe.training, key)
        if own and f"training.{key}" not in wanted and not getattr(changed.training, key):
            stderr().print(
                f"{changed.training.epochs} epochs, as asked for: {key} = {own} of {name} is left out",
                markup=False,
            )
    return changed


def choose_recipes(names: Sequence[str], changes: Sequence[str] | None = None) -> list[Recipe]:
    """Several recipes with different names, all changed alike. Raises UsageError."""
    from tenfold.errors import UsageError

    recipes = [choose_recipe(name, changes) for name in names]
    known = [recipe.name for recipe in recipes]
    for recipe in recipes:
        if known.count(recipe.name) > 1:
            raise UsageError(
                f"{known.count(recipe.name)} of the recipes are called {recipe.name!r}",
                expected="each once, under a different name",
                remedy="change `name` in one's file",
            )
    return recipes


# The data that belong to a model on the command line, and the report that shows what was measured.


def hold_folder(context: typer.Context, folder: Path) -> None:
    """Keeps other processes from writing there until the command ends. Raises UsageError where one does."""
    from tenfold.files import claim_folder

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
    from tenfold.runs.folder import open_run
    from tenfold.show.report import write_report

    return write_report(open_run(folder))
