"""Options that commands share, so that they read the same everywhere, and what they stand for: a recipe with
its changes, a model, its data, the place for its scores."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from typer import Argument, Option

from tenfold.show.terminal import stderr, stdout

if TYPE_CHECKING:
    from tenfold.arrays import ImageDataset
    from tenfold.data.load import DataRequest
    from tenfold.recipes.schema import Recipe


def _check_engine(name: str) -> str:
    """Before anything is read."""
    from tenfold.engines.create import Engines

    Engines.check_names(engine=name)
    return name


def _check_device(name: str) -> str:
    from tenfold.engines.create import Engines

    Engines.check_names(device=name)
    return name


Json = Annotated[bool, Option("--json", help="One JSON document on stdout, progress on stderr.")]
Quiet = Annotated[bool, Option("--quiet", "-q", help="No progress, only results.")]
Seed = Annotated[int, Option(min=0, help="Random seed.")]
_ENGINES = "numpy, torch, or auto (torch for convolutions, else numpy)."
EngineName = Annotated[str, Option("--engine", help=_ENGINES, callback=_check_engine)]
ReaderEngineName = Annotated[str, Option("--engine", help="numpy, torch, or auto.", callback=_check_engine)]
_DEVICES = "cpu, cuda, mps or auto (PyTorch engine)."
DeviceName = Annotated[str, Option("--device", help=_DEVICES, callback=_check_device)]
_SOURCES = "A data set by name (see `tenfold data`), or a path: picture folder, CSV, npz, parquet, IDX."
DataSource = Annotated[str | None, Option("--data", help=_SOURCES)]
TrainSplit = Annotated[str, Option(help="train, test or all.")]
TestSplit = Annotated[str, Option(help="test, train or all.")]
Changes = Annotated[
    list[str] | None, Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe.")
]
DataDir = Annotated[
    Path | None, Option("--data-dir", help="Folder of named data sets (default: TENFOLD_DATA_DIR).")
]
Offline = Annotated[bool, Option("--offline", help="Do not use the network.")]
Colour = Annotated[
    bool | None, Option("--colour/--grey", help="Keep colours, or do not (default: if pictures have them).")
]


def _parse_size(text: str) -> tuple[int, int]:
    """(height, width) of "64x48", 64 wide and 48 high."""
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isdecimal() and 1 <= int(side) <= 4096 for side in sides):
        raise typer.BadParameter(f"{text!r} is not WIDTHxHEIGHT in pixels, such as 64x48")
    return int(sides[1]), int(sides[0])


Size = Annotated[
    Any, Option("--size", metavar="WxH", parser=_parse_size, help="Resize to WIDTHxHEIGHT pixels.")
]
SkipBroken = Annotated[bool, Option("--skip-broken", help="Leave out files that are not pictures.")]
ClassPattern = Annotated[
    str | None,
    Option(metavar="REGEX", help="Class in the file's name: a regular expression with a group."),
]
DATA = ("data_dir", "offline", "colour", "size", "skip_broken", "class_pattern")  # of who loads data
_MODELS = "A run's folder or a model.safetensors (default: the newest run)."
ModelPath = Annotated[Path | None, Option("--model", "-m", help=_MODELS)]
ModelArgument = Annotated[Path | None, Argument(help=_MODELS)]


@dataclass(frozen=True)
class Common:
    """The values of shared options; those that a command does not have keep their defaults."""

    data_dir: DataDir = None
    offline: Offline = False
    colour: Colour = None
    size: Size = None
    skip_broken: SkipBroken = False
    class_pattern: ClassPattern = None
    engine: EngineName = "auto"
    device: DeviceName = "cpu"
    seed: Seed = 0
    as_json: Json = False
    quiet: Quiet = False

    @contextmanager
    def loading(self, source: str | Path | None = None, split: str = "train") -> Iterator[DataRequest]:
        """Yields the request for these data, with a bar of its progress."""
        from tenfold.data.load import DataRequest

        with stderr.progress_bar(quiet=self.quiet) as progress:
            yield DataRequest(
                source, split, self.data_dir, self.offline, progress, colour=self.colour, size=self.size,
                skip_broken=self.skip_broken, class_pattern=self.class_pattern,
            )  # fmt: skip

    def load_to_train(self, recipes: Sequence[Recipe], request: DataRequest) -> ImageDataset:
        """The data, when the engine can train the recipes; says what was loaded in the place of what was
        named."""
        from tenfold.engines.create import Engines, preload_engine

        for recipe in recipes:
            Engines.check(recipe, self.engine, self.device)
        preload_engine(recipes[0], self.engine, self.device)
        dataset = request.load()
        if dataset.note:
            stderr.say(dataset.note)
        return dataset

    def tell(self, document: Any, result: Any, **how: Any) -> None:
        """A result as JSON, or for a person (see `print_result`)."""
        if self.as_json:
            stdout.json(document)
        else:
            from tenfold.show.results import print_result

            print_result(result, **how)


def takes_common(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Adds shared options to a command, after its own; it gets them as `common`."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        hints, kind = get_type_hints(Common, include_extras=True), inspect.Parameter.KEYWORD_ONLY
        given = inspect.signature(command, eval_str=True).parameters.values()
        parameters = [each.replace(kind=kind) for each in given if each.name != "common"]
        for name in names:
            shared = inspect.Parameter(name, kind, default=getattr(Common, name), annotation=hints[name])
            parameters.append(shared)

        @wraps(command)
        def call(**values: Any) -> None:
            common = Common(**{name: values.pop(name) for name in names})
            command(**values, common=common)

        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {each.name: each.annotation for each in parameters}
        return call

    return add


# Recipes as they are named on the command line, changed as its options ask.


def choose_recipe(
    name: str, changes: Sequence[str] | None = None, short: Mapping[str, Any] | None = None
) -> Recipe:
    """changes: KEY=VALUE each; short: dotted key -> value, None where that option was not given. Raises
    UsageError where one key is given two values.
    """
    from tenfold.errors import UsageError
    from tenfold.recipes.load import change_recipe, get_recipe
    from tenfold.recipes.schema import Recipe

    given = [Recipe.parse_change(change) for change in changes or []]
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
            stderr.say(f"{changed.training.epochs} epochs, as asked for: {key} = {own} of {name} is left out")
    return changed


# The model that a command works with, and the data that belong to it.


def find_model(named: Path | None, *, quiet: bool = False) -> Path:
    """The model named, or the newest finished run under runs/, which is then said on stderr.

    "reader" names the one that comes with the package, unless there is a file of that name.
    """
    from tenfold.errors import ModelError

    if named is not None:
        return built_in_reader() if str(named) == "reader" and not named.exists() else named
    if (newest := newest_run()) is None:
        found = "no model was named and runs/ holds none"
        raise ModelError(found, remedy="train one with `tenfold train`, or name one with --model")
    if not quiet:
        stderr.say(f"model: {newest}")
    return newest


def newest_run() -> Path | None:
    """The newest finished run under runs/."""
    from tenfold.runs.folder import list_runs

    folders = [run.folder for run in list_runs()]
    return next((each for each in reversed(folders) if (each / "model.safetensors").is_file()), None)


def built_in_reader() -> Path:
    from tenfold.reader.line_reader import LineReader

    return LineReader.FOLDER


def load_data_for(path: Path, request: DataRequest) -> ImageDataset:
    """The data named, scaled as the model's own; else what the run at `path` was trained on."""
    from tenfold.classifier import ModelCard
    from tenfold.data.ranges import PixelRange
    from tenfold.errors import ModelError
    from tenfold.runs.folder import Run

    if request.source is None and Run.is_at(path):
        return Run(path).load_data(request)
    shape: tuple[int, ...] = ()
    with suppress(ModelError):  # who needs the model says what is wrong with it
        card = ModelCard.load(path)
        shape, request = card.image_shape, replace(request, fit=card.recipe.input.fit)
    if request.source is not None and request.colour is None and shape:
        request = replace(request, colour=len(shape) == 3)
    dataset = request.load()
    if dataset.files and shape and request.size is None and dataset.image_shape[:2] != shape[:2]:
        dataset = replace(request, size=(shape[0], shape[1])).load()
    if dataset.note and shape:
        stderr.say(dataset.note)
    if dataset.value_range == PixelRange():
        return dataset
    with suppress(ModelError):  # who needs the model says what is wrong with it
        trained = PixelRange(*ModelCard.load(path).value_range)
        if dataset.value_range != trained and trained.is_alike(dataset.value_range):
            dataset = replace(request, value_range=trained).load()
            trained.tell(f"{dataset.name}, as the model's own data")
    return dataset


def keeps_scores(path: Path, data: str | None, split: str) -> bool:
    """Whether scores on these data are those of the run at `path`: on its own test images, or on those that
    were named for a training in Python, whose record cannot name any."""
    from tenfold.runs.folder import Run

    own = data is None or (Run.is_at(path) and Run(path).in_memory)
    return own and split == "test" and path.is_dir()


def hold_folder(context: typer.Context, folder: Path) -> None:
    """Keeps other processes from writing there until the command ends. Raises UsageError where one does."""
    from tenfold.files import Claim

    context.with_resource(Claim.folder(folder))


def renew_report(folder: Path) -> Path | None:
    """Writes the run's report again, where there is one, so that it shows what was just added."""
    if not (folder / "report.html").is_file():
        return None
    from tenfold.show.report import write_report

    return write_report(folder)
