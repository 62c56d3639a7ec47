"""Templates of a package -> a page in one file, in the common frame and style."""

from __future__ import annotations

import base64
import hashlib
import io
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup, escape
from PIL import Image

from tenfold.version import __version__

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.text import Text

__all__ = ["half_blocks"]


def render_page(template: str, context: Mapping[str, Any], *, script: str = "") -> str:
    """The page as HTML that asks the network for nothing and runs no script but `script`.

    template: a file of the folder `templates`. It extends "base.html.j2" and fills its blocks; its own rules,
    in the block `style`, follow the common ones.
    context: what the template shows; `contents`, pairs of (id, title), become the links at the top.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tenfold.show", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["rgb"] = "rgb({0[0]}, {0[1]}, {0[2]})".format
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    shared = {
        "version": __version__,
        "contents": (),
        "script": Markup(script),
        "script_hash": f"sha256-{digest}",
    }
    return environment.get_template(template).render(shared | dict(context))


# Figures as the report prints them: one form for each kind of quantity, an en dash where there is none.

NOTHING = "–"
_SPACE = "\u00a0"  # no line break between a number and its unit


def count(value: float | None) -> str:
    """10000 -> 10,000."""
    return NOTHING if value is None else f"{int(value):,}"


def percent(share: float | None, digits: int = 2) -> str:
    """0.9785 -> 97.85 %. A share short of 1 is never rounded up to 100 %."""
    if share is None or not math.isfinite(share):
        return NOTHING if share is None else "not a number"
    value = share * 100
    limit = 10**digits
    if share < 1:
        value = min(value, math.floor(100 * limit - 1) / limit)
    return f"{value:.{digits}f}{_SPACE}%"


def points(share: float | None) -> str:
    """A difference of two shares in percentage points: 0.012 -> +1.20 points."""
    return NOTHING if share is None else f"{_signed(share * 100, 2)}{_SPACE}points"


def decimal(value: float | None, digits: int = 4) -> str:
    """A loss: 0.0712; very large ones in powers of ten; nan and infinity in words."""
    if value is None:
        return NOTHING
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinite"
    return f"{value:.{digits}f}" if abs(value) < 1e5 else f"{value:.2e}"


def difference(value: float | None, digits: int = 4) -> str:
    """A signed loss difference: +0.0120, with a true minus sign."""
    return NOTHING if value is None else _signed(value, digits)


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


def times(shape: Sequence[int]) -> str:
    """(1, 28, 28) -> 1 × 28 × 28."""
    return f"{_SPACE}×{_SPACE}".join(f"{size:,}" for size in shape)


def _signed(value: float, digits: int) -> str:
    if not math.isfinite(value):
        return "not a number"
    sign = "" if round(value, digits) == 0 else "+" if value > 0 else "−"
    return f"{sign}{abs(value):,.{digits}f}"


# Arrays and pictures -> PNGs inside the page (data URIs).

LARGEST = 64  # pixels per side: larger pictures are shrunk, so that the file stays small
WARM, COOL = (214, 84, 28), (44, 116, 214)  # positive and negative


def png_uri(picture: Image.Image, **options: bytes) -> str:
    """The picture as a data URI. options: of Pillow's PNG writer."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True, **options)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def grey_picture(image: np.ndarray) -> str:
    """uint8 (H, W) -> a PNG's data URI."""
    return png_uri(_shrink(image))


def picture_row(images: np.ndarray, gap: int = 2) -> str:
    """uint8 (n, H, W) -> one PNG with the pictures side by side, `gap` transparent pixels between."""
    small = [np.asarray(_shrink(image)) for image in images]
    height, width = small[0].shape
    row = np.zeros((height, len(small) * (width + gap) - gap, 2), dtype=np.uint8)
    for i, image in enumerate(small):
        left = i * (width + gap)
        row[:, left : left + width, 0] = image
        row[:, left : left + width, 1] = 255
    return png_uri(Image.fromarray(row))


def signed_picture(values: np.ndarray, scale: float) -> str:
    """float (H, W) -> warm where positive, cool where negative, clear at 0, full at +-scale.

    Being clear at 0, the same picture is right on a light and on a dark page.
    """
    share = np.nan_to_num(values / scale if scale > 0 else np.zeros_like(values))
    index = (127 + np.rint(127 * np.clip(share, -1, 1))).astype(np.uint8)
    picture = Image.fromarray(index)
    steps = np.arange(-127, 129)
    palette = np.where(steps[:, None] > 0, WARM, COOL).astype(np.uint8)
    if max(picture.size) > LARGEST:
        picture.thumbnail((LARGEST, LARGEST), Image.Resampling.BOX)
    picture.putpalette(palette.tobytes())
    alpha = np.minimum(np.abs(steps) * 2, 255).astype(np.uint8)
    return png_uri(picture, transparency=alpha.tobytes())


def _shrink(image: np.ndarray) -> Image.Image:
    picture = Image.fromarray(np.ascontiguousarray(image))
    if max(picture.size) > LARGEST:
        picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return picture


# A matplotlib figure -> an SVG that takes its colours and its type from the page around it.
#
# Figures are drawn in stand-in colours, each of which is then replaced by a CSS variable of the page,
# so that one drawing is right in light, in dark and on paper.

# Stand-ins: colours near those of the light page, so that a figure saved by itself looks right too.
INK, MUTED, LINE = "#1b2431", "#566173", "#d8dde6"
ACCENT, SECOND, GOOD, BAD = "#1d5fc1", "#b8500f", "#177245", "#b4252f"

_VARIABLES = {
    INK: "var(--ink)", MUTED: "var(--muted)", LINE: "var(--line)", ACCENT: "var(--accent)",
    SECOND: "var(--second)", GOOD: "var(--good)", BAD: "var(--bad)",
}  # fmt: skip
_TAG = re.compile(r"<[^<>]+>")  # matplotlib escapes < and > in text, so these are tags alone
_COLOUR = re.compile("|".join(_VARIABLES))
_REFERENCE = re.compile(r'( id="|(?:xlink:)?href="#|url\(#)')


@contextmanager
def chart_style() -> Iterator[None]:
    """Settings under which the charts are made and saved; restored afterwards."""
    import matplotlib

    settings: dict[Any, Any] = {
        "svg.fonttype": "none", "svg.hashsalt": "tenfold", "text.parse_math": False, "font.size": 9,
        "text.color": INK, "axes.labelcolor": MUTED, "axes.edgecolor": LINE, "xtick.color": LINE,
        "ytick.color": LINE, "xtick.labelcolor": MUTED, "ytick.labelcolor": MUTED, "grid.color": LINE,
        "axes.facecolor": "none", "figure.facecolor": "none", "savefig.facecolor": "none",
        "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
        "legend.frameon": False, "figure.constrained_layout.use": True,
    }  # fmt: skip
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # Only the browser draws the letters; matplotlib merely measures them.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def figure_to_svg(figure: Figure, name: str, alt: str) -> Markup:
    """The figure as inline SVG. name: unique on the page, the prefix of the ids; alt: what it shows."""
    buffer = io.StringIO()
    with chart_style():
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    whole = buffer.getvalue()
    body = re.sub(
        r"<metadata>.*?</metadata>", "", whole[whole.index(">", whole.index("<svg ")) + 1 :], flags=re.S
    )
    body = _TAG.sub(lambda tag: _adapt(tag.group(), name), body)
    width, height = (round(float(size) * 72, 2) for size in figure.get_size_inches())
    opening = Markup(
        '<svg class="chart" role="img" aria-label="{}" viewBox="0 0 {} {}" style="width: {}px">'
    ).format(alt, width, height, round(width * 96 / 72))
    return opening + Markup(f"<title>{escape(alt)}</title>{body.strip()}")


def _adapt(tag: str, name: str) -> str:
    tag = _COLOUR.sub(lambda colour: _VARIABLES[colour.group()], tag)
    return _REFERENCE.sub(rf"\g<1>{name}-", tag).replace("xlink:href", "href")


# Pictures as lines of text for a terminal: half blocks, two pixels per character.

_HALVES = " ▀▄█"  # upper half lit: 1, lower half lit: 2


def half_blocks(image: np.ndarray, *, grey: bool) -> list[Text]:
    """uint8 (H, W) -> ceil(H / 2) lines of W characters.

    grey: each half in its own grey, for terminals with enough colours. Otherwise a half is lit that is
    brighter than the middle between the picture's darkest and its brightest pixel.
    """
    from rich.text import Text

    padded = np.pad(image, ((0, len(image) % 2), (0, 0)), constant_values=image.min(initial=255))
    if grey:
        return colour_blocks(np.repeat(padded[..., None], 3, axis=2))
    middle = (int(image.min()) + int(image.max())) / 2
    lit = (padded[::2] > middle) + 2 * (padded[1::2] > middle)
    return [Text("".join(_HALVES[value] for value in line)) for line in lit.tolist()]


def colour_blocks(pixels: np.ndarray) -> list[Text]:
    """uint8 RGB (H, W, 3) -> ceil(H / 2) lines of W characters, each half in its own colour; black below."""
    from rich.text import Text

    lines = []
    padded = np.pad(pixels, ((0, len(pixels) % 2), (0, 0), (0, 0)))
    for upper, lower in zip(padded[::2].tolist(), padded[1::2].tolist(), strict=True):
        line = Text()
        for top, bottom in zip(upper, lower, strict=True):
            line.append("▀", style=f"rgb({_rgb(top)}) on rgb({_rgb(bottom)})")
        lines.append(line)
    return lines


def _rgb(colour: list[int]) -> str:
    return ",".join(map(str, colour))
