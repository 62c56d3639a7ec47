"""The misses of a reader as contact sheets: each picture with its label, the answer and its confidence."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from answers import Answer
from PIL import Image, ImageDraw, ImageFont, ImageOps

__all__ = ["draw_misses", "find_misses"]

_COLUMNS, _ROWS = 8, 24  # tiles of a sheet; of wide ones, a quarter as many columns
_SIDE, _GAP, _LINE = 150, 8, 14  # pixels
_LONG = 12  # digits of a label from which tiles are wide
_PAGE, _TEXT, _WRONG, _REFUSED = (250, 250, 248), (30, 30, 30), (200, 30, 30), (150, 100, 0)
_GROUND = (150, 155, 165, 255)  # behind transparent pictures


def find_misses(answers: Sequence[Answer]) -> list[Answer]:
    """What was not right: wrong answers first, then refused ones."""
    return sorted((a for a in answers if not a.right), key=lambda a: (a.refused, a.case.name))


def draw_misses(answers: Mapping[str, Sequence[Answer]], folder: Path) -> list[Path]:
    """Writes KIND.png, KIND-2.png, ... for each kind that has misses; returns their paths.

    Real pictures are not free to share: the folder must lie outside the repository.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for kind, found in answers.items():
        misses = find_misses(found)
        wide = any(len(miss.case.label) > _LONG for miss in misses)
        columns = _COLUMNS // 4 if wide else _COLUMNS
        most = columns * _ROWS
        for page, start in enumerate(range(0, len(misses), most), start=1):
            path = folder / (f"{kind}.png" if page == 1 else f"{kind}-{page}.png")
            _sheet(misses[start : start + most], columns, wide).save(path, optimize=True)
            paths.append(path)
    return paths


def _sheet(answers: Sequence[Answer], columns: int, wide: bool) -> Image.Image:
    width = 4 * _SIDE + 3 * _GAP if wide else _SIDE
    picture, lines = (2 * _SIDE, 9) if wide else (_SIDE * 2 // 3, 4)
    height = picture + lines * _LINE
    rows = -(-len(answers) // columns)
    size = columns * (width + _GAP) + _GAP, rows * (height + _GAP) + _GAP
    sheet = Image.new("RGB", size, _PAGE)
    for place, answer in enumerate(answers):
        row, column = divmod(place, columns)
        corner = _GAP + column * (width + _GAP), _GAP + row * (height + _GAP)
        _draw_tile(sheet, answer, corner, (width, picture), lines)
    return sheet


def _draw_tile(
    sheet: Image.Image, answer: Answer, corner: tuple[int, int], size: tuple[int, int], lines: int
) -> None:
    x, y = corner
    sheet.paste(_picture(answer, size), corner)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=11)
    sure = "" if answer.confidence is None else f", {answer.confidence:.2f}"
    said = f"{answer.text or 'nothing'}" + (f" ({answer.forced})" if answer.refused and answer.forced else "")
    width = size[0] // 7  # characters
    told = [(Path(answer.case.name).stem + " is " + (answer.case.label or "not a digit"), _TEXT)]
    told += [(f"read {said}{sure}", _REFUSED if answer.refused else _WRONG)]
    if answer.case.note:
        told += [(answer.case.note, _TEXT)]
    at = 0
    for text, colour in told:
        for line in textwrap.wrap(text, width)[: lines - at]:
            draw.text((x, y + size[1] + _LINE * at), line, fill=colour, font=font)
            at += 1


def _picture(answer: Answer, size: tuple[int, int]) -> Image.Image:
    """The picture as a person sees it, as large as it fits."""
    case = answer.case
    with Image.open(case.path) if case.image is None else Image.fromarray(case.image) as opened:
        upright = ImageOps.exif_transpose(opened).convert("RGBA")
    ground = Image.new("RGBA", upright.size, _GROUND)
    return ImageOps.contain(Image.alpha_composite(ground, upright).convert("RGB"), size)
