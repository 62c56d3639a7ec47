"""The misses of a reader on one small sheet: picture, label, what was read, what the network saw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from answers import Answer
from PIL import Image, ImageDraw, ImageFont, ImageOps

__all__ = ["draw_misses"]

_MOST_BYTES = 600_000
_SIDES = (140, 112, 88, 64)  # pixels of a picture on the sheet, tried until the file is small enough
_COLUMNS, _WIDE = 10, 3  # a field takes the room of three
_MOST = 240
_PAGE, _TEXT, _BOX = (250, 250, 248), (30, 30, 30), (210, 40, 40)


def draw_misses(answers: Sequence[Answer], path: Path) -> int:
    """Writes the sheet, under 600 KB, and says how many stand on it: all, or the first 240."""
    shown = answers[:_MOST]
    for side in _SIDES:
        _sheet(shown, side).quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= _MOST_BYTES:
            break
    return len(shown)


def _sheet(answers: Sequence[Answer], side: int) -> Image.Image:
    """Tiles from left to right, a new row where the kind changes or the row is full."""
    height = side + 28 + 32  # picture, framed marks, two lines of words
    places, column, row = [], 0, 0
    for index, answer in enumerate(answers):
        wide = _WIDE if answer.case.kind == "field" else 1
        fresh = index > 0 and answer.case.kind != answers[index - 1].case.kind
        if column + wide > _COLUMNS or fresh:
            column, row = 0, row + 1
        places.append((column * (side + 8) + 8, row * height + 8))
        column += wide
    sheet = Image.new("RGB", (_COLUMNS * (side + 8) + 8, (row + 1) * height + 8), _PAGE)
    for answer, place in zip(answers, places, strict=True):
        wide = _WIDE if answer.case.kind == "field" else 1
        _draw_tile(sheet, answer, place, side, wide * (side + 8) - 8)
    return sheet


def _draw_tile(sheet: Image.Image, answer: Answer, place: tuple[int, int], side: int, width: int) -> None:
    x, y = place
    picture = _picture(answer, (width, side - 4))
    sheet.paste(picture, (x, y))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=11)
    name = f"{answer.case.kind} {Path(answer.case.name).stem}"
    said = f"{answer.case.label} read {answer.text!r}".replace("\\n", "/")
    if "?" in answer.text:
        said += f" ({answer.forced})"
    draw.text((x, y + side - 2), name, fill=_TEXT, font=font)
    draw.text((x, y + side + 11), said, fill=_BOX, font=font)
    for i, mark in enumerate(answer.marks[: width // 30]):
        if mark.image is not None:
            sheet.paste(Image.fromarray(mark.image), (x + 30 * i, y + side + 26))


def _picture(answer: Answer, size: tuple[int, int]) -> Image.Image:
    """The picture as a person sees it, with the boxes of its marks."""
    with Image.open(answer.case.path) as opened:
        upright = ImageOps.exif_transpose(opened).convert("RGBA")
    grey = Image.new("RGBA", upright.size, (150, 155, 165, 255))
    picture = Image.alpha_composite(grey, upright).convert("RGB")
    scale = min(size[0] / picture.width, size[1] / picture.height)
    picture = picture.resize((max(1, int(picture.width * scale)), max(1, int(picture.height * scale))))
    draw = ImageDraw.Draw(picture)
    for mark in answer.marks:
        if mark.box is not None:
            draw.rectangle([round(edge * scale) for edge in mark.box], outline=_BOX)
    return picture
