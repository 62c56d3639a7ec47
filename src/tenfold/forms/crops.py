"""Fields cut out of a photo of a form, flat, and without the rules that the example shows in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from tenfold.forms.propose import FilledForm
from tenfold.forms.register import Registration
from tenfold.pictures import drawing

__all__ = ["explain_form"]

_MARGIN = 0.2  # around a field, of its height: rules of its frame are seen there
_SMALLEST, _TALLEST, _WIDEST = 12, 320, 2400  # pixels of a cut
_DARK = 0.12  # of the paper: what is darker in the example may be a rule
_ALONG, _DOWN = 0.7, 0.92  # of the field's width and height that a rule covers
_EDGE = 0.15  # of its height: a rule along a field runs so near to its upper or lower side
_GAP = 0.25  # of the height: dots of a dotted rule are no farther apart
_THICK = 0.14  # of the height: a rule is not thicker
_MOVED = 0.08  # of the height: a rule is looked for so far from its place
_THICKER = 0.02  # of the height, at each side: a rule is blurred
_STROKE = 0.01  # of the height's square: what a small stroke covers

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


def cut_field(
    grey: np.ndarray, example: np.ndarray, box: tuple[float, float, float, float], found: Registration
) -> FieldCut:
    """grey, example: uint8 (H, W), the photo that was registered and the form's example. box: as shares."""
    high, wide = _size_on(found, box)
    margin = max(3, round(_MARGIN * high))
    left, top, right, bottom = box
    x = left + (right - left) * (np.arange(-margin, wide + margin) + 0.5) / wide
    y = top + (bottom - top) * (np.arange(-margin, high + margin) + 0.5) / high
    places = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    shape = len(y), len(x)
    cut = _sample(grey, found.map(places)).reshape(shape)
    own = _sample(example, places * np.array(example.shape[::-1])).reshape(shape)
    rows, columns = _rules(_darkness(own), margin)
    dark = _darkness(cut)
    cut = _erase(cut, dark, rows, high)
    cut = _erase(cut.T, dark.T, columns, high).T
    return FieldCut(np.ascontiguousarray(cut), margin)


def _size_on(found: Registration, box: tuple[float, float, float, float]) -> tuple[int, int]:
    left, top, right, bottom = box
    corners = found.map(np.array([(left, top), (right, top), (right, bottom), (left, bottom)]))
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    high, wide = (sides[1] + sides[3]) / 2, (sides[0] + sides[2]) / 2
    return int(np.clip(round(high), _SMALLEST, _TALLEST)), int(np.clip(round(wide), _SMALLEST, _WIDEST))


def _sample(grey: np.ndarray, places: np.ndarray) -> np.ndarray:
    return ndimage.map_coordinates(grey, [places[:, 1] - 0.5, places[:, 0] - 0.5], order=1, mode="nearest")


def _darkness(grey: np.ndarray) -> np.ndarray:
    """float32 (h, w): how much darker than the paper around, 0 to 1."""
    window = max(5, min(grey.shape) // 2)
    paper = ndimage.grey_closing(grey, (window, window)).astype(np.float32)
    return (paper - grey) / np.maximum(paper, 40)


def _rules(dark: np.ndarray, margin: int) -> tuple[list[Band], list[Band]]:
    """Rows, and columns, that rules of the example cover in a cut with `margin` around the field."""
    high, wide = (size - 2 * margin for size in dark.shape)
    inked = (dark > _DARK).astype(np.float32)
    along = ndimage.maximum_filter1d(inked, max(1, int(_GAP * high)) | 1, axis=1)[:, margin : margin + wide]
    down = inked[margin : margin + high]
    most = max(4, _THICK * high)
    low, end = margin + _EDGE * high, margin + (1 - _EDGE) * high  # strokes of a filled example lie between
    return (
        [
            band
            for band in _bands(along.mean(axis=1) > _ALONG)
            if band[1] - band[0] <= most and (band[1] <= low or band[0] >= end)
        ],
        [band for band in _bands(down.mean(axis=0) > _DOWN) if band[1] - band[0] <= most],
    )


def _bands(mask: np.ndarray) -> list[Band]:
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return [(int(low), int(high)) for low, high in zip(edges[::2], edges[1::2], strict=True)]


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


# How a form was read, as a picture: its fields over the photo, with what was read.

_INNER = drawing.WIDTH - 2 * drawing.MARGIN
_LONGEST = 1400  # pixels of the photo's height on the sheet


def explain_form(found: FilledForm, path: str) -> Image.Image:
    """A sheet, RGB, 800 pixels wide. found: with its picture. path: of the photo."""
    title = "standard input" if path == "-" else Path(path).name
    told = f"{found.form}: {len(found.fields)} fields, {len(found.doubtful)} of them to be looked at"
    blocks = [
        drawing.paragraph(title, 28, _INNER, colour=drawing.GREY),
        drawing.paragraph(told, 20, _INNER, colour=drawing.GREY),
        _draw(found),
    ]
    content = drawing.stack(blocks)
    whole = Image.new("RGB", (drawing.WIDTH, content.height + 2 * drawing.MARGIN), drawing.PAPER)
    whole.paste(content, (drawing.MARGIN, drawing.MARGIN))
    return whole


def _draw(found: FilledForm) -> Image.Image:
    if found.picture is None:
        return Image.new("RGB", (_INNER, 1), drawing.PAPER)
    photo = Image.fromarray(found.picture.pixels)
    ratio = min(_INNER / photo.width, _LONGEST / photo.height)
    photo = photo.resize((max(1, round(photo.width * ratio)), max(1, round(photo.height * ratio))))
    draw, scale = ImageDraw.Draw(photo), ratio / found.picture.scale
    for each in found.fields:
        colour = drawing.AMBER if each.doubtful else drawing.GREY if each.reason else drawing.GREEN
        corners = [(x * scale, y * scale) for x, y in each.corners]
        draw.polygon(corners, outline=colour, width=2)
        draw.text(corners[0], f"{each.name} {each.text}", fill=colour, anchor="lb", font=drawing.font(14))
    return photo
