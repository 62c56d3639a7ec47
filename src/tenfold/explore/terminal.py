"""An Exploration on a terminal, or in a file of plain text: at 80 columns, with or without colours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tenfold.explore.blocks import bar, number_lines, shrink, skyline, stretch
from tenfold.explore.look import ClassLook, Exploration
from tenfold.explore.record import Record
from tenfold.explore.words import count_of, duplicate_sentences, group_line, imbalance_sentence, pixel_rows
from tenfold.pages.blocks import half_blocks

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["print_exploration", "print_record"]

_WIDTH = 80  # columns of a file or a pipe
_SIDE, _GAP = 14, 2  # of the pictures in the overview
_MOST = 12  # classes whose pictures are shown; of more, the smallest and the largest
_GROUPS = 6  # groups of duplicates that are listed
_NAME = 18  # columns of a class's name
_ASCII = str.maketrans("█▀▄▏▎▍▌▋▊▉▁▂▃▅▆▇·…", "#'....####__--==.~")


def print_exploration(exploration: Exploration, console: Console) -> None:
    """Everything but the pictures of duplicates, which the page has."""
    height, width = exploration.dataset.image_shape
    splits = [f"{count:,} {name}" for name, count in exploration.parts.items() if name != "all"]
    told = f" ({', '.join(splits)})" if splits else ""
    size = f"images{told} of {height} x {width} pixels in {len(exploration.classes)} classes"
    _print([f"{exploration.dataset.name}: {len(exploration.dataset):,} {size}"], console, bold=True)
    if exploration.dataset.note:
        _print([exploration.dataset.note], console)
    for title, lines in (
        ("Classes", _class_lines(exploration, min(_WIDTH, console.width))),
        ("Pixels", _pixel_lines(exploration)),
        ("Duplicates", _duplicate_lines(exploration)),
        ("What they look like", _picture_lines(exploration, _grey(console))),
    ):
        _print(["", title], console, bold=True)
        _print(lines, console)


def print_record(record: Record, console: Console) -> None:
    """One image as a picture of block characters, and as numbers."""
    image = record.image
    height, width = image.shape
    _print([f"{record.title}: label {record.label}"], console, bold=True)
    values = f"{image.min()} to {image.max()}, mean {image.mean():.1f}, standard deviation {image.std():.1f}"
    _print([f"{height} x {width} pixels, {values}", ""], console)
    _print(half_blocks(shrink(image, _WIDTH), grey=_grey(console)), console)
    # A pipe is as wide as it needs to be; on a terminal the table is cut where the window ends.
    columns = console.width if console.is_terminal else 5 * width + 8
    _print(["", *number_lines(image, columns)], console)


def _print(lines: Iterable[str | Text], console: Console, *, bold: bool = False) -> None:
    for line in lines:
        shown = _spell(str(line)) if console.options.ascii_only else line
        console.print(shown, markup=False, style="bold" if bold else None)


def _spell(text: str) -> str:
    """In ASCII, for an output that knows no block characters."""
    return text.translate(_ASCII).encode("ascii", "replace").decode("ascii")


def _grey(console: Console) -> bool:
    return console.color_system in ("truecolor", "256") and not console.options.ascii_only


def _short(name: str, length: int = _NAME) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"


def _class_lines(exploration: Exploration, columns: int) -> Iterator[str]:
    name_width = max(5, *(len(_short(look.name)) for look in exploration.classes))
    parts = [name for name in exploration.parts if name != "all"]
    if len(parts) < 2:
        parts = []
    heads = [f"{name:>8}" for name in ("images", *parts)]
    width = max(0, columns - name_width - 9 * len(heads) - 10)
    yield f"{'class':<{name_width}} {' '.join(heads)}    share"
    most = max(int(look.count) for look in exploration.classes)
    for number, look in enumerate(exploration.classes):
        cells = [look.count, *(exploration.counts[:, number] if parts else ())]
        counts = " ".join(f"{int(count):>8,}" for count in cells)
        share = 100 * look.count / len(exploration.dataset)
        yield f"{_short(look.name):<{name_width}} {counts} {share:>6.2f} % {bar(look.count / most, width)}"
    yield from imbalance_sentence(exploration).split("; ")


def _pixel_lines(exploration: Exploration) -> Iterator[str]:
    for name, value in pixel_rows(exploration.pixels):
        yield f"{name:<20} {value}"
    yield f"{'values 0 to 255':<20} |{skyline(exploration.pixels.histogram, 56)}|"
    yield f"{'':<20} how often each occurs, on a logarithmic scale"


def _duplicate_lines(exploration: Exploration) -> Iterator[str]:
    yield from duplicate_sentences(exploration)
    groups = exploration.groups
    for group in groups[:_GROUPS]:
        yield "  " + group_line(exploration, group)
    if len(groups) > _GROUPS:
        yield f"  and {len(groups) - _GROUPS:,} more groups: see --html or --json"


def _picture_lines(exploration: Exploration, grey: bool) -> Iterator[Text | str]:
    yield "  ".join(
        f"{name:<{_SIDE}}" for name in ("mean", "spread", "typical", "unusual", "random")
    ).rstrip()
    shown = _shown_classes(exploration.classes)
    for look in shown:
        yield f"{look.name}: {count_of(look.count, 'image')}, {100 * look.ink:.1f} % ink"
        if look.count:
            yield from _side_by_side(_five(exploration, look), grey)
    if len(shown) < len(exploration.classes):
        yield f"the {_MOST // 2} smallest and largest of {len(exploration.classes)} classes; all: see --html"


def _shown_classes(classes: Sequence[ClassLook]) -> list[ClassLook]:
    if len(classes) <= _MOST:
        return list(classes)
    order = sorted(range(len(classes)), key=lambda number: classes[number].count)
    chosen = order[: _MOST // 2] + order[-(_MOST // 2) :]
    return [classes[number] for number in sorted(chosen)]


def _five(exploration: Exploration, look: ClassLook) -> list[np.ndarray | None]:
    images = exploration.dataset.images
    rows = [kind[0] if len(kind) else None for kind in (look.typical, look.unusual, look.random)]
    return [stretch(look.mean), stretch(look.spread), *(None if row is None else images[row] for row in rows)]


def _side_by_side(images: Sequence[np.ndarray | None], grey: bool) -> Iterator[Text]:
    from rich.text import Text

    small = [None if image is None else shrink(image, _SIDE) for image in images]
    blocks = [[] if image is None else half_blocks(image, grey=grey) for image in small]
    for number in range(max(map(len, blocks))):
        line = Text()
        for block in blocks:
            cell = block[number] if number < len(block) else Text()
            line.append_text(cell)
            line.append(" " * (_SIDE + _GAP - len(cell)))
        line.rstrip()
        yield line
