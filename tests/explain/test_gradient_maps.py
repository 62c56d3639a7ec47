"""The maps against what they are by definition: exact for linear networks, complete, blind to nothing."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
from small_models import KINKED, LINEAR, MLP, SMOOTH, small_classifier, small_images

from tenfold.classifier import Classifier
from tenfold.explain.attributions import (
    explain_linear,
    gradient_map,
    gradient_saliency,
    gradient_times_ink,
    integrated_gradients,
    is_linear,
    lead_of,
    saliency_map,
    smooth_gradient,
)
from tenfold.pictures.drawing import Palette, Sheet

ENGINES = [
    "numpy",
    pytest.param("torch", marks=pytest.mark.skipif(not find_spec("torch"), reason="torch is not installed")),
]


def score_of(classifier: Classifier, image: np.ndarray, outputs: np.ndarray) -> float:
    return float(classifier.engine.logits(image[None])[0].astype(float) @ outputs)


# gradients


def test_the_gradient_is_that_of_the_score_by_ink() -> None:
    """A step of 1/255 ink: the engine's own logits, before and after."""
    classifier, image = small_classifier(SMOOTH), small_images(1)[0]
    outputs = lead_of(classifier.engine.logits(image[None])[0])
    found = gradient_map(classifier, image, outputs)
    for place in [(0, 0), (5, 5), (11, 9), (3, 7)]:
        sides = image.astype(np.float64)[None].repeat(2, axis=0)
        sides[(slice(None), *place)] += (1, -1)
        numeric = (classifier.engine.logits(sides).astype(float) @ outputs) @ (1, -1) / (2 / 255)
        assert found[place] == pytest.approx(numeric, rel=2e-3, abs=2e-4)


@pytest.mark.parametrize("layers", [LINEAR, SMOOTH, KINKED])
def test_live_saliency_is_the_slope_of_the_lead_times_ink(layers: list[str]) -> None:
    classifier, image = small_classifier(layers), small_images(1)[0]
    logits = classifier.engine.logits(image[None])[0]
    order = np.argsort(logits)
    found = gradient_saliency(classifier, image)
    winner = classifier.engine.input_gradient(image[None], order[-1:])
    second = classifier.engine.input_gradient(image[None], order[-2:-1])
    expected = (winner - second)[0] / 0.4 * image / 255
    assert found.dtype == np.float32 and found.shape == image.shape and not found[image == 0].any()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    turned = gradient_saliency(classifier, image, winner=int(order[-2]))
    np.testing.assert_allclose(turned, -expected, rtol=1e-4, atol=1e-6)


def test_the_lead_is_over_the_best_of_the_others() -> None:
    logits = np.array([0.5, 3.0, -1.0, 2.0], np.float32)
    assert lead_of(logits).tolist() == [0, 1, 0, -1]
    assert lead_of(logits, winner=2).tolist() == [0, -1, 1, 0]


def test_noise_changes_nothing_of_a_linear_slope_and_much_of_others() -> None:
    image, outputs = small_images(1)[0], np.array([1.0, -1.0, 0.0, 0.0])
    linear, other = small_classifier(LINEAR), small_classifier(KINKED)
    np.testing.assert_allclose(
        smooth_gradient(linear, image, outputs), gradient_map(linear, image, outputs), rtol=1e-4, atol=1e-6
    )
    plain = gradient_map(other, image, outputs)
    np.testing.assert_allclose(smooth_gradient(other, image, outputs, noise=0), plain, rtol=1e-4, atol=1e-5)
    noisy = smooth_gradient(other, image, outputs)
    assert np.abs(noisy - plain).max() > 0.05 * np.abs(plain).max()
    np.testing.assert_array_equal(noisy, smooth_gradient(other, image, outputs))
    assert (noisy != smooth_gradient(other, image, outputs, seed=1)).any()


def test_noise_averages_the_slopes_of_the_noisy_copies() -> None:
    classifier, image = small_classifier(SMOOTH), small_images(1)[0]
    outputs = np.array([0.0, 1.0, 0.0, 0.0])
    draws = np.random.default_rng(7).normal(0, 0.2 * 255, (5, *image.shape)).astype(np.float32)
    expected = np.mean([gradient_map(classifier, image + draw, outputs) for draw in draws], axis=0)
    found = smooth_gradient(classifier, image, outputs, samples=5, noise=0.2, seed=7)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


# integrated gradients: Sundararajan et al. 2017


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("layers", "members"), [(LINEAR, 1), (SMOOTH, 1), (MLP, 1), (KINKED, 1), (SMOOTH, 2)]
)
def test_completeness(layers: list[str], members: int, engine: str) -> None:
    """Proposition 1: the map sums to the score minus that of the baseline."""
    classifier = small_classifier(layers, engine=engine, members=members)
    for image in small_images(3):
        outputs = lead_of(classifier.engine.logits(image[None])[0])
        found = integrated_gradients(classifier, image, outputs)
        rise = score_of(classifier, image, outputs) - score_of(classifier, np.zeros_like(image), outputs)
        tolerance = 1e-3 if layers in (LINEAR, SMOOTH) else 2e-2  # kinks: the sum of steps is coarser
        assert found.sum() == pytest.approx(rise, rel=tolerance, abs=tolerance * float(np.abs(found).sum()))
        assert not found[image == 0].any()  # sensitivity (b): what does not differ gets nothing


def test_completeness_comes_with_more_steps() -> None:
    classifier, image = small_classifier(KINKED), small_images(1)[0]
    outputs = np.array([1.0, 0.0, 0.0, 0.0])
    rise = score_of(classifier, image, outputs) - score_of(classifier, np.zeros_like(image), outputs)
    gaps = [
        abs(integrated_gradients(classifier, image, outputs, steps=steps).sum() - rise) for steps in (4, 4096)
    ]
    assert gaps[1] < 1e-3 * abs(rise) and gaps[1] < gaps[0]


def test_integrated_gradients_do_not_ask_how_the_network_is_built() -> None:
    """Implementation invariance: batch-norm written out, or folded into the layer before it."""
    plain = small_classifier(["flatten", "linear 6", "tanh", "linear classes"])
    normed = small_classifier(["flatten", "linear 6", "batch-norm", "tanh", "linear classes"])
    weights = normed.engine.weights()
    scale = weights["norm1.weight"] / np.sqrt(weights["norm1.running_var"] + 1e-5)
    shift = weights["norm1.bias"] - weights["norm1.running_mean"] * scale
    same = plain.with_weights(
        {name: value for name, value in weights.items() if "norm" not in name}
        | {
            "linear1.weight": weights["linear1.weight"] * scale[:, None],
            "linear1.bias": weights["linear1.bias"] * scale + shift,
        }
    )
    image, outputs = small_images(1)[0], np.array([1.0, 0.0, -1.0, 0.0])
    np.testing.assert_allclose(
        integrated_gradients(same, image, outputs),
        integrated_gradients(normed, image, outputs),
        rtol=1e-4,
        atol=1e-5,
    )


# dark ink on light paper


def test_dark_ink_is_ink_too() -> None:
    """A network of turned pixels on the turned picture: the same maps, the same words."""
    dark = small_classifier(SMOOTH)
    # (255 - p) / 255 with mean 0.8 is minus p / 255 with mean 0.2: a network whose first layer is turned
    light = small_classifier(SMOOTH, mean=0.8, background="light")
    weights = dark.engine.weights()
    light = light.with_weights(weights | {"conv1.weight": -weights["conv1.weight"]})
    image, outputs = small_images(1)[0], np.array([1.0, -1.0, 0.0, 0.0])
    turned = 255 - image
    np.testing.assert_allclose(light.logits(turned[None]), dark.logits(image[None]), rtol=1e-4, atol=1e-5)
    for draw in (gradient_map, gradient_times_ink, integrated_gradients):
        np.testing.assert_allclose(
            draw(light, turned, outputs), draw(dark, image, outputs), rtol=1e-3, atol=1e-5
        )
    np.testing.assert_allclose(
        saliency_map(light, turned, 0, paper=255), saliency_map(dark, image, 0), rtol=1e-3, atol=1e-5
    )


# linear networks


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "layers",
    [LINEAR, ["conv 3 3x3", "batch-norm", "average-pool 2", "flatten", "dropout 0.2", "linear classes"]],
)
@pytest.mark.parametrize("card", [{}, {"background": "light"}, {"rejects": True}])
def test_parts_of_a_linear_score_sum_exactly(layers: list[str], card: dict, engine: str) -> None:
    classifier = small_classifier(layers, engine=engine, **card)
    for image in small_images(3):
        parts = explain_linear(classifier, image)
        assert parts is not None and parts.pixels.shape == (4 + bool(card.get("rejects")), 12, 10)
        logits = classifier.engine.logits(image[None])[0]
        np.testing.assert_allclose(parts.logits, logits, rtol=1e-5, atol=1e-5)
        paper = 255 if card.get("background") == "light" else 0
        assert not parts.pixels[:, image == paper].any()
        ink = np.abs(image.astype(float) - paper) / 255
        np.testing.assert_allclose(parts.pixels, parts.weights * ink, rtol=1e-4, atol=1e-6)


def test_weights_of_a_linear_score_are_those_of_the_layer() -> None:
    classifier, image = small_classifier(LINEAR), small_images(1)[0]
    parts = explain_linear(classifier, image)
    assert parts is not None
    weights = classifier.engine.weights()
    np.testing.assert_allclose(
        parts.weights, weights["linear1.weight"].reshape(4, 12, 10) / 0.4, rtol=1e-5, atol=1e-6
    )
    blank = weights["linear1.bias"] - 0.2 / 0.4 * weights["linear1.weight"].sum(axis=1)
    np.testing.assert_allclose(parts.blank, blank, rtol=1e-4, atol=1e-5)
    one = np.eye(4)[2]
    for draw in (gradient_times_ink, integrated_gradients):
        np.testing.assert_allclose(draw(classifier, image, one), parts.pixels[2], rtol=1e-4, atol=1e-6)


def test_what_is_not_linear_has_no_parts() -> None:
    image = small_images(1)[0]
    for classifier in (
        small_classifier(SMOOTH),
        small_classifier(KINKED),
        small_classifier(LINEAR, members=2),
    ):
        assert not is_linear(classifier) and explain_linear(classifier, image) is None


# the overlay


def test_colours_are_told_apart_by_every_kind_of_colour_vision() -> None:
    """Machado, Oliveira, Fernandes 2009, severity 1.0: matrices on linear RGB; far apart for all three."""
    kinds = {
        "protan": (0.1523, 1.0526, -0.2049, 0.1145, 0.7863, 0.0992, -0.0039, -0.0481, 1.0520),
        "deutan": (0.3673, 0.8606, -0.2280, 0.2801, 0.6725, 0.0474, -0.0118, 0.0429, 0.9689),
        "tritan": (1.2555, -0.0767, -0.1788, -0.0784, 0.9308, 0.1476, 0.0047, 0.6914, 0.3039),
    }  # fmt: skip
    colours = (np.array([Palette.FOR, Palette.AGAINST]) / 255) ** 2.2
    for matrix in kinds.values():
        seen = np.clip(colours @ np.reshape(matrix, (3, 3)).T, 0, 1) ** (1 / 2.2)
        assert np.linalg.norm(seen[0] - seen[1]) > 0.4


def test_an_overlay_is_orange_for_blue_against_and_dark_on_paper() -> None:
    image = np.zeros((6, 6), np.uint8)
    image[1:5, 1:5] = 255
    values = np.zeros((6, 6), np.float32)
    values[1:5, 1:3], values[1:5, 3:5] = 2.0, -1.0
    drawn = np.asarray(Sheet.lay_over(image, values, 6)).astype(int)
    assert drawn.shape == (6, 6, 3)
    assert drawn[2, 1, 0] > drawn[2, 1, 2] + 80 and drawn[2, 4, 2] > drawn[2, 4, 0] + 40
    assert drawn[0, 0].max() <= 16
    faint = np.asarray(Sheet.lay_over(image, values, 6, least=1000.0)).astype(int)
    assert np.ptp(faint[2, 2]) < 30  # nearly grey
    wide = Sheet.lay_over(np.zeros((5, 10), np.uint8), np.zeros((5, 10)), 100)
    assert wide.size == (100, 50)
