"""`tenfold adapt`: a reader that learns one person's hand, and says what that brought and cost."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenfold.cli.options import DataDir, EngineName, Json, Quiet, Seed
from tenfold.cli.output import emit_json, percent, plain_table, progress_bar, stderr, stdout

if TYPE_CHECKING:
    from tenfold.classifier import Classifier
    from tenfold.reader.adaptation import Adaptation, Score
    from tenfold.reader.examples import Examples

__all__ = ["adapt_command"]

_OUT = "my-reader"
_MOST_NAMED = 5  # pictures left out, or labels in doubt
_ENOUGH = 50


def adapt_command(
    pictures: Annotated[
        list[str] | None, typer.Argument(help="Pictures of one person's digits, or folders of them.")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="3,1,4: one a picture, in order (1049: four digits on one picture); or a CSV file with "
            "path,label lines. Without it, folders named 0 to 9 are the labels."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help=f"The new folder; else {_OUT}, {_OUT}-2, ...")
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", "-m", help="The reader to begin with; else the built-in one.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write it even where it does not help.")] = False,
    engine: EngineName = "auto",
    data_dir: DataDir = None,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Learn one person's handwriting from 10 to 50 labelled digits, in half a minute.

    Before anything is written, what that brings is measured on digits of this person
    that were held out, and what it costs on other people's; for this, label each digit
    twice or more. If it does not help, nothing is written and the exit code is 3.
    The new reader is used with `tenfold read --model FOLDER`.
    """
    from tenfold.errors import FigureNotMetError
    from tenfold.reader.adaptation import check_free

    started = time.perf_counter()
    place = check_free(out) if out else _free_folder()
    classifier = _load(model)
    with progress_bar(quiet=quiet) as progress:
        examples = _collect(classifier, pictures or [], labels, progress)
        adaptation = _adapt(classifier, examples, engine, data_dir, seed, progress)
    if not as_json:
        _show(adaptation, examples, quiet=quiet)
    written = force or not adaptation.objection
    if written:
        adaptation.save(place, {"began_with": str(model) if model else "the built-in reader"})
    seconds = time.perf_counter() - started
    if as_json:
        outcome = {"out": str(place) if written else None, "seconds": seconds}
        emit_json(adaptation.to_dict() | _told(adaptation, examples) | outcome)
    elif written:
        if adaptation.objection:
            stderr().print(f"tenfold: {adaptation.objection}; written all the same", markup=False)
        stdout().print(
            f"written to {place} in {seconds:.0f} s; use it: tenfold read --model {place} PICTURE",
            markup=False,
        )
    if not written:
        raise FigureNotMetError(adaptation.objection, remedy="nothing was written (--force writes it)")


def _free_folder() -> Path:
    number = 1
    while (place := Path(_OUT if number == 1 else f"{_OUT}-{number}")).exists():
        number += 1
    return place


def _load(model: Path | None) -> Classifier:
    from tenfold.classifier import Classifier
    from tenfold.reader.adapt import check_adaptable
    from tenfold.reader.load import load_reader

    classifier = load_reader() if model is None else Classifier.load(model, engine="numpy")
    check_adaptable(classifier)
    return classifier


def _collect(classifier: Classifier, pictures: list[str], labels: str | None, progress: Any) -> Examples:
    from tenfold.errors import DataError
    from tenfold.reader.adapt import FEWEST
    from tenfold.reader.examples import collect_examples, label_pictures

    examples = collect_examples(classifier, label_pictures(pictures, labels), progress=progress)
    if len(examples.labels) < FEWEST:
        left = examples.left_out
        why = f", and {len(left)} left out ({left[0][0]}: {left[0][1]})" if left else ""
        count = len(examples.labels)
        raise DataError(
            f"{count} labelled digit{'s' * (count != 1)}{why}",
            expected=f"at least {FEWEST}",
            remedy="write and label some more",
        )
    return examples


def _adapt(
    classifier: Classifier, examples: Examples, engine: str, data_dir: Path | None, seed: int, progress: Any
) -> Adaptation:
    from tenfold.reader.adapt import adapt_reader
    from tenfold.reader.memory import gather_memory

    return adapt_reader(
        classifier,
        examples.images,
        examples.labels,
        seed=seed,
        engine=engine,
        memory=gather_memory(seed=seed, data_dir=data_dir),
        progress=progress,
    )


def _told(adaptation: Adaptation, examples: Examples) -> dict[str, Any]:
    return {
        "examples": len(examples.labels),
        "left_out": [{"path": path, "reason": reason} for path, reason in examples.left_out],
        "doubtful": [
            {"path": examples.paths[index], "label": str(examples.labels[index])}
            for index in adaptation.doubtful
        ],
    }


def _show(adaptation: Adaptation, examples: Examples, *, quiet: bool) -> None:
    console = stdout()
    if not quiet:
        for line in _notes(adaptation, examples):
            console.print(line, markup=False)
    forgetting = adaptation.forgetting
    own = [
        _row(f"this hand, held out ({adaptation.folds} parts), before", adaptation.before),
        _row("  after", adaptation.after),
    ]
    rows = [
        *(own if adaptation.folds else []),
        _row(f"{forgetting.data}, before", forgetting.before),
        _row("  after", forgetting.after),
    ]
    columns = ("", "right", "accuracy", "95 % interval", "refused")
    console.print(plain_table(columns, rows, right=columns[1:]))
    console.print(
        f"letters and symbols refused: {forgetting.others_before} of {forgetting.others} before, "
        f"{forgetting.others_after} after"
    )


def _row(name: str, measured: Score) -> tuple[str, ...]:
    low, high = measured.interval
    return (
        name,
        f"{measured.right:,} of {measured.n:,}",
        percent(measured.accuracy, 1),
        f"{percent(low, 1)} to {percent(high, 1)}",
        f"{measured.refused:,}",
    )


def _notes(adaptation: Adaptation, examples: Examples) -> list[str]:
    """What was learned from, what was left out, and which labels look like mistakes."""
    count = len(examples.labels)
    most = f" (more than {_ENOUGH}: all are used)" if count > _ENOUGH else ""
    lines = [f"{count} digits from {len(set(examples.paths))} pictures{most}"]
    missing = [str(digit) for digit, number in enumerate(adaptation.counts) if not number]
    if missing:
        lines.append(f"no example of {', '.join(missing)}")
    once = [str(digit) for digit, number in enumerate(adaptation.counts) if number == 1]
    if once:
        lines.append(f"only one example of {', '.join(once)}: what it brings there cannot be measured")
    lines += _named([f"left out: {path}: {reason}" for path, reason in examples.left_out])
    doubts = [f"{examples.paths[index]}: {examples.labels[index]}" for index in adaptation.doubtful]
    return lines + _named([f"is this label right? {doubt}" for doubt in doubts])


def _named(lines: list[str]) -> list[str]:
    more = len(lines) - _MOST_NAMED
    return lines[:_MOST_NAMED] + ([f"  and {more} more"] if more > 0 else [])
