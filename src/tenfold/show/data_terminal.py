"""An Exploration in words, and on a terminal or in a file of plain text: at 80 columns, with or without
colours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np

from tenfold.arrays import grey_pixels
from tenfold.show.components import count_of, half_blocks, shorten, stretch

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from tenfold.explore.look import Exploration, Record


# What an Exploration says in words, the same on the terminal and on the page.

_NAMED = 4  # images of a group that are named one by one


def name_row(exploration: Exploration, row: int) -> str:
    """ "test 17", or "17" where there is one part; "test 7/scan 12.png" where it came from a file."""
    part, index = exploration.place(row)
    files = exploration.dataset.files
    name = files[row] if files else str(index)
    return f"{part} {name}" if len(exploration.parts) > 1 else name


def imbalance_sentence(exploration: Exploration) -> str:
    smallest, largest = exploration.extremes
    share = 100 * largest.count / len(exploration.dataset)
    guess = f"who always says {largest.name!r} is right in {share:.1f} %"
    if exploration.imbalance is None:
        empty = sum(look.count == 0 for look in exploration.classes)
        return f"{count_of(empty, 'class has', 'classes have')} no images; {guess}"
    if exploration.imbalance == 1:
        return f"all classes have {count_of(smallest.count, 'image')} each; {guess}"
    return (
        f"largest {largest.name!r} ({largest.count:,}), smallest {smallest.name!r} ({smallest.count:,}): "
        f"{exploration.imbalance:.2f} to 1; {guess}"
    )


def pixel_rows(exploration: Exploration) -> list[tuple[str, str]]:
    """(name, value) of what is known of all pixels."""
    pixels = exploration.pixels
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
    lines = [f"equal: {_groups_told(exploration, 'exact')}"]
    if found.near is None:
        lines.append("near: not looked for (--duplicates does)")
    else:
        told = _groups_told(exploration, "near")
        lines.append(f"near (correlation of at least {found.threshold}): {told}")
    if found.groups and "test" not in exploration.parts:
        lines.append("a part that is held out at random would hold copies of what is trained on")
    return lines


def _groups_told(exploration: Exploration, kind: str) -> str:
    rows = [group.rows for group in getattr(exploration.duplicates, kind)]
    if not rows:
        return "none"
    told = [f"{count_of(sum(map(len, rows)), 'image')} in {count_of(len(rows), 'group')}"]
    if len(exploration.parts) > 1:
        crossing = sum(exploration.duplicates.crosses(each) for each in rows)
        told.append(f"{crossing:,} across {' and '.join(exploration.parts)}")
    conflicts = sum(exploration.conflicts_in(each) for each in rows)
    return ", ".join([*told, f"{conflicts:,} labelled differently"])


def group_line(exploration: Exploration, rows: np.ndarray, likeness: float) -> str:
    """Its images with their labels, and how alike they are."""
    names = [f"{name_row(exploration, row)} ({exploration.label(row)})" for row in rows[:_NAMED].tolist()]
    more = f" and {len(rows) - _NAMED:,} more" if len(rows) > _NAMED else ""
    return f"{', '.join(names)}{more}: {alike_words(exploration, rows, likeness)}"


def alike_words(exploration: Exploration, rows: np.ndarray, likeness: float) -> str:
    """How alike the images of a group are, where they lie, and whether their labels agree."""
    told = ["equal" if likeness == 1 else f"correlation {likeness:.3f}"]
    if len({exploration.place(row)[0] for row in rows.tolist()}) > 1:
        told.append(f"across {' and '.join(exploration.parts)}")
    if exploration.conflicts_in(rows):
        told.append("labelled differently")
    return ", ".join(told)


# Bars and numbers as lines of text.

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_STEPS = " ▁▂▃▄▅▆▇█"


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
        lines.append(" " * margin + "".join(f"{column:>4}" for column in range(left, left + part.shape[1])))
        for number, row in enumerate(part.tolist()):
            lines.append(f"{number:>{margin - 1}} " + "".join(f"{value or '·':>4}" for value in row))
    return lines


_WIDTH = 80  # columns of a file or a pipe
_SIDE, _GAP = 14, 2  # of the pictures in the overview
_MOST = 12  # classes whose pictures are shown; of more, the smallest and the largest
_GROUPS = 6  # groups of duplicates that are listed
_ASCII = str.maketrans("█▀▄▏▎▍▌▋▊▉▁▂▃▅▆▇·…", "#'....####__--==.~")


def print_exploration(exploration: Exploration, console: Console) -> None:
    """Everything but the pictures of duplicates, which the page has."""
    height, width = exploration.dataset.image_shape[:2]
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
    image = record.image if record.image.ndim == 2 else grey_pixels(record.image)
    height, width = image.shape
    _print([f"{record.title}: label {record.label}"], console, bold=True)
    values = f"{image.min()} to {image.max()}, mean {image.mean():.1f}, standard deviation {image.std():.1f}"
    _print([f"{height} x {width} pixels, {values}", ""], console)
    _print(half_blocks(record.image, grey=_grey(console), side=_WIDTH), console)
    # A pipe is as wide as it needs to be; on a terminal the table is cut where the window ends.
    columns = console.width if console.is_terminal else 5 * width + 8
    _print(["", *number_lines(image, columns)], console)


def _print(lines: Iterable[str | Text], console: Console, *, bold: bool = False) -> None:
    for line in lines:
        if console.options.ascii_only:  # which knows no block characters
            line = str(line).translate(_ASCII).encode("ascii", "replace").decode("ascii")
        console.print(line, markup=False, style="bold" if bold else None)


def _grey(console: Console) -> bool:
    return console.color_system in ("truecolor", "256") and not console.options.ascii_only


def _class_lines(exploration: Exploration, columns: int) -> Iterator[str]:
    name_width = max(5, *(len(shorten(look.name)) for look in exploration.classes))
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
        yield f"{shorten(look.name):<{name_width}} {counts} {share:>6.2f} % {bar(look.count / most, width)}"
    yield from imbalance_sentence(exploration).split("; ")


def _pixel_lines(exploration: Exploration) -> Iterator[str]:
    for name, value in pixel_rows(exploration):
        yield f"{name:<20} {value}"
    yield f"{'values 0 to 255':<20} |{skyline(exploration.pixels.histogram, 56)}|"
    yield f"{'':<20} how often each occurs, on a logarithmic scale"


def _duplicate_lines(exploration: Exploration) -> Iterator[str]:
    yield from duplicate_sentences(exploration)
    groups = exploration.groups
    for group in groups[:_GROUPS]:
        yield "  " + group_line(exploration, group.rows, group.likeness)
    if len(groups) > _GROUPS:
        yield f"  and {len(groups) - _GROUPS:,} more groups: see --html or --json"


def _picture_lines(exploration: Exploration, grey: bool) -> Iterator[Text | str]:
    """Of each class the mean, the spread, and the first example of each kind."""
    from rich.text import Text

    kinds = ("mean", "spread", "typical", "unusual", "random")
    yield "  ".join(f"{name:<{_SIDE}}" for name in kinds).rstrip()
    classes = exploration.classes
    order = sorted(range(len(classes)), key=lambda number: classes[number].count)
    shown = order if len(order) <= _MOST else order[: _MOST // 2] + order[-(_MOST // 2) :]
    for look in (classes[number] for number in sorted(shown)):
        yield f"{look.name}: {count_of(look.count, 'image')}, {100 * look.ink:.1f} % ink"
        first = [exploration.dataset.images[rows[:1]] for rows in look.examples.values()]
        images = [stretch(look.mean)[None], stretch(look.spread)[None], *first] if look.count else []
        blocks = [half_blocks(each[0], grey=grey, side=_SIDE) if len(each) else [] for each in images]
        for cells in zip_longest(*blocks, fillvalue=Text()):
            line = Text()
            for cell in cells:
                line.append_text(cell)
                line.append(" " * (_SIDE + _GAP - len(cell)))
            line.rstrip()
            yield line
    if len(shown) < len(classes):
        yield f"the {_MOST // 2} smallest and largest of {len(classes)} classes; all: see --html"
