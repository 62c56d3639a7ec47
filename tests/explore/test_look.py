"""What is seen in a data set, against NumPy."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from looked_at import explorations, letters, noise

from tenfold.arrays import ImageDataset
from tenfold.errors import DataError, UsageError
from tenfold.explore.look import Record, explore_dataset
from tenfold.show.components import count_of
from tenfold.show.data_terminal import (
    duplicate_sentences,
    group_line,
    imbalance_sentence,
    name_row,
    pixel_rows,
)


def test_pixel_statistics_as_numpy_has_them() -> None:
    parts = letters()
    whole = np.concatenate([part.images for part in parts.values()])
    pixels = explore_dataset(parts).pixels
    assert (pixels.low, pixels.high) == (whole.min(), whole.max())
    assert pixels.mean == pytest.approx(whole.mean(), rel=1e-12)
    assert pixels.std == pytest.approx(whole.std(), rel=1e-9)
    assert pixels.ink == pytest.approx((whole > 0).mean()) and pixels.bright == pytest.approx(
        (whole > 127).mean()
    )
    np.testing.assert_array_equal(pixels.histogram, np.bincount(whole.ravel(), minlength=256))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 40), examples=st.integers(1, 9))
def test_each_class_against_numpy(seed: int, count: int, examples: int) -> None:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 5, 4), dtype=np.uint8)
    labels = rng.integers(0, 3, count)
    seen = explore_dataset(ImageDataset(images, labels, ("a", "b", "c")), examples=examples, seed=seed)
    for label, look in enumerate(seen.classes):
        members = np.flatnonzero(labels == label)
        assert look.count == len(members)
        if not look.count:
            assert not look.mean.any() and not look.spread.any() and look.ink == 0
            assert not len(look.typical) + len(look.unusual) + len(look.random)
            continue
        mine = images[members].astype(float)
        np.testing.assert_allclose(look.mean, mine.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(look.spread, mine.std(axis=0), atol=1e-5)
        assert look.ink == pytest.approx((mine > 0).mean())
        shown = [*look.typical.tolist(), *look.unusual.tolist()]
        assert len(set(shown)) == len(shown) <= 2 * examples and set(shown) <= set(members.tolist())
        if look.count >= 2:
            alike = np.corrcoef(look.mean.ravel(), mine.reshape(look.count, -1))[0, 1:]
            likeness = dict(zip(members.tolist(), alike.tolist(), strict=True))
            best, worst = sorted(alike)[::-1], sorted(alike)
            found = [likeness[row] for row in look.typical.tolist()]
            np.testing.assert_allclose(found, best[: len(found)], atol=1e-5)
            found = [likeness[row] for row in look.unusual.tolist()]
            np.testing.assert_allclose(found, worst[: len(found)], atol=1e-5)
        assert len(set(look.random.tolist())) == len(look.random) == min(examples, look.count)
        assert set(look.random.tolist()) <= set(members.tolist())


def test_the_seed_chooses_the_random_ones_and_nothing_else() -> None:
    one, same, other = (explore_dataset(noise(2, 60, (6, 6)), seed=seed) for seed in (0, 0, 1))
    for number in range(2):
        looks = [each.classes[number] for each in (one, same, other)]
        np.testing.assert_array_equal(looks[0].random, looks[1].random)
        assert set(looks[0].random) != set(looks[2].random)
        np.testing.assert_array_equal(looks[0].typical, looks[2].typical)


def test_parts_leaks_and_conflicts() -> None:
    seen = explore_dataset(letters())
    assert seen.parts == {"train": 40, "test": 10}
    np.testing.assert_array_equal(seen.counts, [[25, 15, 0], [3, 3, 4]])
    assert [name_row(seen, row) for row in (0, 39, 40, 49)] == ["train 0", "train 39", "test 0", "test 9"]
    with pytest.raises(IndexError):
        seen.place(50)
    assert [group.rows.tolist() for group in seen.groups] == [[5, 43], [3, 40], [7, 8]]
    assert [group.rows.tolist() for group in seen.conflicts] == [[5, 43]]
    assert seen.duplicates.leaked().tolist() == [0, 3]
    assert (
        duplicate_sentences(seen)[0]
        == "equal: 6 images in 3 groups, 2 across train and test, 1 labelled differently"
    )
    assert group_line(seen, seen.groups[0].rows, seen.groups[0].likeness) == (
        "train 5 (a), test 3 (b): equal, across train and test, labelled differently"
    )


def test_imbalance() -> None:
    seen = explore_dataset(letters())
    assert [look.name for look in seen.extremes] == ["c", "a"] and seen.imbalance == 7
    assert imbalance_sentence(seen) == (
        "largest 'a' (28), smallest 'c' (4): 7.00 to 1; who always says 'a' is right in 56.0 %"
    )
    train = explore_dataset(letters()["train"])
    assert train.imbalance is None
    assert imbalance_sentence(train).startswith("1 class has no images; who always says 'a'")
    assert imbalance_sentence(explore_dataset(noise(4, 1, (3, 3)))).startswith(
        "all classes have 1 image each"
    )


def test_near_duplicates_by_default_where_they_are_soon_found(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = noise(2, 10, (6, 6))
    assert explore_dataset(dataset).duplicates.near == ()
    assert explore_dataset(dataset, near=False).duplicates.near is None
    monkeypatch.setattr("tenfold.explore.look._SOON", 19)
    seen = explore_dataset(dataset)
    assert seen.duplicates.near is None
    assert "not looked for" in duplicate_sentences(seen)[1]


@pytest.mark.parametrize("kind", explorations())
def test_json_can_say_everything(kind: str) -> None:
    seen = explorations()[kind]
    document = json.loads(json.dumps(seen.to_dict(), allow_nan=False))
    assert document["images"] == len(seen.dataset) == sum(document["splits"].values())
    assert sum(each["images"] for each in document["classes"]) == document["images"]
    assert sum(document["pixels"]["histogram"]) == seen.dataset.images.size
    for each in document["classes"]:
        assert sum(each["splits"].values()) == each["images"]
    for group in document["duplicates"]["exact"]:
        rows = [seen.dataset.images[_row(seen.parts, image)] for image in group["images"]]
        assert all((row == rows[0]).all() for row in rows)


def _row(parts: dict[str, int], image: dict) -> int:
    before = {"train": 0, "test": parts.get("train", 0), "all": 0}
    return before[image["split"]] + image["index"]


def test_parts_that_do_not_fit_each_other() -> None:
    with pytest.raises(DataError, match=r"train and test differ .* --split"):
        explore_dataset({"train": noise(2, 3, (4, 4)), "test": noise(2, 3, (5, 4))})


def test_words() -> None:
    assert [count_of(n, "group") for n in (0, 1, 1200)] == ["0 groups", "1 group", "1,200 groups"]
    rows = dict(pixel_rows(explore_dataset(letters())))
    assert rows["mean"].endswith(f"{explore_dataset(letters()).pixels.mean / 255:.4f}")


def test_a_record_by_its_number() -> None:
    parts = letters()
    record = Record.find(parts, 43)
    assert (record.split, record.index, record.label) == ("test", 3, "b")
    np.testing.assert_array_equal(record.image, parts["test"].images[3])
    assert record.title == "letters (test), image 3"
    assert record.to_dict()["pixels"] == parts["test"].images[3].tolist()
    with pytest.raises(UsageError, match="image 50 of 50; expected 0 to 49"):
        Record.find(parts, 50)


@pytest.mark.mnist
def test_mnist_as_everyone_knows_it(mnist_dir) -> None:
    """The counts of Yann LeCun's page, and the mean and spread that every recipe standardises with."""
    from tenfold.data.load import DataRequest

    seen = explore_dataset(DataRequest("mnist", "all", mnist_dir).load_parts())
    assert seen.parts == {"train": 60_000, "test": 10_000}
    assert seen.counts[0].tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert seen.counts[1].tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert [look.name for look in seen.extremes] == ["5", "1"]
    assert seen.duplicates.exact == () and seen.duplicates.near is None
