"""An explanation in words: the answer, what comes next, which ink supports it, and what is like it."""

from __future__ import annotations

from math import exp
from typing import TYPE_CHECKING

import numpy as np

from tenfold.explain.explanation import Explanation, Neighbours
from tenfold.explain.subject import ink_of
from tenfold.pictures.drawing import lay_over
from tenfold.show.components import colour_blocks

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["draw_blocks", "draw_marks", "explain_verdict", "likeliest", "tell_neighbours", "tell_runner_up"]

_LEAST = 0.05  # of score: a part that says less is not named


def percent(share: float) -> str:
    """ "98.7 %"; never a full hundred, which no network can know, and never nothing."""
    if share >= 0.9995:
        return "over 99.9 %"
    return f"{100 * share:.1f} %" if share >= 0.0005 else "under 0.1 %"


def explain_verdict(explanation: Explanation) -> str:
    """ "4, 98.7 % sure", "4 or 9, not sure which (51.0 % / 47.0 %)", "not a digit (87.0 %)"."""
    digit, probs = explanation.prediction, explanation.probs
    winner, other = explanation.winner, explanation.runner_up
    if digit.verdict == "not a digit":
        return f"not a digit ({percent(probs[winner])}; most like {digit.label})"
    if digit.verdict == "unsure":
        pair = f"{percent(probs[winner])} / {percent(probs[other])}"
        return f"{explanation.called(winner)} or {explanation.called(other)}, not sure which ({pair})"
    return f"{digit.label}, {percent(digit.confidence)} sure"


def likeliest(explanation: Explanation, count: int = 3) -> str:
    """ "4 98.7 %   9 1.1 %   7 under 0.1 %"."""
    order = (-explanation.probs).argsort(kind="stable")[:count]
    return "   ".join(f"{explanation.names[k]} {percent(float(explanation.probs[k]))}" for k in order)


def tell_runner_up(explanation: Explanation) -> list[str]:
    """The counterfactual: the next answer, the ink that supports it, and what would be read without."""
    answer, other = _names(explanation)
    lead = explanation.lead
    odds = exp(min(20.0, abs(lead) / explanation.temperature))
    first = (
        f"Next comes {other}, with {percent(float(explanation.probs[explanation.runner_up]))}: its score is "
        f"{abs(lead):.1f} {'lower' if lead >= 0 else 'higher'}"
    )
    if odds >= 2:
        likely = "less" if lead >= 0 else "more"
        first += f", which makes it {odds:,.0f} times {likely} likely than {answer}"
    if not explanation.parts:
        return [first + ".", "There is no ink in the picture."]
    return [first + ".", _tell_parts(explanation), _tell_without(explanation)]


def _names(explanation: Explanation) -> tuple[str, str]:
    return explanation.called(explanation.winner), explanation.called(explanation.runner_up)


def _tell_parts(explanation: Explanation) -> str:
    answer, other = _names(explanation)
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
    answer, _ = _names(explanation)
    changed = [part for part in explanation.parts if part.probs.argmax() != explanation.winner]
    if changed:
        part = max(changed, key=lambda part: float(part.probs.max()))
        best = int(part.probs.argmax())
        return (
            f"Without the ink {part.place} it would be taken for {explanation.called(best)} "
            f"({percent(float(part.probs[best]))})."
        )
    part = min(explanation.parts, key=lambda part: float(part.probs[explanation.winner]))
    return (
        f"No ninth of the picture decides alone: even without the ink {part.place}, which matters most, it "
        f"would be taken for {answer} ({percent(float(part.probs[explanation.winner]))})."
    )


def name_kinds(neighbours: Neighbours) -> str:
    """ "7 are 4, 1 is 9", or "all are 4"."""
    votes = neighbours.votes()
    if len(votes) == 1:
        return f"all are {votes[0][0]}"
    return ", ".join(f"{count} {'is' if count == 1 else 'are'} {name}" for name, count in votes)


def tell_neighbours(explanation: Explanation) -> list[str]:
    """How the vote of the nearest training images stands to the verdict; nothing where there are none."""
    found = explanation.neighbours
    if found is None or not len(found.labels):
        return []
    label, count = found.votes()[0]
    total, answer = len(found.labels), explanation.prediction.label
    text = f"Of the {total} nearest of {found.searched:,} training images {name_kinds(found)}"
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


# A map as block characters: two pixels per character on a terminal, marks in a pipe.

_STRONG = 0.25  # of the largest value: weaker ink is a dot


def draw_blocks(explanation: Explanation, name: str = "lead") -> Text:
    """The map over the ink in colours, two rows of pixels to a line."""
    from rich.text import Text

    each = explanation.map(name)
    light = ink_of(explanation)
    pixels = np.asarray(lay_over(light, each.values, max(light.shape), least=each.least))
    return Text("\n").join(colour_blocks(pixels))


def draw_marks(explanation: Explanation, name: str = "lead") -> str:
    """The same without colours: + ink for the answer, - ink against it, · ink that says little."""
    values = explanation.map(name).values
    inked = ink_of(explanation) > 64
    height = len(values) // 2 * 2
    pairs = values[:height].reshape(height // 2, 2, -1)
    strongest = np.where(np.abs(pairs[:, 0]) >= np.abs(pairs[:, 1]), pairs[:, 0], pairs[:, 1])
    ink = inked[:height].reshape(height // 2, 2, -1).any(axis=1)
    strong = np.abs(strongest) >= _STRONG * max(float(np.abs(values).max()), 1e-9)
    marks = np.where(~ink, " ", np.where(~strong, "·", np.where(strongest > 0, "+", "-")))
    return "\n".join("".join(row).rstrip() for row in marks)
