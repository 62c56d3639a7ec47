"""The beam search against the sum over all paths (Graves et al. 2006), for strips of few columns."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import pytest

from tenfold.numerics import log_softmax
from tenfold.reader.constraint import Constraint
from tenfold.reader.decode import BLANK, CHARACTERS, OUTPUTS, decode, digits_of, encode_texts

FEW = (0, 1, 2, 10, BLANK)  # outputs that the tests' strips give any probability: 0, 1, 2, "." and the blank


def columns(rng: np.random.Generator, count: int, sharpness: float) -> np.ndarray:
    logits = np.full((count, OUTPUTS), -40.0)
    logits[:, FEW] = rng.normal(0, sharpness, (count, len(FEW)))
    return log_softmax(logits)


def collapse(path: tuple[int, ...]) -> str:
    kept = [place for i, place in enumerate(path) if i == 0 or place != path[i - 1]]
    return "".join(CHARACTERS[place] for place in kept if place != BLANK)


def all_texts(logs: np.ndarray) -> dict[str, float]:
    """The probability of every text: the sum over the paths that spell it."""
    probs: dict[str, float] = defaultdict(float)
    for path in itertools.product(FEW, repeat=len(logs)):
        probs[collapse(path)] += float(np.exp(sum(logs[t, place] for t, place in enumerate(path))))
    return probs


def likeliest(probs: dict[str, float]) -> tuple[str, float]:
    """The likeliest text of the likeliest digits, and the probability of these."""
    shares: dict[str, float] = defaultdict(float)
    for text, p in probs.items():
        shares[digits_of(text)] += p
    digits = max(shares, key=shares.__getitem__)
    return max((t for t in probs if digits_of(t) == digits), key=probs.__getitem__), shares[digits]


@pytest.mark.parametrize("seed", range(12))
def test_the_likeliest_text_and_its_confidence(seed: int) -> None:
    logs = columns(np.random.default_rng(seed), 5, 4.0)
    best, share = likeliest(all_texts(logs))
    decoded = decode(logs)
    assert decoded.text == best
    assert decoded.confidence == pytest.approx(share, abs=0.02)  # the beams hold nearly all


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("pattern", [r"\d{2}", r"\d\.\d", r"0+", r"(1|2)*"])
def test_under_a_pattern_the_likeliest_text_that_fits(seed: int, pattern: str) -> None:
    import re

    logs = columns(np.random.default_rng(seed), 5, 1.5)
    fitting = {text: p for text, p in all_texts(logs).items() if re.fullmatch(pattern, text)}
    decoded = decode(logs, Constraint.make(pattern=pattern))
    assert decoded.text == likeliest(fitting)[0]
    assert re.fullmatch(pattern, decoded.text)


def test_what_cannot_fit_is_not_answered() -> None:
    logs = columns(np.random.default_rng(0), 3, 1.0)
    assert decode(logs, Constraint.make(length=5)).text is None  # five digits need five columns


def test_places_are_the_columns_of_the_characters() -> None:
    logits = np.zeros((7, OUTPUTS))
    logits[:, BLANK] = 9
    for column, place in ((1, 4), (3, 4), (5, 7)):
        logits[column, place] = 20
    decoded = decode(log_softmax(logits))
    assert (decoded.text, decoded.places) == ("447", (1, 3, 5))
    assert decoded.confidence > 0.99


def test_a_blank_strip_spells_nothing() -> None:
    logits = np.zeros((6, OUTPUTS))
    logits[:, BLANK] = 12
    decoded = decode(log_softmax(logits))
    assert decoded.text == "" and decoded.confidence > 0.99


def test_texts_become_padded_labels() -> None:
    assert encode_texts(["07/1", "", "×"]).tolist() == [[0, 7, 12 + 1, 1], [-1] * 4, [16, -1, -1, -1]]
