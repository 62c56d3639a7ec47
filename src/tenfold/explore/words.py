"""What an Exploration says in words, the same on the terminal and on the page."""

from __future__ import annotations

from tenfold.explore.duplicates import DuplicateGroup
from tenfold.explore.likeness import NEAR
from tenfold.explore.look import Exploration, PixelStatistics

__all__ = [
    "alike_words",
    "count_of",
    "duplicate_sentences",
    "group_line",
    "imbalance_sentence",
    "name_row",
    "pixel_rows",
]

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
