"""Fields of a form: found in its example, to be corrected by hand; and cut out of a photo, flat, without the
rules that the example shows in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from tenfold.arguments import checked
from tenfold.errors import DataError, UsageError, printable
from tenfold.forms.align import measure_darkness
from tenfold.forms.register import Registration
from tenfold.forms.template import MOST_FIELDS, Field, Form, Share
from tenfold.pictures.drawing import Palette, Sheet
from tenfold.pictures.grid import Grid
from tenfold.pictures.lines import Box, find_lines
from tenfold.pictures.open import Picture, open_picture

__all__ = ["FilledForm", "propose_form"]

_LONGEST = 1600  # pixels of the example, and of the picture in which boxes are looked for
_WINDOW = 25  # pixels around each, for the paper
_DARK = 0.12  # of the paper: what is darker may be a rule
_LEAST, _MOST = (18, 14), 0.6  # width and height of a box in pixels at least; of the picture's area at most
_FILLED = 0.88  # of a box's outline's rectangle that is its inside
_TALL = 0.2  # of the picture's height: a field is not higher

_MARGIN = 0.2  # around a field, of its height: rules of its frame are seen there
_SMALLEST, _TALLEST, _WIDEST = 12, 320, 2400  # pixels of a cut
_ALONG, _DOWN = 0.7, 0.92  # of the field's width and height that a rule covers
_EDGE = 0.15  # of its height: a rule along a field runs so near to its upper or lower side
_GAP = 0.25  # of the height: dots of a dotted rule are no farther apart
_THICK = 0.14  # of the height: a rule is not thicker
_MOVED = 0.08  # of the height: a rule is looked for so far from its place
_THICKER = 0.02  # of the height, at each side: a rule is blurred
_HIGHEST = 1400  # pixels of a photo, as it is shown
_STROKE = 0.01  # of the height's square: what a small stroke covers


@checked
def propose_form(picture: str | Path, *, name: str | None = None, names: Sequence[str] = ()) -> Form:
    """A form whose fields are the ruled cells and boxes found in its example, else its written lines, from
    the top. names: of the first fields, "-" for one that is left out; others are field_1, field_2, ...
    Raises DataError where nothing is found, UsageError for a wrong name, or more names than fields."""
    path = Path(picture)
    example = open_picture(path, longest=_LONGEST)
    boxes = _in_reading_order(_find_boxes(example))[:MOST_FIELDS]
    if not boxes:
        found = f"{printable(str(path))} shows no boxes, cells or lines"
        remedy = "write its TOML by hand, as docs/how-to/forms.md shows"
        raise DataError(found, expected="a form", remedy=remedy)
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
    grey = example.grey
    boxes = _find_insides(grey) or _grid_cells(grey)
    return boxes or [box for box in find_lines(grey) or [] if box[3] - box[1] <= _TALL * len(grey)]


def _find_insides(grey: np.ndarray) -> list[Box]:
    """Insides of what rules enclose: connected paper whose shape is nearly a rectangle."""
    labels, _ = ndimage.label(measure_darkness(grey, _WINDOW) <= _DARK)
    height, width = grey.shape
    found = []
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        y0, y1, x0, x1 = place[0].start, place[0].stop, place[1].start, place[1].stop
        wide, high = x1 - x0, y1 - y0
        fits = wide >= _LEAST[0] and _LEAST[1] <= high <= _TALL * height
        inside = min(x0, y0) > 0 and x1 < width and y1 < height
        if not fits or not inside or wide * high > _MOST * width * height:
            continue
        if ndimage.binary_fill_holes(labels[place] == number).mean() >= _FILLED:
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
    grid = Grid.find(grey)
    if grid is None:
        return []
    boxes = []
    for row, column in np.ndindex(*grid.shape[:2]):
        x0, y0, x1, y1 = grid.cell(row, column, 0.0)
        corners = grid.to_picture(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], float))
        left, top = np.maximum(0, corners.min(axis=0).astype(int)).tolist()
        right, bottom = np.minimum(grey.shape[::-1], corners.max(axis=0).astype(int)).tolist()
        boxes += [(left, top, right, bottom)] if right > left and bottom > top else []
    return boxes


def _in_reading_order(boxes: Sequence[Box]) -> list[Box]:
    """Rows of boxes whose middles lie within the first one's height, each from the left."""
    rows: list[list[Box]] = []
    for box in sorted(boxes, key=lambda each: each[1] + each[3]):
        if not rows or box[1] + box[3] >= 2 * rows[-1][0][3]:
            rows.append([])
        rows[-1].append(box)
    return [box for row in rows for box in sorted(row)]


Band = tuple[int, int]


@dataclass(frozen=True, eq=False)
class FieldCut:
    """grey: uint8 (h, w), the field with a margin, flat, without its rules. margin: pixels of it."""

    grey: np.ndarray
    margin: int

    def view(self, inset: float) -> np.ndarray:
        """uint8: the field without so much of its height at each side; with more around it where below 0."""
        height, width = self.grey.shape
        edge = max(0, self.margin + round(inset * (height - 2 * self.margin)))
        return self.grey[edge : height - edge, edge : width - edge]

    def darkness(self) -> float:
        """Of the darkest stroke that is written there, 0 to 1."""
        dark = ndimage.gaussian_filter(_darkness(self.view(0.07)), 0.7).ravel()
        count = max(3, round(_STROKE * (self.grey.shape[0] - 2 * self.margin) ** 2))
        return float(np.partition(dark, -min(count, dark.size))[-min(count, dark.size)])


def cut_field(grey: np.ndarray, example: np.ndarray, box: Share, found: Registration) -> FieldCut:
    """grey, example: uint8 (H, W), the photo that was registered and the form's example. box: as shares."""
    left, top, right, bottom = box
    corners = found.corners(box)
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    high = int(np.clip(round((sides[1] + sides[3]) / 2), _SMALLEST, _TALLEST))
    wide = int(np.clip(round((sides[0] + sides[2]) / 2), _SMALLEST, _WIDEST))
    margin = max(3, round(_MARGIN * high))
    x = left + (right - left) * (np.arange(-margin, wide + margin) + 0.5) / wide
    y = top + (bottom - top) * (np.arange(-margin, high + margin) + 0.5) / high
    places = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    shape = len(y), len(x)
    cut = _sample(grey, found.map(places)).reshape(shape)
    own = _sample(example, places * np.array(example.shape[::-1])).reshape(shape)
    rows, columns = _rules(_darkness(own), margin)
    dark = _darkness(cut)
    cut = _erase(_erase(cut, dark, rows, high).T, dark.T, columns, high).T
    return FieldCut(np.ascontiguousarray(cut), margin)


def _sample(grey: np.ndarray, places: np.ndarray) -> np.ndarray:
    return ndimage.map_coordinates(grey, [places[:, 1] - 0.5, places[:, 0] - 0.5], order=1, mode="nearest")


def _darkness(grey: np.ndarray) -> np.ndarray:
    return measure_darkness(grey, max(5, min(grey.shape) // 2))


def _rules(dark: np.ndarray, margin: int) -> tuple[list[Band], list[Band]]:
    """Rows, and columns, that rules of the example cover in a cut with `margin` around the field."""
    high, wide = (size - 2 * margin for size in dark.shape)
    inked = (dark > _DARK).astype(np.float32)
    along = ndimage.maximum_filter1d(inked, max(1, int(_GAP * high)) | 1, axis=1)[:, margin : margin + wide]
    down = inked[margin : margin + high]
    most = max(4, _THICK * high)
    low, end = margin + _EDGE * high, margin + (1 - _EDGE) * high  # strokes of a filled example lie between
    rows, columns = _bands(along.mean(axis=1) > _ALONG, most), _bands(down.mean(axis=0) > _DOWN, most)
    return [band for band in rows if band[1] <= low or band[0] >= end], columns


def _bands(mask: np.ndarray, most: float) -> list[Band]:
    """Where the mask is true, in at most so many places in a row."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0)).tolist()
    return [(low, end) for low, end in zip(edges[::2], edges[1::2], strict=True) if end - low <= most]


def _erase(cut: np.ndarray, dark: np.ndarray, bands: list[Band], high: int) -> np.ndarray:
    """Rules along the rows replaced by what lies above and below them: strokes across a rule stay. A rule is
    looked for again on the photo, as a whole and then piece by piece, for paper bends."""
    cut = cut.copy()
    most, more = max(2, round(_MOVED * high)), 1 + round(_THICKER * high)
    pieces = np.array_split(np.arange(cut.shape[1]), max(1, round(cut.shape[1] / (2 * high))))
    for band in bands:
        whole = _find_again(dark.mean(axis=1), band, most)
        for piece in pieces:
            low, end = _find_again(dark[:, piece].mean(axis=1), whole, max(1, most // 3))
            low, end = max(0, low - more), min(len(cut), end + more)
            above = cut[low - 1, piece] if low else cut[min(end, len(cut) - 1), piece]
            below = cut[end, piece] if end < len(cut) else above
            share = (np.arange(1, end - low + 1) / (end - low + 1))[:, None]
            cut[low:end, piece] = np.rint((1 - share) * above + share * below).astype(np.uint8)
    return cut


def _find_again(profile: np.ndarray, band: Band, most: int) -> Band:
    """The darkest of the places so near."""
    low, end = band
    moves = range(-min(most, low), min(most, len(profile) - end) + 1)
    sums = [float(profile[low + move : end + move].sum()) - 0.002 * abs(move) for move in moves]
    move = moves[int(np.argmax(sums))]
    return low + move, end + move


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
        read = {"name": self.name, "text": self.text, "confidence": self.confidence}
        place = {"box": list(self.box), "corners": [list(corner) for corner in self.corners]}
        reviewed = {"reviewed": True} if self.reviewed else {}
        return read | {"reason": self.reason or None} | place | reviewed


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

    @checked
    def explain(self, path: str) -> Image.Image:
        """How it was read: its fields over the photo, with what was read; RGB, 800 pixels wide. path: of the
        photo. Where `picture` is None, the photo is left out."""
        inner = Sheet.WIDTH - 2 * Sheet.MARGIN
        title = "standard input" if path == "-" else Path(path).name
        told = f"{self.form}: {len(self.fields)} fields, {len(self.doubtful)} of them to be looked at"
        words = ((title, 28), (told, 20))
        blocks = [Sheet.paragraph(text, size, inner, colour=Palette.GREY) for text, size in words]
        return Sheet.compose([*blocks, self._draw(inner)])

    def _draw(self, width: int) -> Image.Image:
        if self.picture is None:
            return Image.new("RGB", (width, 1), Palette.PAPER)
        photo = Image.fromarray(self.picture.pixels)
        ratio = min(width / photo.width, _HIGHEST / photo.height)
        photo = photo.resize((max(1, round(photo.width * ratio)), max(1, round(photo.height * ratio))))
        draw, scale = ImageDraw.Draw(photo), ratio / self.picture.scale
        for each in self.fields:
            colour = Palette.AMBER if each.doubtful else Palette.GREY if each.reason else Palette.GREEN
            corners = [(x * scale, y * scale) for x, y in each.corners]
            draw.polygon(corners, outline=colour, width=2)
            draw.text(corners[0], f"{each.name} {each.text}", fill=colour, anchor="lb", font=Sheet.font(14))
        return photo
