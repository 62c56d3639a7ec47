"""Nearest training images against scikit-learn's; the parts of the ink; what is said of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_models import KINKED, LINEAR, MLP, SMOOTH, small_classifier, small_images

from tenfold.arrays import ImageDataset
from tenfold.classifier import Classifier
from tenfold.errors import DataError
from tenfold.explain import explanation as module
from tenfold.explain.attributions import PLACES, split_ink
from tenfold.explain.explanation import (
    Explanation,
    Neighbours,
    explain_image,
    explain_predictions,
    find_neighbours,
)
from tenfold.show.components import difference, probability
from tenfold.show.explanation import (
    draw_blocks,
    draw_marks,
    explain_verdict,
    likeliest,
    tell_neighbours,
    tell_runner_up,
)

NAMES = ("a", "b", "c", "d")


def dataset_of(count: int, seed: int = 3) -> ImageDataset:
    labels = np.random.default_rng(seed).integers(0, 4, count)
    return ImageDataset(small_images(count, seed=seed), labels, NAMES, "drawn")


# neighbours


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("layers", [LINEAR, SMOOTH, MLP])
def test_neighbours_are_those_of_scikit_learn(
    layers: list[str], members: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    nearest = pytest.importorskip("sklearn.neighbors").NearestNeighbors
    monkeypatch.setattr(module, "_PIECE", 37)
    classifier, dataset = small_classifier(layers, members=members), dataset_of(150)
    rows, queries = np.arange(3, 150, 2), small_images(4, seed=9)
    found = find_neighbours(classifier, queries, dataset, rows=rows, count=5)
    features = classifier.engine.features
    search = nearest(n_neighbors=5, metric="cosine", algorithm="brute").fit(features(dataset.images[rows]))
    distances, places = search.kneighbors(features(queries))
    assert len(found) == 4
    for each, expected, place in zip(found, distances, places, strict=True):
        np.testing.assert_allclose(each.distances, expected, atol=2e-6)
        np.testing.assert_allclose(np.sort(each.indices), np.sort(rows[place]))
        np.testing.assert_array_equal(each.labels, dataset.labels[each.indices])
        np.testing.assert_array_equal(each.images, dataset.images[each.indices])
        assert each.searched == len(rows) and not each.copies


def test_the_picture_itself_is_no_neighbour_of_its_own() -> None:
    classifier, dataset = small_classifier(MLP), dataset_of(60)
    images = dataset.images.copy()
    images[50] = images[7]
    found = find_neighbours(classifier, images[7:9], replace(dataset, images=images))
    assert found[0].copies == 2 and not set(found[0].indices) & {7, 50}
    assert found[1].copies == 1 and 8 not in found[1].indices


def test_few_images_give_few_neighbours_and_another_size_is_refused() -> None:
    classifier, dataset = small_classifier(MLP), dataset_of(5)
    assert len(find_neighbours(classifier, small_images(1), dataset)[0].indices) == 5
    assert not len(find_neighbours(classifier, dataset.images[:1], dataset.subset(np.arange(1)))[0].indices)
    with pytest.raises(DataError, match=r"\(12, 10\)"):
        find_neighbours(small_classifier(MLP, shape=(9, 9)), small_images(1, (9, 9)), dataset)


def test_progress_is_told() -> None:
    told: list[tuple[str, int, int]] = []
    find_neighbours(
        small_classifier(LINEAR), small_images(1), dataset_of(30), progress=lambda *x: told.append(x)
    )
    assert told[-1] == ("training images", 30, 30)


def voters(labels: list[int], distances: list[float]) -> Neighbours:
    count = len(labels)
    images = np.zeros((count, 12, 10), np.uint8)
    return Neighbours(
        np.arange(count), np.array(distances), np.array(labels), images, NAMES, 0, 1234, "drawn"
    )


def test_votes_most_first_and_of_equals_the_nearest() -> None:
    assert voters([2, 1, 1, 2, 0], [0.1, 0.2, 0.3, 0.4, 0.5]).votes() == [("c", 2), ("b", 2), ("a", 1)]
    assert voters([], []).votes() == []


# parts of the ink


def test_parts_share_out_all_the_ink() -> None:
    image = small_images(1, (12, 10))[0]
    lead = np.random.default_rng(0).normal(size=image.shape).astype(np.float32) * (image > 0)
    asked: list[np.ndarray] = []

    def probs_of(images: np.ndarray) -> np.ndarray:
        asked.append(images)
        return np.tile(np.arange(3.0), (len(images), 1))

    parts = split_ink(image, lead, probs_of)
    assert [part.place for part in parts] == list(PLACES) and len(asked) == 1
    assert sum(part.lead for part in parts) == pytest.approx(float(lead.sum()), abs=1e-5)
    removed = np.array([(image > 0) & (without == 0) for without in asked[0]])
    assert (removed.sum(axis=0) == (image > 0)).all()  # each inked pixel is in one part
    assert removed[0, :4, :3].sum() == (image[:4, :3] > 0).sum()


def test_a_thin_stroke_has_fewer_parts_and_a_blank_none() -> None:
    image = np.zeros((28, 28), np.uint8)
    assert split_ink(image, np.zeros((28, 28)), lambda images: np.zeros((len(images), 2))) == []
    image[4:24, 14] = 255
    parts = split_ink(image, np.ones((28, 28)), lambda images: np.zeros((len(images), 2)))
    assert len(parts) == 3 and sum(part.lead for part in parts) == 20
    dark = split_ink(255 - image, np.ones((28, 28)), lambda images: np.zeros((len(images), 2)), paper=255)
    assert [part.place for part in dark] == [part.place for part in parts]


# explanations


@pytest.fixture(scope="module")
def explained() -> Explanation:
    return explain_image(small_classifier(KINKED), small_images(1)[0], dataset=dataset_of(40))


def test_an_explanation_holds_together(explained: Explanation) -> None:
    classifier, image = small_classifier(KINKED), small_images(1)[0]
    np.testing.assert_allclose(explained.logits, classifier.logits(image[None])[0], rtol=1e-5)
    np.testing.assert_allclose(explained.probs, classifier.predict_proba(image[None])[0], rtol=1e-5)
    order = np.argsort(-explained.logits)
    assert (explained.winner, explained.runner_up) == tuple(order[:2])
    assert explained.lead == pytest.approx(float(explained.logits[order[0]] - explained.logits[order[1]]))
    names = ["occlusion", "gradient", "gradient_times_ink", "smooth_gradient", "integrated_gradients", "lead"]
    assert [each.name for each in explained.maps] == names
    assert all(each.values.shape == image.shape and np.isfinite(each.values).all() for each in explained.maps)
    assert explained.linear is None and explained.neighbours is not None
    for part in explained.parts:
        assert part.probs.sum() == pytest.approx(1, abs=1e-5)


def test_a_linear_network_has_its_parts_and_four_maps() -> None:
    found = explain_image(small_classifier(LINEAR), small_images(1)[0])
    assert [each.title for each in found.maps][:3] == ["Occlusion", "Weights", "Weights times ink"]
    assert len(found.maps) == 4 and found.linear is not None and found.neighbours is None
    np.testing.assert_allclose(
        found.map("gradient_times_ink").values, found.linear.pixels[found.winner], rtol=1e-4, atol=1e-6
    )
    lead = found.linear.pixels[found.winner] - found.linear.pixels[found.runner_up]
    np.testing.assert_allclose(found.map("lead").values, lead, rtol=1e-3, atol=1e-5)


def test_none_of_them_is_an_answer_and_a_runner_up() -> None:
    image = small_images(1)[0]
    for seed in range(30):
        classifier = small_classifier(MLP, rejects=True, most_none=0.5, seed=seed)
        found = explain_image(classifier, image)
        if found.prediction.verdict == "not a digit":
            break
    assert found.winner == 4 and found.names[4] == "none of them"
    assert explain_verdict(found).startswith("not a digit (")
    assert '"none of them"' in " ".join(tell_runner_up(found))
    assert found.map("lead").title.startswith('"none of them" rather than ')


def test_a_verdict_without_its_image_is_refused() -> None:
    classifier = small_classifier(MLP)
    verdict = replace(classifier.predictions(small_images(1))[0], image=None)
    with pytest.raises(ValueError, match="no image"):
        explain_predictions(classifier, [verdict])
    assert explain_predictions(classifier, [], dataset=dataset_of(4)) == []


def test_as_a_dictionary_it_is_json(explained: Explanation) -> None:
    import json

    told = json.loads(json.dumps(explained.to_dict(), allow_nan=False))
    assert np.array(told["maps"]["lead"]).shape == (12, 10)
    np.testing.assert_array_equal(told["image"], explained.image)
    assert told["winner"] == explained.prediction.label == told["label"]
    assert len(told["neighbours"]["nearest"]) == 8
    assert sum(told["neighbours"]["votes"].values()) == 8


# words


def test_shares_are_never_all_and_never_nothing() -> None:
    assert [probability(share) for share in (1.0, 0.9994, 0.5, 0.0005, 0.0)] == [
        "over 99.9 %", "99.9 %", "50.0 %", "0.1 %", "under 0.1 %",
    ]  # fmt: skip
    assert [difference(value, 2) for value in (1.25, -0.3, -0.001)] == ["+1.25", "−0.30", "0.00"]


def two_bars(above: float, below: float, wall: float = 0.0) -> tuple[Classifier, np.ndarray]:
    """Class a from ink above, b from ink below; and a picture with both bars."""
    classifier = small_classifier(LINEAR, classes=2, mean=0.0, std=1.0)
    weights = np.zeros((2, 12, 10), np.float32)
    weights[0, :4], weights[1, 8:] = above, below
    image = np.zeros((12, 10), np.uint8)
    image[0:4, 2:8] = image[8:12, 2:8] = 255
    bias = np.array([wall, 0], np.float32)
    return classifier.with_weights({"linear1.weight": weights.reshape(2, -1), "linear1.bias": bias}), image


def test_the_words_of_a_case_worked_by_hand() -> None:
    """24 inked pixels each: scores 24 x 0.2 = 4.8 for a, 24 x 0.1 = 2.4 for b; e^2.4 = 11."""
    found = explain_image(*two_bars(0.2, 0.1))
    first, second, third = tell_runner_up(found)
    assert first.startswith("Next comes b, with 8.3 %: its score is 2.4 lower, which makes it 11 times less")
    assert "speaks most for b (by 0.8)" in second and "most for a (by 1.6)" in second
    assert "at the bottom" in second or "lower" in second.partition(",")[0]
    # a third of the upper bar away: 3.2 against 2.4, 69 % for a
    assert third.startswith("No ninth") and "taken for a (69.0 %)" in third


def test_the_part_that_turns_the_answer_is_named() -> None:
    """2.64 against 2.4; without a third of the upper bar 1.76 against 2.4: b with 1 / (1 + e^-0.64)."""
    found = explain_image(*two_bars(0.11, 0.1))
    assert tell_runner_up(found)[-1].endswith("it would be taken for b (65.5 %).")
    assert tell_runner_up(found)[0].endswith("its score is 0.2 lower.")  # odds below two are not told


def test_a_blank_is_said_to_hold_no_ink() -> None:
    classifier, image = two_bars(0.2, 0.1, wall=1.0)
    assert tell_runner_up(explain_image(classifier, image * 0))[1:] == ["There is no ink in the picture."]


def test_what_is_said_of_neighbours(explained: Explanation) -> None:
    label = explained.winner
    other = (label + 1) % 4
    agreed = replace(explained, neighbours=voters([label] * 3, [0.1, 0.2, 0.3]))
    assert tell_neighbours(agreed) == [
        f"Of the 3 nearest of 1,234 training images all are {NAMES[label]}, as the network says."
    ]
    split = replace(explained, neighbours=voters([other, label, label], [0.1, 0.2, 0.3]))
    assert "vote agrees" in tell_neighbours(split)[0]
    against = replace(explained, neighbours=voters([other] * 2, [0.1, 0.2]))
    assert f"their vote, {NAMES[other]}, is not the network's answer" in tell_neighbours(against)[0]
    copied = replace(explained, neighbours=replace(voters([label], [0.1]), copies=2))
    assert "2 times among the training images" in tell_neighbours(copied)[1]
    assert tell_neighbours(replace(explained, neighbours=None)) == []


def test_the_line_of_the_likeliest(explained: Explanation) -> None:
    assert likeliest(explained, 2).startswith(
        f"{NAMES[explained.winner]} {probability(explained.probs.max())}"
    )


# on the terminal


def test_marks_are_for_against_and_neither() -> None:
    found = explain_image(*two_bars(0.2, 0.1))
    rows = draw_marks(found).split("\n")
    assert len(rows) == 6
    assert rows[0] == rows[1] == "  ++++++" and rows[2] == rows[3] == "" and rows[4] == rows[5] == "  ------"


def test_blocks_are_two_pixels_a_character() -> None:
    text = draw_blocks(explain_image(*two_bars(0.2, 0.1)))
    lines = text.plain.strip("\n").split("\n")
    assert len(lines) == 6 and set(map(len, lines)) == {10}
    odd = explain_image(small_classifier(LINEAR, shape=(7, 5)), small_images(1, (7, 5))[0])
    assert len(draw_blocks(odd).plain.strip("\n").split("\n")) == 4
