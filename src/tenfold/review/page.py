"""Doubtful readings, one after the other on a page: a person confirms or corrects each by keyboard."""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from starlette.responses import Response

from tenfold.arguments import checked
from tenfold.errors import TenfoldError, printable
from tenfold.reader.alphabet import CHARACTERS, OTHER
from tenfold.reader.constraint import Both, Constraint, Length, Pattern, Range
from tenfold.review.local import Answer, LocalPage
from tenfold.serve.corrections import LINES, Correction, Corrections
from tenfold.serve.images import Refusal

if TYPE_CHECKING:
    from tenfold.reader.constraint import Constraint

__all__ = ["Keeper", "ReviewItem", "ask_person"]

# What a person typed as the text of a reading: whether it can be one, and has the expected form.

LONGEST_TEXT = 100  # characters of an answer
_KNOWN = CHARACTERS.replace(OTHER, "")
_KEYS = str.maketrans({"x": "×", "X": "×", "*": "×", "−": "-", "–": "-"})  # what keyboards have instead


def to_text(typed: str) -> str:
    """As the reader would write it: without spaces, and with its own signs."""
    return "".join(unicodedata.normalize("NFKC", typed).split()).translate(_KEYS)


def why_not_text(text: str) -> str:
    """What makes it no text that the reader could have read, in words; "" where it is one."""
    if not text:
        return "Nothing is typed: type what is written there, or press Escape where nothing can be read."
    if OTHER in text:
        return "Type what stands in the place of ?, or press Escape where it cannot be read."
    if strange := next((each for each in text if each not in _KNOWN), ""):
        shown = strange if strange.isprintable() else ascii(strange)
        known = " ".join(_KNOWN[10:])
        return f"{shown} is not read here: digits and {known} are. Press Escape where something else stands."
    return f"Too long: at most {LONGEST_TEXT} characters." if len(text) > LONGEST_TEXT else ""


def fits(constraint: Constraint | None, text: str) -> bool:
    """Whether it is of the expected form."""
    if constraint is None:
        return True
    state = constraint.start
    for character in text:
        state = constraint.step(state, character)
        if state is None:
            return False
    return constraint.accepts(state)


def describe_form(constraint: Constraint | None) -> str:
    r"""In words: "the form \d{2}", "3 digits, a number from 0 to 100"; "" for any."""
    if isinstance(constraint, Both):
        return ", ".join(filter(None, map(describe_form, constraint.parts)))
    if isinstance(constraint, Pattern):
        return f"the form {constraint.pattern}"
    if isinstance(constraint, Length):
        return f"{constraint.digits} digit{'s' * (constraint.digits != 1)}"
    if isinstance(constraint, Range):
        ends = {"at least": constraint.least, "at most": constraint.most}
        words = [f"{name} {end}" for name, end in ends.items() if end is not None]
        return f"a number of {' and '.join(words)}"
    return "" if constraint is None else "the expected form"


# A review's answers, kept as they come for `tenfold adapt`.

_MOST_BYTES = 2**30


class Keeper:
    """A folder of corrections (see `Corrections`). What is answered anew replaces the answer before. Raises
    DataError where the folder cannot be written."""

    def __init__(self, folder: Path) -> None:
        self._kept = Corrections(folder, _MOST_BYTES)
        self._names: dict[int, tuple[str, str]] = {}  # of each item's picture, and its text

    def keep(self, number: int, text: str, read: str, png: bytes) -> None:
        """text: "" is not kept, as it teaches nothing. Raises Refusal where there is no space."""
        name, before = self._names.get(number, ("", ""))
        if text == before:
            return
        if re.fullmatch(LINES, text):
            self._names[number] = (self._kept.add(Correction(text, read, png)), text)
        else:
            self._names.pop(number, None)
        if name:
            self._kept.remove(name)


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
