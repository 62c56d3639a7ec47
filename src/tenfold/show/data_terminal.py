"""An Exploration on a terminal, or in a file of plain text: at 80 columns, with or without colours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tenfold.explore.duplicates import NEAR, DuplicateGroup
from tenfold.explore.look import ClassLook, Exploration, PixelStatistics, Record
from tenfold.show.components import half_blocks

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["print_exploration", "print_record", "shrink"]

# What an Exploration says in words, the same on the terminal and on the page.

_NAMED = 4  # images of a group that are named one by one


def count_of(number: int, what: str, plural: str = "") -> str:
    """ "1 group", "1,200 groups"."""
    return f"{number:,} {what if number == 1 else plural or what + 's'}"


def name_row(exploration: Exploration, row: int) -> str:
    """ "test 17", or "17" where there is one part; "test 7/scan 12.png" where it came from a file."""
    part, index = exploration.place(row)
    files = exploration.dataset.files
    name = files[row] if files else str(index)
    return f"{part} {name}" if len(exploration.parts) > 1 else name


def imbalance_sentence(exploration: Exploration) -> str:
    smallest, largest = exploration.extremes
    guess = f"who always says {largest.name!r} is right in {100 * largest.count / _images(exploration):.1f} %"
    if exploration.imbalance is None:
        empty = sum(look.count == 0 for look in exploration.classes)
        return f"{count_of(empty, 'class has', 'classes have')} no images; {guess}"
    if exploration.imbalance == 1:
        return f"all classes have {count_of(smallest.count, 'image')} each; {guess}"
    return (
        f"largest {largest.name!r} ({largest.count:,}), smallest {smallest.name!r} ({smallest.count:,}): "
        f"{exploration.imbalance:.2f} to 1; {guess}"
    )


def _images(exploration: Exploration) -> int:
    return len(exploration.dataset)


def pixel_rows(pixels: PixelStatistics) -> list[tuple[str, str]]:
    """(name, value) of what is known of all pixels."""
    return [
        ("smallest, largest", f"{pixels.low}, {pixels.high}"),
        ("mean", f"{pixels.mean:.2f} of 255 = {pixels.mean / 255:.4f}"),
        ("standard deviation", f"{pixels.std:.2f} of 255 = {pixels.std / 255:.4f}"),
        ("ink, above 0", f"{100 * pixels.ink:.2f} % of the pixels"),
        ("bright, 128 and more", f"{100 * pixels.bright:.2f} % of the pixels"),
    ]


def duplicate_sentences(exploration: Exploration) -> list[str]:
    """One of equal images, one of near ones, and what follows for who trains on them."""
    found = exploration.duplicates
    lines = [f"equal: {_groups_told(exploration, found.exact)}"]
    if found.near is None:
        lines.append("near: not looked for (--duplicates does)")
    else:
        lines.append(f"near (correlation of at least {NEAR}): {_groups_told(exploration, found.near)}")
    if found.groups and "test" not in exploration.parts:
        lines.append("a part that is held out at random would hold copies of what is trained on")
    return lines


def _groups_told(exploration: Exploration, groups: tuple[DuplicateGroup, ...]) -> str:
    if not groups:
        return "none"
    images = sum(len(group.rows) for group in groups)
    chosen = set(map(id, groups))
    crossing = sum(id(group) in chosen for group in exploration.duplicates.crossing())
    conflicts = sum(id(group) in chosen for group in exploration.conflicts)
    told = [f"{count_of(images, 'image')} in {count_of(len(groups), 'group')}"]
    if len(exploration.parts) > 1:
        told.append(f"{crossing:,} across {' and '.join(exploration.parts)}")
    return ", ".join([*told, f"{conflicts:,} labelled differently"])


def group_line(exploration: Exploration, group: DuplicateGroup) -> str:
    """Its images with their labels, and how alike they are."""
    rows = group.rows.tolist()
    names = [f"{name_row(exploration, row)} ({exploration.label(row)})" for row in rows[:_NAMED]]
    more = f" and {len(rows) - _NAMED:,} more" if len(rows) > _NAMED else ""
    return f"{', '.join(names)}{more}: {alike_words(exploration, group)}"


def alike_words(exploration: Exploration, group: DuplicateGroup) -> str:
    """How alike the images of a group are, where they lie, and whether their labels agree."""
    rows = group.rows.tolist()
    told = ["equal" if group.likeness == 1 else f"correlation {group.likeness:.3f}"]
    if len({exploration.place(row)[0] for row in rows}) > 1:
        told.append(f"across {' and '.join(exploration.parts)}")
    if len({exploration.label(row) for row in rows}) > 1:
        told.append("labelled differently")
    return ", ".join(told)


# Bars and numbers as lines of text, and the pictures for them.

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_STEPS = " ▁▂▃▄▅▆▇█"


def shrink(image: np.ndarray, side: int) -> np.ndarray:
    """uint8 (H, W) -> at most `side` pixels high and wide, each the mean of what it covers."""
    factor = max(*image.shape, side) / side
    size = [max(1, round(length / factor)) for length in image.shape]
    if size == list(image.shape):
        return image
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BOX))


def stretch(values: np.ndarray) -> np.ndarray:
    """float (H, W) of 0 and more -> uint8, the largest 255."""
    return np.rint(values * (255 / max(float(values.max()), 1e-9))).astype(np.uint8)


def bar(share: float, width: int) -> str:
    """A bar of share * width characters, to an eighth of one; at least an eighth where there is anything."""
    eighths = max(round(share * width * 8), share > 0)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def skyline(values: np.ndarray, columns: int) -> str:
    """One line of columns, their heights the logarithms of values (N,) summed to `columns` numbers."""
    sums = np.add.reduceat(values, np.arange(columns) * len(values) // columns)
    heights = np.log1p(sums) / np.log1p(max(int(sums.max()), 1))
    return "".join(_STEPS[int(np.ceil(8 * height))] for height in heights)


def number_lines(image: np.ndarray, width: int) -> list[str]:
    """uint8 (H, W) -> its pixels as numbers, rows and columns numbered, 0 as a dot so that the shape shows.

    Where a row does not fit into `width` characters it goes on below: in as many tables as are needed.
    """
    cell, margin = 4, len(str(len(image) - 1)) + 1
    fit = max(1, (width - margin) // cell)
    lines: list[str] = []
    for left in range(0, image.shape[1], fit):
        part = image[:, left : left + fit]
        lines += [""] * bool(lines)
        lines.append(" " * margin + _cells(range(left, left + part.shape[1])))
        for number, row in enumerate(part.tolist()):
            lines.append(f"{number:>{margin - 1}} " + _cells([value or "·" for value in row]))
    return lines


def _cells(values: Sequence[object] | range) -> str:
    return "".join(f"{value:>4}" for value in values)


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
