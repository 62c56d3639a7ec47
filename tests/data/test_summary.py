import json

import numpy as np
import pytest

from tenfold.arrays import ImageDataset
from tenfold.data.batches import DataSummary
from tenfold.errors import DataError

RNG = np.random.default_rng(0)
LABELS = np.array([0] * 30 + [1] * 3 + [3] * 9000)
DATASET = ImageDataset(
    RNG.integers(0, 256, (len(LABELS), 5, 4), dtype=np.uint8), LABELS, tuple("abcd"), "letters", "a note"
)


def test_figures_as_numpy_has_them():
    summary = DataSummary.of(DATASET)
    scaled = DATASET.images / 255
    assert summary.pixel_mean == pytest.approx(scaled.mean(), rel=1e-12)
    assert summary.pixel_std == pytest.approx(scaled.std(), rel=1e-9)
    assert summary.class_counts.tolist() == [30, 3, 0, 9000] and summary.class_counts.dtype == np.int64
    assert (summary.count, summary.image_shape, summary.name, summary.note) == (
        9033,
        (5, 4),
        "letters",
        "a note",
    )
    assert summary.sha256 == DATASET.sha256()
    for label in (0, 1, 3):
        mean = DATASET.images[np.equal(LABELS, label)].mean(axis=0)
        np.testing.assert_allclose(summary.class_means[label], mean, atol=0.5 + 1e-9)
    assert not summary.class_means[2].any()


def test_examples_are_images_of_their_class():
    examples = DataSummary.of(DATASET, examples=7).examples
    assert examples.shape == (4, 7, 5, 4) and examples.dtype == np.uint8
    for label in (0, 1, 3):
        known = {image.tobytes() for image in DATASET.images[np.equal(LABELS, label)]}
        shown = [image.tobytes() for image in examples[label]]
        assert set(shown) <= known and len(set(shown)) == min(7, len(known))
    assert not examples[2].any()


def test_the_seed_chooses():
    one, same, other = (DataSummary.of(DATASET, seed=seed).examples for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_one_value_has_no_spread():
    images = np.full((4, 2, 2), 255, np.uint8)
    summary = DataSummary.of(ImageDataset(images, np.array([0, 1, 0, 1]), ("a", "b")))
    assert (summary.pixel_mean, summary.pixel_std) == (1.0, 0.0)


def test_saved_and_loaded(tmp_path):
    summary = DataSummary.of(DATASET)
    summary.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data_summary.json", "data_summary.npz"]
    assert json.loads((tmp_path / "data_summary.json").read_text())["count"] == 9033
    loaded = DataSummary.load(tmp_path)
    for key, value in vars(summary).items():
        np.testing.assert_array_equal(getattr(loaded, key), value)
        assert type(getattr(loaded, key)) is type(value)


@pytest.mark.parametrize("name", ["data_summary.json", "data_summary.npz"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"PK\x03\x04"])
def test_broken_files(tmp_path, name, content):
    DataSummary.of(DATASET).save(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=r"cannot be read .*a summary of the data") as error:
        DataSummary.load(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.mnist
def test_the_well_known_figures_of_mnist(mnist_dir):
    from tenfold.data.load import load_dataset

    summary = DataSummary.of(load_dataset("mnist", data_dir=mnist_dir))
    # 0.1307 and 0.3081: what every recipe for MNIST standardises with
    assert round(summary.pixel_mean, 4) == 0.1307 and round(summary.pixel_std, 4) == 0.3081
