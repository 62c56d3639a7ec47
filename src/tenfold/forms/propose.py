"""An example of a form -> a template of the fields that are found in it, to be corrected by hand."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from tenfold.arguments import checked
from tenfold.errors import DataError, UsageError, printable
from tenfold.files import replace_file
from tenfold.forms.template import MOST_FIELDS, Field, Form
from tenfold.pictures.grid import find_grid
from tenfold.pictures.lines import Box, find_lines
from tenfold.pictures.open import Picture, open_picture, to_grey

__all__ = ["FilledForm", "propose_form", "write_form"]

_LONGEST = 1600  # pixels of the example, and of the picture in which boxes are looked for
_WINDOW, _DARK, _DARKEST = 25, 0.12, 40  # pixels, share of the paper, grey levels: of what is a rule
_LEAST, _MOST = (18, 14), 0.6  # width and height of a box in pixels at least; of the picture's area at most
_FILLED = 0.88  # of a box's outline's rectangle that is its inside
_TALL = 0.2  # of the picture's height: a field is not higher


@checked
def propose_form(picture: str | Path, *, name: str | None = None, names: Sequence[str] = ()) -> Form:
    """A form whose fields are the ruled cells and boxes found in its example, else its written lines, from
    the top. names: of the first fields, "-" for one that is left out; others are field_1, field_2, ...
    Raises DataError where nothing is found, UsageError for a wrong name, or more names than fields."""
    path = Path(picture)
    example = open_picture(path, longest=_LONGEST)
    boxes = _in_reading_order(_find_boxes(example))[:MOST_FIELDS]
    if not boxes:
        raise DataError(
            f"{printable(str(path))} shows no boxes, cells or lines",
            expected="a form",
            remedy="write its TOML by hand, as docs/how-to/forms.md shows",
        )
    if len(names) > len(boxes):
        raise UsageError(f"{len(names)} names", expected=f"at most one for each of {len(boxes)} fields")
    high, wide = example.pixels.shape[:2]
    called = [*names, *(f"field_{number}" for number in range(len(names) + 1, len(boxes) + 1))]
    kept = [(each, box) for each, box in zip(called, boxes, strict=True) if each.strip() != "-"]
    fields = tuple(
        Field(each.strip(), (x0 / wide, y0 / high, x1 / wide, y1 / high)) for each, (x0, y0, x1, y1) in kept
    )
    return Form(name or path.stem, path, fields, example=example)


def _find_boxes(example: Picture) -> list[Box]:
    grey = to_grey(example.pixels)
    boxes = _find_insides(grey)
    if not boxes:
        boxes = _grid_cells(grey)
    return boxes or [box for box in find_lines(grey) or [] if box[3] - box[1] <= _TALL * len(grey)]


def _find_insides(grey: np.ndarray) -> list[Box]:
    """Insides of what rules enclose: connected paper whose shape is nearly a rectangle."""
    paper = ndimage.grey_closing(grey, (_WINDOW, _WINDOW)).astype(np.float32)
    free = (paper - grey) / np.maximum(paper, _DARKEST) <= _DARK
    labels, _ = ndimage.label(free)
    height, width = grey.shape
    found = []
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        y0, y1, x0, x1 = place[0].start, place[0].stop, place[1].start, place[1].stop
        wide, high = x1 - x0, y1 - y0
        if (
            wide < _LEAST[0]
            or high < _LEAST[1]
            or high > _TALL * height
            or wide * high > _MOST * width * height
        ):
            continue
        if min(x0, y0) <= 0 or x1 >= width or y1 >= height:
            continue
        own = ndimage.binary_fill_holes(labels[place] == number)
        if own.mean() >= _FILLED:
            found.append((x0, y0, x1, y1))
    return _join_combs([box for box in found if not _is_letter(box, found)])


def _is_letter(box: Box, others: Sequence[Box]) -> bool:
    """Whether it is much lower than the usual box: the inside of a printed 0 or D."""
    heights = sorted(other[3] - other[1] for other in others)
    return box[3] - box[1] < 0.35 * heights[-(-3 * len(heights) // 4) - 1]


def _join_combs(boxes: Sequence[Box]) -> list[Box]:
    """Boxes side by side, no wider than high and of one height, are one field."""
    joined: list[Box] = []
    for box in sorted(boxes, key=lambda each: (round(each[1] / 8), each[0])):
        last = joined[-1] if joined else None
        high, wide = box[3] - box[1], box[2] - box[0]
        if (
            last is not None and wide <= 1.05 * high and abs(last[1] - box[1]) < 0.15 * high
            and abs(last[3] - box[3]) < 0.15 * high and 0 <= box[0] - last[2] < 0.2 * high
        ):  # fmt: skip
            joined[-1] = (last[0], min(last[1], box[1]), box[2], max(last[3], box[3]))
        else:
            joined.append(box)
    return joined


def _grid_cells(grey: np.ndarray) -> list[Box]:
    """Cells of a ruled table whose rules are faint or broken."""
    grid = find_grid(grey)
    if grid is None:
        return []
    boxes = []
    for row in range(grid.shape[0]):
        for column in range(grid.shape[1]):
            x0, y0, x1, y1 = grid.cell(row, column, 0.0)
            corners = grid.to_picture(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], float))
            (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
            box = (
                max(0, int(left)),
                max(0, int(top)),
                min(grey.shape[1], int(right)),
                min(len(grey), int(bottom)),
            )
            boxes += [box] if box[2] > box[0] and box[3] > box[1] else []
    return boxes


def _in_reading_order(boxes: Sequence[Box]) -> list[Box]:
    """Rows of boxes whose middles lie within the first one's height, each from the left."""
    rows: list[list[Box]] = []
    for box in sorted(boxes, key=lambda each: each[1] + each[3]):
        if rows and box[1] + box[3] < 2 * rows[-1][0][3]:
            rows[-1].append(box)
        else:
            rows.append([box])
    return [box for row in rows for box in sorted(row)]


@checked
def write_form(form: Form, path: str | Path) -> Path:
    """Writes the TOML, and a copy of the example beside it where that lies elsewhere; the TOML's path.
    Raises UsageError where either is there already."""
    path = Path(path)
    picture = path.parent / form.picture.name
    _refuse_taken(path)
    own = picture.exists() and form.picture.exists() and picture.samefile(form.picture)
    if not own:
        _refuse_taken(picture)
        try:
            with replace_file(picture) as beside:
                shutil.copyfile(form.picture, beside)
        except OSError as error:
            raise UsageError(
                f"{printable(str(picture))} cannot be written ({error.strerror})",
                expected="a folder to write to",
            ) from error
    Form(form.name, picture, form.fields, form.checks, example=form.example).save(path)
    return path


def _refuse_taken(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise UsageError(f"{printable(str(path))} is there already", remedy="name another one with --output")


# A filled form: what was read in each field.

DOUBTS = ("doubtful", "unfit", "sum")  # reasons to let a person look at a field


@dataclass(frozen=True, eq=False)
class FieldReading:
    """One field. text: the likeliest; "" where nothing is. confidence: that its digits are right. reason: why
    a person should look at it: "doubtful", "unfit" (nothing of the expected form), "sum" (a check does not
    hold); "empty", "unread" (a person who reviewed it could not read it), or "". box: around it, in the
    pixels of the upright original; corners: x and y of its four, from the upper left one of the form. crop:
    uint8 (H, W), the field cut out flat. reviewed: a person read it."""

    name: str
    text: str
    confidence: float
    reason: str
    box: Box
    corners: tuple[tuple[int, int], ...]
    crop: np.ndarray = field(repr=False)
    reviewed: bool = False

    @property
    def doubtful(self) -> bool:
        """Whether a person should look at it."""
        return self.reason in DOUBTS

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "text": self.text,
            "confidence": self.confidence,
            "reason": self.reason or None,
            "box": list(self.box),
            "corners": [list(corner) for corner in self.corners],
        } | ({"reviewed": True} if self.reviewed else {})


@dataclass(frozen=True, eq=False)
class FilledForm:
    """form: its name. fields: in the template's order. score: how much of the example's print was found again
    in the photo, 0 to 1. picture: the open photo, for explaining."""

    form: str
    fields: tuple[FieldReading, ...]
    score: float
    picture: Picture | None = field(default=None, repr=False)

    @property
    def values(self) -> dict[str, str]:
        """The likeliest text of each field, by its name; those in `doubtful` may be wrong."""
        return {each.name: each.text for each in self.fields}

    @property
    def doubtful(self) -> tuple[str, ...]:
        """Names of the fields that a person should look at."""
        return tuple(each.name for each in self.fields if each.doubtful)

    @checked
    def with_texts(self, texts: Sequence[str | None]) -> FilledForm:
        """With what a person said of the doubtful fields, in their order: None leaves one as it is, "" says
        that nothing can be read there. What was reviewed is sure."""
        said = iter(texts)

        def read(each: FieldReading) -> FieldReading:
            text = next(said) if each.doubtful else None
            if text is None:
                return each
            return replace(each, text=text, confidence=1.0, reason="" if text else "unread", reviewed=True)

        return replace(self, fields=tuple(map(read, self.fields)))

    def without_picture(self) -> FilledForm:
        """Small enough to be sent from process to process."""
        return replace(self, picture=None)

    def to_dict(self) -> dict[str, Any]:
        return {
            "form": self.form,
            "fields": [each.to_dict() for each in self.fields],
            "values": self.values,
            "doubtful": list(self.doubtful),
            "score": self.score,
        }
