"""`tenfold adapt`: a reader that learns one person's hand, and says what that brought and cost."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenfold.cli.options import DataDir, EngineName, Json, Quiet, Seed
from tenfold.cli.output import emit_json, percent, plain_table, progress_bar, stderr, stdout
from tenfold.errors import UsageError

if TYPE_CHECKING:
    from tenfold.reader.adapt import Example
    from tenfold.reader.adaptation import Adaptation, Score
    from tenfold.reader.line_reader import LineReader


LeftOut = list[tuple[str, str]]  # pictures that gave no example, each with the reason

_OUT = "my-reader"
_MOST_NAMED = 5  # pictures left out, or labels in doubt


def adapt_command(
    pictures: Annotated[
        list[str] | None,
        typer.Argument(help="Pictures of one person's numbers, one line each, or folders of pictures."),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="3,1049,07/11: what is written on each picture, in order; or a CSV file with path,label "
            "lines. Without it, folders named 0 to 9 are the labels."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help=f"The new folder (default: {_OUT}, {_OUT}-2, ...).")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", "-m", help="The reader to start from (default: the built-in one)."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write it even if it does not read better.")] = False,
    engine: EngineName = "auto",
    data_dir: DataDir = None,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Learn one person's handwriting from a dozen labelled lines, or from single digits, in a minute.

    The gain is measured on held-out lines of this person, the loss on lines of other
    people, before anything is written; for this, write each digit twice or more. If
    it does not read better, nothing is written and the exit code is 3. Use the new
    reader with `tenfold read --model FOLDER`.
    """
    from tenfold.errors import FigureNotMetError
    from tenfold.reader.adapt import adapt_reader
    from tenfold.reader.adaptation import check_free, gather_memory
    from tenfold.reader.line_reader import load_reader

    started = time.perf_counter()
    if out:
        check_free(out)
    reader: LineReader = load_reader(model)
    with progress_bar(quiet=quiet) as progress:
        examples, left_out = _collect(pictures or [], labels, progress)
        memory = gather_memory(seed=seed, data_dir=data_dir)
        adaptation = adapt_reader(
            reader, examples, seed=seed, engine=engine, memory=memory, progress=progress
        )
    if not as_json:
        _show(adaptation, examples, left_out, quiet=quiet)
    written, began_with = force or not adaptation.objection, str(model or "the built-in reader")
    place = _save(adaptation, out, {"began_with": began_with}) if written else None
    seconds = time.perf_counter() - started
    if as_json:
        outcome = {"out": str(place) if place else None, "seconds": seconds}
        emit_json(adaptation.to_dict() | _told(adaptation, examples, left_out) | outcome)
    elif written:
        if adaptation.objection:
            stderr().print(f"tenfold: {adaptation.objection}; written all the same", markup=False)
        stdout().print(
            f"written to {place} in {seconds:.0f} s; use it: tenfold read --model {place} PICTURE",
            markup=False,
        )
    if not written:
        raise FigureNotMetError(adaptation.objection, remedy="nothing was written (--force writes it)")


def _save(adaptation: Adaptation, out: Path | None, about: dict[str, str]) -> Path:
    """Into the folder asked for, else into the first free one of my-reader, my-reader-2, ..."""
    from tenfold.files import LOCK, free_names, hidden_beside

    if out is not None:
        return adaptation.save(out, about)
    names = free_names(Path(_OUT))
    while True:
        place = next(names)
        try:
            return adaptation.save(place, about)
        except UsageError:
            if not place.exists() and not hidden_beside(place, LOCK).exists():
                raise


def _collect(pictures: list[str], labels: str | None, progress: Any) -> tuple[list[Example], LeftOut]:
    """At least one example, or a DataError that says why there is none."""
    from tenfold.errors import DataError
    from tenfold.reader.adapt import collect_examples, label_pictures

    examples, left_out = collect_examples(label_pictures(pictures, labels), progress=progress)
    if not examples:
        path, reason = left_out[0]
        more = f", and {len(left_out) - 1} more" if len(left_out) > 1 else ""
        raise DataError(f"no picture can be learned from ({path}: {reason}{more})")
    return examples, left_out


def _told(adaptation: Adaptation, examples: list[Example], left_out: LeftOut) -> dict[str, Any]:
    return {
        "examples": len(examples),
        "left_out": [{"path": path, "reason": reason} for path, reason in left_out],
        "doubtful": [
            {"path": examples[index].path, "label": examples[index].text} for index in adaptation.doubtful
        ],
    }


def _show(adaptation: Adaptation, examples: list[Example], left_out: LeftOut, *, quiet: bool) -> None:
    console = stdout()
    if not quiet:
        for line in _notes(adaptation, examples):
            console.print(line, markup=False)
    for line in _named([f"left out: {path}: {reason}" for path, reason in left_out]):
        (stderr() if quiet else console).print(line, markup=False)
    forgetting = adaptation.forgetting
    own = [
        _row(f"this hand, held out ({adaptation.folds} parts), before", adaptation.before),
        _row("  after", adaptation.after),
    ]
    rows = [
        *(own if adaptation.folds else []),
        _row(f"{forgetting.data} by others, before", forgetting.before),
        _row("  after", forgetting.after),
    ]
    columns = ("", "lines right", "95 % interval", "refused", "digits right")
    console.print(plain_table(columns, rows, right=columns[1:]))
    console.print(
        f"words and blanks without an answer: {forgetting.others_before} of {forgetting.others} before, "
        f"{forgetting.others_after} after"
    )


def _row(name: str, measured: Score) -> tuple[str, ...]:
    low, high = measured.interval
    return (
        name,
        f"{measured.right:,} of {measured.n:,}",
        f"{percent(low, 1)} to {percent(high, 1)}",
        f"{measured.refused:,}",
        percent(measured.digit_accuracy, 1),
    )


def _notes(adaptation: Adaptation, examples: list[Example]) -> list[str]:
    """What was learned from, and which labels look like mistakes."""
    pictures = len({example.path for example in examples})
    lines = [f"{len(examples)} lines with {sum(adaptation.counts)} digits from {pictures} pictures"]
    missing = [str(digit) for digit, number in enumerate(adaptation.counts) if not number]
    if missing:
        lines.append(f"no example of {', '.join(missing)}")
    doubtful = [examples[index] for index in adaptation.doubtful]
    return lines + _named([f"is this label right? {each.path}: {each.text}" for each in doubtful])


def _named(lines: list[str]) -> list[str]:
    more = len(lines) - _MOST_NAMED
    return lines[:_MOST_NAMED] + ([f"  and {more} more"] if more > 0 else [])
