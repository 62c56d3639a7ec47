"""Explanations -> words, a page, a picture, or lines on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from tenfold.errors import UsageError
from tenfold.files import replace_file, write_text
from tenfold.pictures.drawing import Palette, Sheet
from tenfold.show.components import colour_blocks, png_uri, probability, render_page

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from tenfold.explain.explanation import Explanation, Subject


# In words: the answer, what comes next, which ink supports it, and what is like it.

_LEAST = 0.05  # of score: a part that says less is not named


def explain_verdict(explanation: Explanation) -> str:
    """ "4, 98.7 % sure", "4 or 9, not sure which (51.0 % / 47.0 %)", "not a digit (87.0 %)"."""
    digit, probs = explanation.prediction, explanation.probs
    winner, other = explanation.winner, explanation.runner_up
    if digit.verdict == "not a digit":
        return f"not a digit ({probability(probs[winner])}; most like {digit.label})"
    if digit.verdict == "unsure":
        pair = f"{probability(probs[winner])} / {probability(probs[other])}"
        return f"{explanation.called(winner)} or {explanation.called(other)}, not sure which ({pair})"
    return f"{digit.label}, {probability(digit.confidence)} sure"


def likeliest(explanation: Explanation, count: int = 3) -> str:
    """ "4 98.7 %   9 1.1 %   7 under 0.1 %"."""
    order = (-explanation.probs).argsort(kind="stable")[:count]
    return "   ".join(f"{explanation.names[k]} {probability(float(explanation.probs[k]))}" for k in order)


def tell_runner_up(explanation: Explanation) -> list[str]:
    """The counterfactual: the next answer, the ink that supports it, and what would be read without."""
    answer, other = explanation.called(explanation.winner), explanation.called(explanation.runner_up)
    lead = explanation.lead
    odds = exp(min(20.0, abs(lead) / explanation.temperature))
    first = (
        f"Next comes {other}, with {probability(float(explanation.probs[explanation.runner_up]))}: its score "
        f"is {abs(lead):.1f} {'lower' if lead >= 0 else 'higher'}"
    )
    if odds >= 2:
        likely = "less" if lead >= 0 else "more"
        first += f", which makes it {odds:,.0f} times {likely} likely than {answer}"
    if not explanation.parts:
        return [first + ".", "There is no ink in the picture."]
    return [first + ".", _tell_parts(explanation), _tell_without(explanation)]


def _tell_parts(explanation: Explanation) -> str:
    answer, other = explanation.called(explanation.winner), explanation.called(explanation.runner_up)
    strongest = max(explanation.parts, key=lambda part: part.lead)
    weakest = min(explanation.parts, key=lambda part: part.lead)
    text = f"No part of the ink supports {other}"
    if weakest.lead < -_LEAST:
        text = f"The ink {weakest.place} speaks most for {other} (by {-weakest.lead:.1f})"
    if strongest.lead > _LEAST:
        return f"{text}, the ink {strongest.place} most for {answer} (by {strongest.lead:.1f})."
    return f"{text}, and none for {answer}."


def _tell_without(explanation: Explanation) -> str:
    """Which ninth of the ink, taken away by itself, changes the answer; or the one that shakes it most."""
    answer = explanation.called(explanation.winner)
    changed = [part for part in explanation.parts if part.probs.argmax() != explanation.winner]
    if changed:
        part = max(changed, key=lambda part: float(part.probs.max()))
        best = int(part.probs.argmax())
        return (
            f"Without the ink {part.place} it would be taken for {explanation.called(best)} "
            f"({probability(float(part.probs[best]))})."
        )
    part = min(explanation.parts, key=lambda part: float(part.probs[explanation.winner]))
    return (
        f"No ninth of the picture decides alone: even without the ink {part.place}, which matters most, it "
        f"would be taken for {answer} ({probability(float(part.probs[explanation.winner]))})."
    )


def _name_kinds(votes: list[tuple[str, int]]) -> str:
    """ "7 are 4, 1 is 9", or "all are 4"."""
    if len(votes) == 1:
        return f"all are {votes[0][0]}"
    return ", ".join(f"{count} {'is' if count == 1 else 'are'} {name}" for name, count in votes)


def tell_neighbours(explanation: Explanation) -> list[str]:
    """How the vote of the nearest training images stands to the verdict; nothing where there are none."""
    found = explanation.neighbours
    if found is None or not len(found.labels):
        return []
    votes = found.votes()
    label, count = votes[0]
    total, answer = len(found.labels), explanation.prediction.label
    text = f"Of the {total} nearest of {found.searched:,} training images {_name_kinds(votes)}"
    if explanation.prediction.verdict == "not a digit":
        text += f"; the nearest is {found.distances[0]:.3f} away."
    elif label == answer:
        text += ", as the network says." if count == total else ": their vote agrees with the network."
    else:
        text += f": their vote, {label}, is not the network's answer, {answer}."
    sentences = [text]
    if found.copies:
        times = "once" if found.copies == 1 else f"{found.copies} times"
        sentences.append(f"This very picture is {times} among the training images; it is left out here.")
    return sentences


# On a terminal: a map as block characters, two pixels per character, or as marks in a pipe.

_STRONG = 0.25  # of the largest value: weaker ink is a dot


def print_explanations(found: Sequence[Explanation], subject: Subject, console: Console) -> None:
    """Each in words with its map."""
    for number, each in enumerate(found, start=1):
        console.print(f"{number}: " * (len(found) > 1) + explain_verdict(each), style="bold", markup=False)
        console.print(likeliest(each), markup=False)
        console.print(draw_blocks(each) if console.is_terminal else draw_marks(each), markup=False)
        for sentence in [*tell_runner_up(each), *tell_neighbours(each)]:
            console.print(sentence, markup=False)
        console.print()
    if not found:
        console.print("Nothing was found in the picture.")
    for note in subject.notes:
        console.print(note, markup=False)


def draw_blocks(explanation: Explanation, name: str = "lead") -> Text:
    """The map over the ink in colours, two rows of pixels to a line."""
    from rich.text import Text

    pixels = np.asarray(_overlay(explanation, name, max(explanation.image.shape)))
    return Text("\n").join(colour_blocks(pixels))


def draw_marks(explanation: Explanation, name: str = "lead") -> str:
    """The same without colours: + ink for the answer, - ink against it, · ink that says little."""
    values = explanation.map(name).values
    inked = explanation.ink > 64
    height = len(values) // 2 * 2
    pairs = values[:height].reshape(height // 2, 2, -1)
    strongest = np.where(np.abs(pairs[:, 0]) >= np.abs(pairs[:, 1]), pairs[:, 0], pairs[:, 1])
    ink = inked[:height].reshape(height // 2, 2, -1).any(axis=1)
    strong = np.abs(strongest) >= _STRONG * max(float(np.abs(values).max()), 1e-9)
    marks = np.where(~ink, " ", np.where(~strong, "·", np.where(strongest > 0, "+", "-")))
    return "\n".join("".join(line).rstrip() for line in marks)


# In pictures: what both the page and the sheet show.

_SEEN, _SIDE = 224, 280  # pixels of what was seen, and of a map
_SMALL = 168  # of one of many
_LONGEST = 720  # of the picture as given
_MOST_BARS = 12


def _overlay(explanation: Explanation, name: str, side: int) -> Image.Image:
    each = explanation.map(name)
    return Sheet.lay_over(explanation.ink, each.values, side, least=each.least, everywhere=each.everywhere)


def mark_boxes(subject: Subject, longest: int) -> Image.Image:
    """The picture as given, at most so long, with a box and a number around each digit."""
    assert subject.picture is not None
    image = subject.picture.convert("RGB")
    ratio = min(longest / max(image.size), 8.0)
    size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
    image = image.resize(size, Image.Resampling.NEAREST if ratio >= 3 else Image.Resampling.LANCZOS)
    scale = (image.width / subject.size[0], image.height / subject.size[1])
    draw = ImageDraw.Draw(image)
    for number, digit in enumerate(subject.predictions, start=1):
        if digit.box is None:
            continue
        x0, y0, x1, y1 = (round(edge * scale[place % 2]) for place, edge in enumerate(digit.box))
        box = (max(0, x0 - 3), max(0, y0 - 3), min(image.width - 1, x1 + 3), min(image.height - 1, y1 + 3))
        draw.rectangle(box, outline=Palette.VERDICTS[digit.verdict], width=2)
        if len(subject.predictions) > 1:
            image.paste(Sheet.number_tag(number, Palette.VERDICTS[digit.verdict], 16), (box[0], box[1]))
    return image


def _enlarged(image: np.ndarray, side: int) -> str:
    """For the page; pixels stay visible as squares."""
    ratio = max(1, side // max(image.shape))
    picture = Image.fromarray(np.ascontiguousarray(image))
    return png_uri(picture.resize((picture.width * ratio, picture.height * ratio), Image.Resampling.NEAREST))


# As a page or as a picture.


def write_explanation(path: Path, explanations: Sequence[Explanation], subject: Subject) -> Path:
    """Writes a page (.html) or a picture (.png). Raises UsageError for another name."""
    check_target(path)
    if path.suffix.lower() == ".png":
        sheet = _draw_sheet(explanations, subject)
        with replace_file(path) as beside:
            sheet.save(beside, format="PNG")
        return path
    context = {
        "subject": subject,
        "picture": subject.picture and png_uri(mark_boxes(subject, _LONGEST)),
        "digits": [_digit(each) for each in explanations],
        "warm": Palette.FOR,
        "cool": Palette.AGAINST,
    }
    write_text(path, render_page("explain.html.j2", context))
    return path


def check_target(path: Path) -> None:
    """Raises UsageError where the name is neither that of a page nor of a picture."""
    if path.suffix.lower() not in (".html", ".htm", ".png"):
        raise UsageError(f"{path} is neither a page nor a picture", expected="a name ending in .html or .png")


def _digit(explanation: Explanation) -> dict[str, Any]:
    """What the template shows of one besides itself."""
    order = np.arange(len(explanation.names))  # of many outputs only the likeliest, best first
    if len(order) > _MOST_BARS:
        order = np.argsort(-explanation.probs, kind="stable")[:_MOST_BARS]
    parts, linear = explanation.linear, []
    if parts is not None:  # each class: its weights times the ink, all on one scale
        largest = float(np.abs(parts.pixels).max(initial=0))
        linear = [
            png_uri(Sheet.lay_over(explanation.ink, pixels, _SMALL, least=largest)) for pixels in parts.pixels
        ]
    neighbours = explanation.neighbours
    return {
        "found": explanation,
        "verdict": explain_verdict(explanation),
        "seen": _enlarged(explanation.ink, _SEEN),
        "order": order.tolist(),
        "runner_up": tell_runner_up(explanation),
        "maps": [(each, png_uri(_overlay(explanation, each.name, _SIDE))) for each in explanation.maps],
        "linear": linear,
        "ink": [] if parts is None else parts.pixels.sum(axis=(1, 2), dtype=np.float64).tolist(),
        "neighbours": [] if neighbours is None else [_enlarged(image, _SMALL) for image in neighbours.images],
        "vote": tell_neighbours(explanation),
    }


_INNER = Sheet.WIDTH - 2 * Sheet.MARGIN
_PADDING = 14
_CONTENT = _INNER - 2 * _PADDING  # inside a card
_TILE = (_CONTENT - 2 * Sheet.GAP) // 3
_MOST = 12  # digits that fit into one picture


def _draw_sheet(explanations: Sequence[Explanation], subject: Subject) -> Image.Image:
    """RGB, 800 pixels wide: what is on the page, without the sentences on maps; drawn with Pillow alone."""
    outside: dict[str, Any] = {"width": _INNER, "ground": Palette.PAPER}
    blocks = [_words(f"{subject.name} · model {subject.model}", Palette.GREY, **outside)]
    if subject.picture is not None:
        blocks.append(Sheet.enlarge(mark_boxes(subject, _INNER), _INNER, 360))
    if not explanations:
        blocks.append(Sheet.paragraph("Nothing found", 48, _INNER))
    blocks += [_words(note, Palette.VERDICTS["unsure"], **outside) for note in subject.notes]
    for each in explanations[:_MOST]:
        content = _drawn_digit(each)
        blocks.append(Sheet.card(content, _INNER, content.height + 2 * _PADDING, padding=_PADDING))
    if len(explanations) > _MOST:
        blocks.append(_words(f"… and {len(explanations) - _MOST} more, not shown", Palette.GREY, **outside))
    if explanations:
        key = "Orange ink supports the answer, blue ink contradicts it; each map has its own scale."
        blocks.append(_words(key, Palette.GREY, **outside))
    return Sheet.compose(blocks)


def _words(
    text: str,
    colour: tuple[int, int, int],
    *,
    size: int = 20,
    width: int = _CONTENT,
    ground: tuple[int, int, int] = Palette.CARD,
) -> Image.Image:
    """In the letters that Pillow's own font has."""
    plain = text.replace("−", "-").replace("–", "-")
    return Sheet.paragraph(plain, size, width, colour=colour, ground=ground)


def _drawn_digit(explanation: Explanation) -> Image.Image:
    answer = explanation.prediction.label
    parts = [_words(explain_verdict(explanation), Palette.VERDICTS[explanation.prediction.verdict], size=32)]
    if explanation.truth is not None:
        right = "right" if explanation.truth == answer else "wrong"
        told = f"The data set calls it {explanation.truth}: the answer is {right}."
        parts.append(_words(told, Palette.GREY))
    parts.append(_seen_and_bars(explanation))
    parts += [_words(sentence, Palette.INK) for sentence in tell_runner_up(explanation)]
    tiles = []
    for each in explanation.maps:
        title = _words(each.title, Palette.GREY, width=_TILE)
        tiles.append(
            Sheet.stack([title, _overlay(explanation, each.name, _TILE)], gap=2, ground=Palette.CARD)
        )
    parts += [Sheet.row(tiles[first : first + 3], ground=Palette.CARD) for first in range(0, len(tiles), 3)]
    parts += [_words(sentence, Palette.INK) for sentence in tell_neighbours(explanation)]
    found = explanation.neighbours
    if found is not None and len(found.labels):
        side, tiles = (_CONTENT - 7 * Sheet.GAP) // 8, []
        for image, label in zip(found.images[:8], found.labels, strict=False):
            name = found.class_names[label]
            picture = Sheet.enlarge(Image.fromarray(image).convert("RGB"), side, side)
            caption = _words(name, Palette.INK if name == answer else Palette.VERDICTS["unsure"], width=side)
            tiles.append(Sheet.stack([picture, caption], gap=2, ground=Palette.CARD))
        parts.append(Sheet.row(tiles, ground=Palette.CARD))
    return Sheet.stack(parts, gap=12, ground=Palette.CARD)


def _seen_and_bars(explanation: Explanation) -> Image.Image:
    """What the network saw, beside the probabilities of at most a dozen outputs."""
    seen = Sheet.enlarge(Image.fromarray(explanation.ink).convert("RGB"), _TILE, _TILE)
    order = np.sort(np.argsort(-explanation.probs, kind="stable")[:12])
    roles = {
        explanation.winner: Palette.VERDICTS[explanation.prediction.verdict],
        explanation.runner_up: Palette.BLUE,
    }
    names = [explanation.names[column] for column in order]
    short = [name if len(name) <= 4 else name[:4] for name in names]
    colours = [roles.get(int(column), Palette.GREY) for column in order]
    values = [float(explanation.probs[column]) for column in order]
    chart = Sheet.bars(values, short, colours, _CONTENT - seen.width - Sheet.GAP, seen.height)
    return Sheet.row([seen, chart], ground=Palette.CARD)
