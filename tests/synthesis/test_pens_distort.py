"""Other hands: the class and the number of strokes stay, the shapes differ."""

from __future__ import annotations

import numpy as np
import pytest

from tenfold.synthesis.glyphs import Drawing, box, normalise, vary

TURN = np.linspace(0, 2 * np.pi, 40)
ZERO = np.stack([0.35 * np.sin(TURN), -0.5 * np.cos(TURN)], axis=1)
SHAPES: dict[str, list[np.ndarray]] = {
    "0": [ZERO],
    "1": [np.array([[0.1, 0.0], [0.05, 0.5], [0.1, 1.0]])],
    "4": [np.array([[0.3, 0.0], [0.0, 0.6], [0.6, 0.6]]), np.array([[0.4, 0.3], [0.4, 1.0]])],
    "7": [np.array([[0.0, 0.0], [0.6, 0.0], [0.2, 1.0]])],
    ".": [np.array([[0.2, 0.3]])],
}


def drawing(label: str) -> Drawing:
    return Drawing(tuple(stroke.astype(np.float32) for stroke in SHAPES[label]), label, "me")


def points_of(one: Drawing) -> np.ndarray:
    return np.concatenate(one.strokes)


@pytest.mark.parametrize("label", SHAPES)
def test_vary_keeps_class_strokes_and_size(label: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(60):
        varied = vary(drawing(label), rng)
        assert (varied.label, varied.writer) == (label, "me")
        assert len(varied.strokes) == len(SHAPES[label])
        assert all(s.dtype == np.float32 and s.shape[1] == 2 and len(s) for s in varied.strokes)
        assert np.isfinite(points_of(varied)).all()
        low, high = box(varied.strokes)
        np.testing.assert_allclose(low, 0, atol=1e-5)
        assert (high - low).max() == pytest.approx(0 if label == "." else 1, abs=1e-5)


def test_same_seed_same_hand_and_no_strength_no_change() -> None:
    seven = drawing("7")
    first, again, other = (vary(seven, np.random.default_rng(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(points_of(first), points_of(again))
    assert not np.array_equal(points_of(first), points_of(other))
    still = vary(seven, np.random.default_rng(5), strength=0)
    np.testing.assert_allclose(points_of(still), points_of(normalise(seven)), atol=1e-6)


def test_slant_and_turn_stay_within_what_keeps_the_class() -> None:
    """An upright bar never leans by more than 45 degrees, and on average hardly at all."""
    upright = Drawing((np.array([[0, 0], [0, 1]], np.float32),), "1")
    rng, angles = np.random.default_rng(0), []
    for _ in range(300):
        points = points_of(vary(upright, rng))
        across, down = points[-1] - points[0]
        angles.append(np.degrees(np.arctan2(abs(across), down)) * np.sign(across))
    assert np.abs(angles).max() < 45
    assert abs(np.mean(angles)) < 6
    assert np.std(angles) > 5
