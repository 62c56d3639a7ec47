"""The kinds of files that are read: a small sample of each, and the function that reads it."""

from __future__ import annotations

import contextlib
import gzip
import io
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hardening.commands import RECIPE, make_images, make_model
from tenfold.cli import main
from tenfold.data.batches import DataSummary
from tenfold.data.idx import write_idx
from tenfold.data.load import DataRequest, load_dataset
from tenfold.data.ranges import parse_libsvm
from tenfold.evaluation.evaluate import Evaluation
from tenfold.evaluation.label_errors import LabelErrors
from tenfold.evaluation.robustness import Robustness
from tenfold.pictures.open import open_picture
from tenfold.reader.adapt import label_pictures
from tenfold.reader.line_reader import LineReader, load_model
from tenfold.recipes.load import get_recipe, parse_recipe
from tenfold.runs.folder import Run
from tenfold.runs.run import start_run
from tenfold.training.loop import train

__all__ = ["KINDS", "QUICK", "Kind", "make_samples"]

_PICTURES = {"png": "png", "jpeg": "", "bmp": "", "gif": "", "tiff": "", "webp": ""}  # form -> container
_EACH = 1500  # files of a kind, 50,000 of all
_RUNS = "damaged models and runs"
_SLOW = 150  # of a kind that takes long to read


@dataclass(frozen=True)
class Kind:
    """make: fills a folder; file: in it, which is damaged; read: gets the folder; container: see damage."""

    name: str
    group: str
    file: str
    make: Callable[[Path], Any]
    read: Callable[[Path], Any]
    container: str = "values"
    count: int = _EACH


def make_samples(folder: Path, kinds: Sequence[Kind]) -> None:
    """FOLDER/KIND for each, read once as it should be."""
    for kind in kinds:
        place = folder / kind.name
        place.mkdir(parents=True)
        kind.make(place)
        kind.read(place)


def _small(count: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (N, 14, 14), and the labels 0, 1, 2."""
    images, labels = make_images(count)
    return np.ascontiguousarray(images[:, ::2, ::2]), labels


def _make_pictures(form: str, place: Path) -> None:
    for image, label in zip(*_small(4), strict=True):
        folder = place / "data" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        coloured = Image.fromarray(image).convert("RGB" if form in ("jpeg", "webp") else "L")
        coloured.save(folder / f"{len(list(folder.iterdir()))}.{form}")


def _read_picture(form: str, place: Path) -> None:
    open_picture(place / "data" / "0" / f"0.{form}")


def _read_data(name: str, place: Path) -> None:
    load_dataset(place / name, split="all")


def _make_idx(ending: str, place: Path) -> None:
    images, labels = _small()
    write_idx(place / f"train-images-idx3-ubyte{ending}", images)
    write_idx(place / f"train-labels-idx1-ubyte{ending}", labels.astype(np.uint8))


def _make_table(place: Path) -> None:
    images, labels = _small()
    rows = np.column_stack([labels, images.reshape(len(images), -1)])
    np.savetxt(place / "data.csv", rows, fmt="%d", delimiter=",")
    (place / "data.csv.gz").write_bytes(gzip.compress((place / "data.csv").read_bytes(), mtime=0))
    np.savez_compressed(place / "data.npz", images=images, labels=labels)
    np.save(place / "images.npy", images)
    pairs = (" ".join(f"{k + 1}:{v / 255:.3f}" for k, v in enumerate(row.ravel())) for row in images)
    lines = "\n".join(f"{label + 1} {text}" for label, text in zip(labels, pairs, strict=True))
    (place / "data.libsvm").write_text(lines + "\n")
    (place / "labels.csv").write_text("path,label\na.png,3\nb.png,07/11\n")


def _read_npy(place: Path) -> None:
    from tenfold.serve.requests import parse_images

    parse_images("npy", (place / "images.npy").read_bytes(), (14, 14), 64)


def _make_recipe(place: Path) -> None:
    (place / "recipe.toml").write_text(get_recipe("cnn").to_toml())


def _read_recipe(place: Path) -> None:
    """As a training would: its network, one rate of its schedule, and as TOML again."""
    recipe = get_recipe(place / "recipe.toml")
    recipe.plan((28, 28), 10)
    recipe.schedule.learning_rate_at(7, 100, recipe.optimiser.learning_rate)
    parse_recipe(recipe.to_toml())


def _make_run(place: Path) -> None:
    """A run of two epochs with all that is kept in it."""
    images, labels = _small(60)
    np.savez(place / "data.npz", images=images, labels=labels)
    (place / "single.toml").write_text(RECIPE.format(members=1))
    outcome = start_run(
        get_recipe(place / "single.toml"),
        DataRequest(place / "data.npz"),
        run_dir=place / "run",
        engine="numpy",
    )
    with contextlib.redirect_stdout(io.StringIO()):
        for words in ("label-errors {} --folds 2 --recipe {}/recipe.toml --quiet", "robustness {} --quiet"):
            _run(words.format(outcome.run.folder, outcome.run.folder))


def _run(words: str) -> int:
    """`tenfold WORDS` in this process; its exit code. What goes through `main` would be a traceback."""
    sys.argv = ["tenfold", *words.split()]
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def _read_model(place: Path) -> None:
    model = load_model(place / "run", engine="numpy")
    probs = model.predict_proba(np.zeros((2, *model.card.image_shape), np.uint8))  # type: ignore[union-attr]
    if not np.isfinite(probs).all():
        raise ValueError("probabilities that are not finite")


def _make_model(place: Path) -> None:
    make_model().save(place / "run")


def _make_reader(place: Path) -> None:
    shutil.copytree(LineReader.FOLDER, place / "run")


def _read_reader(place: Path) -> None:
    load_model(place / "run", engine="numpy")


def _read_run(words: str, place: Path) -> None:
    Run.open(place / "run")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        _run(words.format(place / "run"))


def _read_history(place: Path) -> None:
    _ = Run.open(place / "run").history


def _read_checkpoint(place: Path) -> None:
    """Goes on with a training that is over."""
    dataset = load_dataset(place / "data.npz")
    recipe = get_recipe(place / "single.toml")
    train(recipe, dataset, dataset, engine="numpy", run_dir=place / "trained", resume=True)


def _make_checkpoint(place: Path) -> None:
    images, labels = _small(24)
    np.savez(place / "data.npz", images=images, labels=labels)
    (place / "single.toml").write_text(RECIPE.format(members=1))
    _read_checkpoint(place)


def _make_study(place: Path) -> None:
    images, labels = _small(24)
    np.savez(place / "data.npz", images=images, labels=labels)
    (place / "single.toml").write_text(RECIPE.format(members=1))
    _read_study(place)


def _read_study(place: Path) -> None:
    from tenfold.training.search_study import search_recipe

    recipe, dataset = get_recipe(place / "single.toml"), load_dataset(place / "data.npz")
    search_recipe(recipe, dataset, trials=1, journal=place / "study.journal", engine="numpy")


def _picture_kinds(form: str, container: str) -> tuple[Kind, Kind]:
    group, file, make = "damaged pictures", f"data/0/0.{form}", partial(_make_pictures, form)
    return (
        Kind(form, group, file, make, partial(_read_picture, form), container),
        Kind(f"{form}-folder", group, file, make, partial(_read_data, "data"), container),
    )


def _table_kind(name: str, container: str = "values", read: Callable[[Path], Any] | None = None) -> Kind:
    reading = read or partial(_read_data, name)
    return Kind(name, "damaged data files", name, _make_table, reading, container)


def _idx_kind(name: str, part: str, ending: str, container: str = "") -> Kind:
    file = f"train-{part}-ubyte{ending}"
    return Kind(
        name, "damaged data files", file, partial(_make_idx, ending), partial(_read_data, "."), container
    )


def _run_kind(name: str, read: Callable[[Path], Any], file: str = "", **more: Any) -> Kind:
    values: dict[str, Any] = {"make": _make_run, "group": _RUNS} | more
    return Kind(name, file=file or f"run/{name}", read=read, **values)


def _loads(what: Any) -> Callable[[Path], Any]:
    return lambda place: what.load(place / "run")


# fmt: off
KINDS: tuple[Kind, ...] = (
    *(kind for form, container in _PICTURES.items() for kind in _picture_kinds(form, container)),
    _idx_kind("idx-images", "images-idx3", ""),
    _idx_kind("idx-labels", "labels-idx1", ""),
    _idx_kind("idx.gz", "images-idx3", ".gz", "gzip"),
    _table_kind("data.csv"),
    _table_kind("data.csv.gz", "gzip"),
    _table_kind("data.npz", "zip"),
    _table_kind("images.npy", read=_read_npy),
    _table_kind(
        "data.libsvm", read=lambda place: parse_libsvm((place / "data.libsvm").read_bytes(), (14, 14), "usps")
    ),
    _table_kind("labels.csv", read=lambda place: label_pictures([], str(place / "labels.csv"))),
    Kind("recipe", "damaged recipes", "recipe.toml", _make_recipe, _read_recipe, count=4 * _EACH),
    _run_kind("model.json", _read_model, make=_make_model),
    _run_kind("model.safetensors", _read_model, make=_make_model, container="safetensors"),
    _run_kind("history.jsonl", _read_history),
    _run_kind("evaluation.json", _loads(Evaluation)),
    _run_kind("evaluation.npz", _loads(Evaluation), container="zip"),
    _run_kind("label_errors.json", _loads(LabelErrors)),
    _run_kind("label_errors.npz", _loads(LabelErrors), container="zip"),
    _run_kind("robustness.npz", _loads(Robustness), container="zip"),
    _run_kind("data_summary.npz", _loads(DataSummary), container="zip"),
    _run_kind(
        "checkpoint", _read_checkpoint, "trained/checkpoint/latest.safetensors",
        make=_make_checkpoint, container="safetensors",
    ),
    _run_kind("reader.json", _read_reader, "run/model.json", make=_make_reader, count=_SLOW),
    _run_kind(
        "reader.safetensors", _read_reader, "run/model.safetensors",
        make=_make_reader, container="safetensors", count=_SLOW,
    ),
    _run_kind("study.journal", _read_study, "study.journal", make=_make_study, count=_SLOW),
    _run_kind("runs-show", partial(_read_run, "runs show {}"), "run/environment.json"),
    *(
        _run_kind(f"report-{file}", partial(_read_run, "report {} --no-measure"), f"run/{file}", count=_SLOW)
        for file in ("environment.json", "evaluation.json", "label_errors.json", "robustness.json")
    ),
)
# fmt: on
QUICK = tuple(kind for kind in KINDS if kind.group != _RUNS or kind.name.startswith("model"))
