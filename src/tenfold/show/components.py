"""The parts that all pages share: the frame, numbers as text, pictures inside a page and on a terminal."""

from __future__ import annotations

import base64
import hashlib
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tenfold.arrays import grey_pixels, image_place
from tenfold.show import terminal
from tenfold.version import __version__

if TYPE_CHECKING:
    from rich.text import Text


WARM, COOL = (214, 84, 28), (44, 116, 214)  # positive and negative


def render_page(template: str, context: Mapping[str, Any]) -> str:
    """The page as HTML that asks the network for nothing and runs no script but its own.

    template: a file of the folder `templates`. It extends "base.html.j2" and fills its blocks; its own rules,
    in the block `style`, follow the common ones. Numbers and pictures are written with the filters below.
    context: what the template shows; `contents`, pairs of (id, title), become the links at the top.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tenfold.show", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    filters = (
        count, count_of, percent, probability, interval, points, decimal, difference, short, duration, times,
        figure, shorten, math.prod, grey_picture, picture_row, stretch,
    )  # fmt: skip
    environment.filters |= {each.__name__: each for each in filters}
    environment.filters |= {"rgb": "rgb({0[0]}, {0[1]}, {0[2]})".format, "digest": _digest}
    environment.globals |= {"version": __version__, "contents": (), "warm": WARM, "cool": COOL}
    return environment.get_template(template).render(context)


def _digest(script: str) -> str:
    """By which the page's policy knows the script that may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


# Numbers as the pages print them: one form for each kind of quantity, an en dash where there is none.

NOTHING = "–"
_SPACE = "\u00a0"  # no line break between a number and its unit


def count(value: float | None) -> str:
    """10000 -> 10,000."""
    return NOTHING if value is None else f"{int(value):,}"


def count_of(number: int, what: str, plural: str = "") -> str:
    """ "1 group", "1,200 groups"."""
    return f"{number:,} {what if number == 1 else plural or what + 's'}"


def percent(share: float | None, digits: int = 2) -> str:
    """As on a terminal, with this page's sign for nothing, and no line break before the unit."""
    return NOTHING if share is None else terminal.percent(share, digits).replace(" %", f"{_SPACE}%")


def probability(share: float) -> str:
    """ "98.7 %", of an answer; never a full hundred, which no network can know, and never nothing."""
    if share >= 0.9995:
        return "over 99.9 %"
    return f"{100 * share:.1f} %" if share >= 0.0005 else "under 0.1 %"


def interval(bounds: Iterable[float] | None, digits: int = 2) -> str:
    """(0.9, 0.95) -> 90.00 % to 95.00 %; "" where there is none."""
    return " to ".join(percent(bound, digits) for bound in bounds or ())


def points(share: float | None) -> str:
    """A difference of two shares in percentage points: 0.012 -> +1.20 points."""
    return NOTHING if share is None else f"{difference(share * 100, 2)}{_SPACE}points"


def decimal(value: float | None, digits: int = 4) -> str:
    """A loss: 0.0712; very large ones in powers of ten; nan and infinity in words."""
    if value is None:
        return NOTHING
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite"
    return f"{value:.{digits}f}" if abs(value) < 1e5 else f"{value:.2e}"


def difference(value: float | None, digits: int = 4) -> str:
    """A signed difference: +0.0120, with a true minus sign."""
    if value is None or not math.isfinite(value):
        return NOTHING if value is None else "not a number"
    sign = "" if round(value, digits) == 0 else "+" if value > 0 else "−"
    return f"{sign}{abs(value):,.{digits}f}"


def short(value: float | None) -> str:
    """Three significant digits, as for learning rates: 0.003, 1e-05."""
    return NOTHING if value is None else f"{value:.3g}"


def duration(seconds: float | None) -> str:
    """38 ms; 12.3 s; 2 min 5 s; 1 h 3 min."""
    if seconds is None:
        return NOTHING
    if seconds < 0.95:
        return f"{seconds * 1000:.0f}{_SPACE}ms"
    if seconds < 59.95:
        return f"{seconds:.1f}{_SPACE}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}{_SPACE}min {whole % 60}{_SPACE}s"
    return f"{whole // 3600}{_SPACE}h {whole % 3600 // 60}{_SPACE}min"


_FORMS: dict[str, Callable[[Any], str]] = {
    "accuracy": percent, "loss": decimal, "parameters": count, "epochs": count, "seconds": duration,
}  # fmt: skip


def figure(value: Any, name: str) -> str:
    """A figure of a run by its name: val_accuracy in per cent, test_loss as it is."""
    return NOTHING if value is None else _FORMS.get(name.rpartition("_")[2], str)(value)


def times(shape: Sequence[int]) -> str:
    """(1, 28, 28) -> 1 × 28 × 28."""
    return f"{_SPACE}×{_SPACE}".join(f"{size:,}" for size in shape)


def shorten(name: str, limit: int = 18) -> str:
    return name if len(name) <= limit else name[: limit - 1] + "…"


# Arrays and pictures -> PNGs inside the page (data URIs).

LARGEST = 64  # pixels per side: larger pictures are shrunk, so that the file stays small


def png_uri(picture: Image.Image, **options: bytes) -> str:
    """The picture as a data URI. options: of Pillow's PNG writer."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True, **options)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def grey_picture(image: np.ndarray) -> str:
    """uint8 (H, W) or (H, W, 3) -> a PNG's data URI."""
    return png_uri(_thumbnail(image))


def picture_row(images: np.ndarray, gap: int = 2) -> str:
    """uint8 (n, H, W) or (n, H, W, 3) -> one PNG with the pictures side by side, `gap` transparent pixels
    between."""
    mode = "LA" if np.ndim(images[0]) == 2 else "RGBA"
    small = np.stack([np.asarray(_thumbnail(image).convert(mode)) for image in images])
    cells = np.pad(small, ((0, 0), (0, 0), (0, gap), (0, 0)))
    row = np.concatenate(list(cells), axis=1)
    return png_uri(Image.fromarray(np.ascontiguousarray(row[:, : row.shape[1] - gap])))


def signed_picture(values: np.ndarray, scale: float) -> str:
    """float (H, W) -> warm where positive, cool where negative, clear at 0, full at +-scale.

    Being clear at 0, the same picture is right on a light and on a dark page.
    """
    share = np.nan_to_num(values / scale if scale > 0 else np.zeros_like(values))
    picture = _thumbnail((127 + np.rint(127 * np.clip(share, -1, 1))).astype(np.uint8), Image.Resampling.BOX)
    steps = np.arange(-127, 129)
    picture.putpalette(np.where(steps[:, None] > 0, WARM, COOL).astype(np.uint8).tobytes())
    alpha = np.minimum(np.abs(steps) * 2, 255).astype(np.uint8)
    return png_uri(picture, transparency=alpha.tobytes())


def _thumbnail(image: np.ndarray, resampling: Image.Resampling = Image.Resampling.LANCZOS) -> Image.Image:
    picture = Image.fromarray(np.ascontiguousarray(image))
    if max(picture.size) > LARGEST:
        picture.thumbnail((LARGEST, LARGEST), resampling)
    return picture


def picture_items(
    index: np.ndarray, files: Sequence[str], pictures: Mapping[int, np.ndarray], **columns: Iterable[Any]
) -> list[dict[str, Any]]:
    """The images of a strip: the place of each in its data set, its picture (None without) and the columns.

    files: of every image of the data set, or none. pictures: uint8 (H, W) by place.
    """
    return [
        image_place(place, files) | {"picture": pictures.get(place)} | dict(zip(columns, values, strict=True))
        for place, *values in zip(index.tolist(), *columns.values(), strict=True)
    ]


# Pictures as lines of text for a terminal: half blocks, two pixels per character.

_HALVES = " ▀▄█"  # upper half lit: 1, lower half lit: 2


def shrink(image: np.ndarray, side: int) -> np.ndarray:
    """uint8 (H, W) or (H, W, 3) -> at most `side` pixels high and wide, each the mean of what it covers."""
    factor = max(*image.shape[:2], side) / side
    height, width = (max(1, round(length / factor)) for length in image.shape[:2])
    if (height, width) == image.shape[:2]:
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BOX))


def stretch(values: np.ndarray) -> np.ndarray:
    """float, of any shape, of 0 and more -> uint8, the largest 255."""
    return np.rint(values * (255 / max(float(values.max()), 1e-9))).astype(np.uint8)


def half_blocks(image: np.ndarray, *, grey: bool, side: int | None = None) -> list[Text]:
    """uint8 (H, W) or (H, W, 3) -> ceil(H / 2) lines of W characters.

    grey: each half in its own grey or colour, for terminals with enough of them. Otherwise a half is lit that
    is brighter than the middle between the picture's darkest and its brightest pixel. side: see `shrink`.
    """
    from rich.text import Text

    image = image if side is None else shrink(image, side)
    if image.ndim == 3:
        if grey:
            return colour_blocks(image)
        image = grey_pixels(image)
    padded = np.pad(image, ((0, len(image) % 2), (0, 0)), constant_values=image.min(initial=255))
    if grey:
        return colour_blocks(np.repeat(padded[..., None], 3, axis=2))
    middle = (int(image.min()) + int(image.max())) / 2
    lit = (padded[::2] > middle) + 2 * (padded[1::2] > middle)
    return [Text("".join(_HALVES[value] for value in line)) for line in lit.tolist()]


def colour_blocks(pixels: np.ndarray) -> list[Text]:
    """uint8 RGB (H, W, 3) -> ceil(H / 2) lines of W characters, each half in its own colour; black below."""
    from rich.text import Text

    padded = np.pad(pixels, ((0, len(pixels) % 2), (0, 0), (0, 0)))
    style = "rgb({},{},{}) on rgb({},{},{})".format
    return [
        Text.assemble(*(("▀", style(*top, *bottom)) for top, bottom in zip(upper, lower, strict=True)))
        for upper, lower in zip(padded[::2].tolist(), padded[1::2].tolist(), strict=True)
    ]
