"""Formulas with the softmax regression tutorial's mistakes, and right ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from tenfold.doctor.checks_step import check_own_code
from tenfold.errors import UsageError


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    return float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())


def gradient(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return (softmax(logits, axis=1) - np.eye(logits.shape[1])[labels]) / len(labels)


def tutorial_softmax(logits: np.ndarray) -> np.ndarray:
    """The denominator as the document prints it: the maximum stands where z belongs."""
    top = logits.max(axis=1, keepdims=True)
    return np.exp(logits - top) / np.exp(top - top).sum(axis=1, keepdims=True)


def naive_softmax(logits: np.ndarray) -> np.ndarray:
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


WEIGHTS = np.random.default_rng(3).standard_normal((10, 25))
PICTURES = (WEIGHTS - WEIGHTS.min()).reshape(10, 5, 5)

WRONG: dict[str, dict[str, Any]] = {
    "softmax-wrong": {"softmax": tutorial_softmax},
    "softmax-overflow": {"softmax": naive_softmax},
    "columns-shifted": {"one_hot": lambda labels: np.eye(10)[labels - 1]},
    "gradient-sign": {"loss": cross_entropy, "gradient": lambda z, y: -gradient(z, y)},
    "gradient-sum": {"loss": cross_entropy, "gradient": lambda z, y: len(y) * gradient(z, y)},
    "gradient-wrong": {"loss": cross_entropy, "gradient": lambda z, y: 3 * gradient(z, y)},
    "pictures-missing": {"weights": WEIGHTS, "pictures": PICTURES[1:]},
}


@pytest.mark.parametrize("code", WRONG)
def test_each_mistake_is_named(code: str) -> None:
    (finding,) = check_own_code(**WRONG[code])
    assert finding.code == code and any(letter.isdigit() for letter in finding.seen)


def test_right_code_gets_no_finding() -> None:
    def stable(logits: np.ndarray) -> np.ndarray:
        return softmax(logits, axis=1)

    one_hot: Callable[[np.ndarray], np.ndarray] = lambda labels: np.eye(10)[labels]  # noqa: E731
    right: dict[str, Any] = {
        "softmax": stable,
        "one_hot": one_hot,
        "loss": cross_entropy,
        "gradient": gradient,
    }
    assert check_own_code(**right, weights=WEIGHTS, pictures=PICTURES) == ()


def test_the_missing_picture_is_named() -> None:
    (finding,) = check_own_code(weights=WEIGHTS, pictures=np.delete(PICTURES, 7, axis=0))
    assert finding.seen.endswith("missing: 7")


def test_a_gradient_needs_its_loss() -> None:
    with pytest.raises(UsageError, match="gradient"):
        check_own_code(gradient=gradient)
