"""`tenfold read --review`: answers are held back until a person has reviewed what is doubtful in them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tenfold.errors import TenfoldError, printable

if TYPE_CHECKING:
    from tenfold.cli.answers import Answer, Answers
    from tenfold.reader.columns import Columns
    from tenfold.reader.constraint import Constraint
    from tenfold.review.page import ReviewItem

__all__ = ["Reviewing"]


Progress = Callable[[str, int, int], None]


class Reviewing:
    """form: as the pictures are read with. collect: the folder in which the answers are kept. Raises
    MissingDependencyError and DataError, before anything is read, where there can be no review."""

    def __init__(self, form: Constraint | Columns | None, collect: Path | None) -> None:
        from tenfold.review.keeping import Keeper

        if collect is not None:
            Keeper(collect)
        self.form, self.collect = form, collect

    def hold(
        self, answered: Iterable[Answer], answers: Answers, progress: Progress | None, total: int
    ) -> Iterator[Answer]:
        """All answers, when they are there and reviewed; where the reading is stopped, those so far."""
        held: list[tuple[Answer, list[ReviewItem]]] = []
        try:
            for number, answer in enumerate(answered, start=1):
                held.append(self._look(answers.check(answer)))
                if progress:
                    progress("reading", number, total)
            texts = self._review([item for _, items in held for item in items])
        except (KeyboardInterrupt, TenfoldError):
            answers.open()
            yield from (answer for answer, _ in held)
            raise
        answers.open()
        for answer, items in held:
            yield _corrected(answer, [next(texts) for _ in items])

    def _look(self, answer: Answer) -> tuple[Answer, list[ReviewItem]]:
        """The answer without its picture, and what is to be reviewed in it."""
        from tenfold.review.items import items_of

        if answer.reading is None:
            return answer, []
        items = items_of(answer.reading, answer.path, self.form)
        return answer._replace(reading=answer.reading.without_picture()), items

    def _review(self, items: list[ReviewItem]) -> Iterator[str | None]:
        from tenfold.review.page import review

        if not items:
            _say("nothing is doubtful, so there is nothing to review")
            return iter(())

        def announce(address: str) -> None:
            _say(f"{len(items):,} doubtful readings to review on {address} (Ctrl-C ends the review)")

        texts = review(items, keep=self.collect, announce=announce)
        reviewed = sum(text is not None for text in texts)
        kept = f", kept in {printable(str(self.collect))}" if self.collect and any(texts) else ""
        _say(f"{reviewed:,} of {len(items):,} doubtful readings reviewed{kept}")
        return iter(texts)


def _corrected(answer: Answer, texts: list[str | None]) -> Answer:
    from tenfold.review.items import with_texts

    if answer.reading is None or not texts:
        return answer
    return answer._replace(reading=with_texts(answer.reading, texts))


def _say(text: str) -> None:
    sys.stderr.write(f"tenfold: {text}\n")
    sys.stderr.flush()
