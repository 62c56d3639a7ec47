"""`tenfold adapt`: a reader that learns one person's hand, and says what that brought and cost."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from tenfold.cli.options import Common, takes_common
from tenfold.errors import UsageError
from tenfold.show.terminal import stderr, stdout

if TYPE_CHECKING:
    from tenfold.reader.adaptation import Adaptation

LeftOut = list[tuple[str, str]]  # pictures that gave no example, each with the reason
_OUT = "my-reader"
_LABELS = (
    "3,1049,07/11: what is written on each picture, in order; or a CSV file with path,label lines. Without "
    "it, folders named 0 to 9 are the labels."
)


@takes_common("engine", "data_dir", "seed", "as_json", "quiet")
def adapt_command(
    pictures: Annotated[
        list[str] | None,
        Argument(help="Pictures of one person's numbers, one line each, or folders of pictures."),
    ] = None,
    labels: Annotated[str | None, Option(help=_LABELS)] = None,
    out: Annotated[
        Path | None, Option("--out", "-o", help=f"The new folder (default: {_OUT}, {_OUT}-2, ...).")
    ] = None,
    model: Annotated[
        Path | None, Option("--model", "-m", help="The reader to start from (default: the built-in one).")
    ] = None,
    force: Annotated[bool, Option("--force", help="Write it even if it does not read better.")] = False,
    *,
    common: Common,
) -> None:
    """Learn one person's handwriting from a dozen labelled lines, or from single digits, in a minute.

    The gain is measured on held-out lines of this person, the loss on lines of other
    people, before anything is written; for this, write each digit twice or more. If
    it does not read better, nothing is written and the exit code is 3. Use the new
    reader with `tenfold read --model FOLDER`.
    """
    from tenfold.errors import FigureNotMetError
    from tenfold.reader.adapt import adapt_reader, collect_examples, label_pictures
    from tenfold.reader.adaptation import Adaptation, gather_memory
    from tenfold.reader.line_reader import load_reader
    from tenfold.show.results import print_result

    started = time.perf_counter()
    if out:
        Adaptation.check_free(out)
    reader = load_reader(model)
    with stderr.progress_bar(quiet=common.quiet) as progress:
        examples, left_out = collect_examples(label_pictures(pictures or [], labels), progress=progress)
        _require_examples(len(examples), left_out)
        memory = gather_memory(seed=common.seed, data_dir=common.data_dir)
        adaptation = adapt_reader(
            reader, examples, seed=common.seed, engine=common.engine, memory=memory, progress=progress
        )
    if not common.as_json:
        print_result(adaptation, examples=examples, left_out=left_out, quiet=common.quiet)
    written = force or not adaptation.objection
    place = _save(adaptation, out, {"began_with": str(model or "the built-in reader")}) if written else None
    seconds = time.perf_counter() - started
    if common.as_json:
        told = _learned_from(adaptation, examples, left_out) | {"out": place, "seconds": seconds}
        stdout.json(adaptation.to_dict() | told)
    elif written:
        if adaptation.objection:
            stderr.say(f"tenfold: {adaptation.objection}; written all the same")
        stdout.say(f"written to {place} in {seconds:.0f} s; use it: tenfold read --model {place} PICTURE")
    if not written:
        raise FigureNotMetError(adaptation.objection, remedy="nothing was written (--force writes it)")


def _save(adaptation: Adaptation, out: Path | None, about: dict[str, str]) -> Path:
    """Into the folder asked for, else into the first free one of my-reader, my-reader-2, ..."""
    from tenfold.files import Claim

    if out is not None:
        return adaptation.save(out, about)
    names = Claim.free_names(Path(_OUT))
    while True:
        place = next(names)
        try:
            return adaptation.save(place, about)
        except UsageError:
            if not place.exists() and not Claim.hidden_beside(place, Claim.LOCK).exists():
                raise


def _learned_from(adaptation: Adaptation, examples: list[Any], left_out: LeftOut) -> dict[str, Any]:
    doubtful = [examples[index] for index in adaptation.doubtful]
    return {
        "examples": len(examples),
        "left_out": [{"path": path, "reason": reason} for path, reason in left_out],
        "doubtful": [{"path": each.path, "label": each.text} for each in doubtful],
    }


def _require_examples(count: int, left_out: LeftOut) -> None:
    """Raises DataError, which says why there is none."""
    from tenfold.errors import DataError

    if not count:
        path, reason = left_out[0]
        more = f", and {len(left_out) - 1} more" if len(left_out) > 1 else ""
        raise DataError(f"no picture can be learned from ({path}: {reason}{more})")
