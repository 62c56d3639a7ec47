"""`tenfold read --review`: answers are held back until a person has reviewed what is doubtful in them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tenfold.errors import TenfoldError, printable

if TYPE_CHECKING:
    from tenfold.cli.answers import Answer, Answers
    from tenfold.forms.template import Form
    from tenfold.reader.constraint import Constraint
    from tenfold.reader.decode import Columns
    from tenfold.review.page import ReviewItem


Progress = Callable[[str, int, int], None]


class Reviewing:
    """form: as the pictures are read with. collect: the folder in which the answers are kept. Raises
    MissingDependencyError and DataError, before anything is read, where there can be no review."""

    def __init__(self, form: Constraint | Columns | Form | None, collect: Path | None) -> None:
        from tenfold.review.page import Keeper

        if collect is not None:
            Keeper(collect)
        self.form, self.collect = form, collect

    def hold(
        self, answered: Iterable[Answer], answers: Answers, progress: Progress | None, total: int
    ) -> Iterator[Answer]:
        """All answers, when they are there and reviewed; where the reading is stopped, those so far. Ctrl-C
        stops the review, and is raised again when all are told."""
        held: list[tuple[Answer, list[ReviewItem]]] = []
        try:
            for number, answer in enumerate(answered, start=1):
                answer = answers.check(answer)
                held.append((answer.without_picture(), answer.items(self.form)))
                if progress:
                    progress("reading", number, total)
            texts, ended = self._review([item for _, items in held for item in items])
        except (KeyboardInterrupt, TenfoldError):
            answers.open()
            yield from (answer for answer, _ in held)
            raise
        answers.open()
        for answer, items in held:
            yield answer.with_texts([next(texts) for _ in items])
        if not ended:
            raise KeyboardInterrupt

    def _review(self, items: list[ReviewItem]) -> tuple[Iterator[str | None], bool]:
        """Their texts, and whether the review came to its end."""
        from tenfold.review.page import ask_person

        if not items:
            _say("nothing is doubtful, so there is nothing to review")
            return iter(()), True

        def announce(address: str) -> None:
            what = f"{len(items):,} doubtful reading{'s' * (len(items) != 1)}"
            _say(f"{what} to review on {address} (Ctrl-C ends the review)")

        texts, ended = ask_person(items, keep=self.collect, announce=announce)
        reviewed = sum(text is not None for text in texts)
        kept = f", kept in {printable(str(self.collect))}" if self.collect and any(texts) else ""
        _say(f"{reviewed:,} of {len(items):,} doubtful readings reviewed{kept}")
        return iter(texts), ended


def _say(text: str) -> None:
    sys.stderr.write(f"tenfold: {text}\n")
    sys.stderr.flush()
