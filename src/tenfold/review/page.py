"""Doubtful readings, one after the other on a page: a person confirms or corrects each by keyboard."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from starlette.responses import Response

from tenfold.arguments import checked
from tenfold.errors import TenfoldError, printable
from tenfold.reader.constraint import Constraint
from tenfold.review.keeping import Keeper
from tenfold.review.local import Answer, LocalPage
from tenfold.review.text import LONGEST_TEXT, describe_form, fits, to_text, why_not_text
from tenfold.serve.refusal import Refusal

__all__ = ["ReviewItem", "ask_person", "review"]


@dataclass(frozen=True, eq=False)
class ReviewItem:
    """A reading to be reviewed. source: the picture's path. name: of the line, cell or field in it. text:
    what was read, "?" for each doubtful character. crop: uint8 (H, W), what is shown of the picture.
    constraint: the expected form."""

    source: str
    name: str
    text: str
    crop: np.ndarray
    constraint: Constraint | None = None


@checked
def review(
    items: Sequence[ReviewItem],
    *,
    announce: Callable[[str], None],
    keep: Path | None = None,
    port: int = 0,
    open_browser: bool = True,
) -> list[str | None]:
    """Blocks until a person has answered all, finishes early, or presses Ctrl-C in the terminal. The texts of
    the items: "" where nothing can be read, None where it was not reviewed.

    announce: is told the page's address, on this machine only. keep: a folder in which each answer is kept at
    once, with its picture, for `tenfold adapt --labels FOLDER/labels.csv`. port: 0 for any free one.
    Raises DataError where `keep` cannot be written, and UsageError where the port is taken.
    """
    return ask_person(items, announce=announce, keep=keep, port=port, open_browser=open_browser)[0]


def ask_person(
    items: Sequence[ReviewItem],
    *,
    announce: Callable[[str], None],
    keep: Path | None = None,
    port: int = 0,
    open_browser: bool = True,
) -> tuple[list[str | None], bool]:
    """As `review`; and whether the page came to its end, rather than Ctrl-C or SIGTERM."""
    asked = _Asked(items, Keeper(keep) if keep is not None else None)
    ended = not items or asked.page.run(port=port, open_browser=open_browser, announce=announce)
    return asked.texts, ended


class _Asked:
    """The items, and the answers so far. next: the item after the one that was answered last."""

    def __init__(self, items: Sequence[ReviewItem], keeper: Keeper | None) -> None:
        self.items, self.keeper = items, keeper
        self.texts: list[str | None] = [None] * len(items)
        self.next = 0
        crops = {("GET", f"crop-{i}.png"): partial(_picture, item.crop) for i, item in enumerate(items)}
        answers: dict[tuple[str, str], Answer] = {
            ("GET", "items"): self.tell,
            ("POST", "answer"): self.take,
            ("POST", "finish"): self.finish,
        }
        self.page = LocalPage("review", {**answers, **crops})

    def tell(self, _: Any) -> dict[str, Any]:
        items = [
            {
                "source": printable(item.source),
                "name": printable(item.name),
                "text": item.text,
                "answer": text,
                "form": describe_form(item.constraint),
            }
            for item, text in zip(self.items, self.texts, strict=True)
        ]
        return {"items": items, "next": self.next, "done": self._is_done()}

    def take(self, given: dict[str, Any]) -> dict[str, Any]:
        """given: "item", its number; "text"; "unread", whether nothing can be read; "sure", whether a text
        that is not of the expected form is meant."""
        number, typed = given.get("item"), given.get("text", "")
        if not isinstance(number, int) or not 0 <= number < len(self.items) or not isinstance(typed, str):
            raise Refusal(422, "no answer to an item", expected='{"item": 0, "text": "1049"}')
        text = "" if given.get("unread") is True else to_text(typed[: 2 * LONGEST_TEXT])
        if given.get("unread") is not True:
            constraint = self.items[number].constraint
            if why := why_not_text(text):
                return {"taken": False, "why": why, "unusual": False}
            if given.get("sure") is not True and not fits(constraint, text):
                why = f"{text} is not {describe_form(constraint)}. Press Enter again to take it all the same."
                return {"taken": False, "why": why, "unusual": True}
        self.texts[number], self.next = text, number + 1
        trouble = self._keep(number, text)
        if self._is_done():
            self.page.stop()
        return {"taken": True, "text": text, "trouble": trouble, "done": self._is_done()}

    def finish(self, _: dict[str, Any]) -> dict[str, Any]:
        self.page.stop()
        return {"reviewed": sum(text is not None for text in self.texts)}

    def _keep(self, number: int, text: str) -> str:
        """What went wrong with it, or ""; the answer itself counts all the same."""
        if self.keeper is None:
            return ""
        item = self.items[number]
        try:
            self.keeper.keep(number, text, item.text, _png(item.crop))
        except TenfoldError as error:
            return str(error)
        return ""

    def _is_done(self) -> bool:
        return None not in self.texts


def _picture(crop: np.ndarray, _: Any) -> Response:
    return Response(_png(crop), media_type="image/png")


def _png(crop: np.ndarray) -> bytes:
    """uint8 (H, W) -> a grey PNG."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(crop)).save(file, "PNG")
    return file.getvalue()
