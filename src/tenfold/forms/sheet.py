"""How a form was read, as a picture: its fields over the photo, with what was read."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

from tenfold.explain import sheet
from tenfold.forms.filled import FilledForm

__all__ = ["explain_form"]


_INNER = sheet.WIDTH - 2 * sheet.MARGIN
_LONGEST = 1400  # pixels of the photo's height on the sheet


def explain_form(found: FilledForm, path: str) -> Image.Image:
    """A sheet, RGB, 800 pixels wide. found: with its picture. path: of the photo."""
    title = "standard input" if path == "-" else Path(path).name
    told = f"{found.form}: {len(found.fields)} fields, {len(found.doubtful)} of them to be looked at"
    blocks = [
        sheet.paragraph(title, 28, _INNER, colour=sheet.GREY),
        sheet.paragraph(told, 20, _INNER, colour=sheet.GREY),
        _draw(found),
    ]
    content = sheet.stack(blocks)
    whole = Image.new("RGB", (sheet.WIDTH, content.height + 2 * sheet.MARGIN), sheet.PAPER)
    whole.paste(content, (sheet.MARGIN, sheet.MARGIN))
    return whole


def _draw(found: FilledForm) -> Image.Image:
    if found.picture is None:
        return Image.new("RGB", (_INNER, 1), sheet.PAPER)
    photo = Image.fromarray(found.picture.pixels)
    ratio = min(_INNER / photo.width, _LONGEST / photo.height)
    photo = photo.resize((max(1, round(photo.width * ratio)), max(1, round(photo.height * ratio))))
    draw, scale = ImageDraw.Draw(photo), ratio / found.picture.scale
    for each in found.fields:
        colour = sheet.AMBER if each.doubtful else sheet.GREY if each.reason else sheet.GREEN
        corners = [(x * scale, y * scale) for x, y in each.corners]
        draw.polygon(corners, outline=colour, width=2)
        draw.text(corners[0], f"{each.name} {each.text}", fill=colour, anchor="lb", font=sheet.font(14))
    return photo
