"""ImageDataset and Prediction, checked when made; batches, a pure function of seed and epoch."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.arrays import Batch, ImageDataset, Prediction, WeightedDataset, image_place
from tenfold.data.batches import iterate_batches
from tenfold.errors import DataError, FigureNotMetError, RecipeError, TenfoldError, UsageError, nearest
from tenfold.files import Claim, replace_file, write_text
from tenfold.recipes.schema import TrainingSettings
from tenfold.records import Record
from tenfold.settings import AugmentationSettings

IMAGES = np.arange(5 * 3 * 4, dtype=np.uint8).reshape(5, 3, 4)
LABELS = np.array([0, 1, 2, 1, 0])


def make(images: Any = IMAGES, labels: Any = LABELS, names: Any = ("a", "b", "c")) -> ImageDataset:
    return ImageDataset(images, labels, names, "thing")


def test_what_a_data_set_offers() -> None:
    dataset = make(labels=LABELS.astype(np.uint8), names=["a", "b", "c"])
    assert len(dataset) == 5 and dataset.image_shape == (3, 4)
    assert dataset.labels.dtype == np.int64 and dataset.class_names == ("a", "b", "c")
    assert dataset.classes == ["a", "b", "c"] and dataset.targets is dataset.labels
    assert dataset.class_counts().tolist() == [2, 2, 1]
    image, label = dataset[2]
    assert label == 2 and type(label) is int
    np.testing.assert_array_equal(image, IMAGES[2])
    chosen = dataset.__getitems__([3, 0])
    assert [label for _, label in chosen] == [1, 0]
    np.testing.assert_array_equal(chosen[0][0], IMAGES[3])
    assert len(list(dataset)) == 5


def test_it_is_frozen() -> None:
    dataset = make(IMAGES.copy(), LABELS.copy())
    for array in (dataset.images, dataset.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(AttributeError):
        dataset.name = "other"  # type: ignore[misc]


def test_subset_keeps_order_and_names() -> None:
    part = make().subset(np.array([4, 1]), name="part")
    assert part.labels.tolist() == [0, 1] and part.name == "part" and part.class_names == ("a", "b", "c")
    assert make().subset(np.array([0])).name == "thing"


@pytest.mark.parametrize("kind", [ImageDataset, WeightedDataset])
@pytest.mark.parametrize(
    ("indices", "files"),
    [
        (np.array([4, 1, 1]), ("e.png", "b.png", "b.png")),
        (np.array([True, False, False, True, False]), ("a.png", "d.png")),
        (slice(1, 3), ("b.png", "c.png")),
    ],
)
def test_subset_keeps_files(kind: type[ImageDataset], indices: Any, files: tuple[str, ...]) -> None:
    dataset = kind(IMAGES, LABELS, ("a", "b", "c"), files=tuple(f"{letter}.png" for letter in "abcde"))
    assert dataset.subset(indices).files == files
    assert dataset.sha256() == make().sha256() and make().subset(indices).files == ()


def test_files_are_as_many_as_images() -> None:
    with pytest.raises(DataError, match="5 images but 2 files"):
        ImageDataset(IMAGES, LABELS, ("a", "b", "c"), files=("1.png", "2.png"))


def test_what_names_an_image() -> None:
    assert image_place(np.int64(1), ("a/1.png", "a/2.png")) == {"index": 1, "file": "a/2.png"}
    assert image_place(1) == {"index": 1}


@settings(deadline=None, max_examples=25)
@given(st.lists(st.text(st.characters(exclude_characters="\0"), min_size=1)))
def test_files_are_packed_and_unpacked(files: list[str]) -> None:
    with TemporaryDirectory() as folder:
        Record(Path(folder), "kept").write({}, {}, files)
        arrays = Record(Path(folder), "kept").read_arrays()
    assert arrays["files"].dtype == np.uint8 and Record.files_of(arrays) == tuple(files)


def test_sha256_tells_content_order_and_shape_apart() -> None:
    first = make().sha256()
    assert first == make(np.asfortranarray(IMAGES)).sha256() and len(first) == 64
    others = [
        make(IMAGES[::-1]),
        make(labels=LABELS[::-1] * 0),
        make(IMAGES.reshape(5, 4, 3)),
        make().subset(np.arange(4)),
    ]
    assert len({first, *(other.sha256() for other in others)}) == 5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"images": IMAGES.astype(np.float32)}, "float32"),
        ({"images": IMAGES[0]}, "(3, 4)"),
        ({"images": IMAGES[..., None]}, "(5, 3, 4, 1)"),
        ({"labels": LABELS[:4]}, "5 images but labels of shape (4,)"),
        ({"labels": LABELS.astype(float)}, "float64"),
        ({"labels": LABELS > 0}, "bool"),
        ({"labels": LABELS[:, None]}, "(5, 1)"),
        ({"labels": LABELS - 1}, "labels from -1 to 1"),
        ({"labels": LABELS + 1}, "labels from 1 to 3"),
        ({"labels": LABELS.astype(np.uint64) + np.uint64(2**63)}, "0 to 2"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, "no images"),
        ({"images": IMAGES[:, :0]}, "no images"),
        ({"names": ("a",)}, "two classes"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError) as error:
        make(**changes)
    assert words in str(error.value) and str(error.value).startswith("thing: ")
    assert "\n" not in str(error.value)


def test_prediction() -> None:
    probs = np.array([0.2, 0.5, 0.2, 0.1], np.float32)
    prediction = Prediction("b", 0.5, probs, ("a", "b", "c", "d"), (1, 2, 3, 4))
    assert [name for name, _ in prediction.alternatives(3)] == ["b", "a", "c"]  # a tie keeps the order
    document = prediction.to_dict()
    assert document["label"] == "b" and document["box"] == (1, 2, 3, 4) and len(document["probs"]) == 4


def batches(dataset: ImageDataset, **changes: Any) -> list[Batch]:
    options: dict[str, Any] = {
        "batch_size": 32, "shuffle": True, "drop_last": False, "augmentation": AugmentationSettings(),
        "seed": 1, "epoch": 0,
    }  # fmt: skip
    return list(iterate_batches(dataset, **(options | changes)))


def numbered(count: int) -> ImageDataset:
    """Every image says which it is."""
    images = np.zeros((count, 2, 4), np.uint8)
    images.reshape(count, 8)[:, :4] = np.arange(count, dtype="<u4")[:, None].view(np.uint8)
    return ImageDataset(images, np.arange(count) % 2, ("even", "odd"))


def numbers(found: list[Batch]) -> np.ndarray:
    images = np.concatenate([batch.images for batch in found])
    return np.ascontiguousarray(images.reshape(len(images), 8)[:, :4]).view("<u4")[:, 0]


@given(
    count=st.integers(1, 200),
    size=st.integers(0, 70),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
    epoch=st.integers(0, 3),
)
def test_an_epoch_meets_every_image_once(
    count: int, size: int, shuffle: bool, drop_last: bool, epoch: int
) -> None:
    dataset = numbered(count)
    found = batches(dataset, batch_size=size, shuffle=shuffle, drop_last=drop_last, epoch=epoch)
    assert len(found) == TrainingSettings(batch_size=size, drop_last=drop_last).plan_steps(count)[1] >= 1
    sizes = [len(batch) for batch in found]
    whole = min(size, count) or count
    assert set(sizes[:-1]) <= {whole} and (sizes[-1] == whole or not drop_last)
    met = numbers(found)
    assert len(set(met)) == len(met) == (len(found) * whole if drop_last else count)
    np.testing.assert_array_equal(np.concatenate([batch.labels for batch in found]), met % 2)
    if not shuffle:
        np.testing.assert_array_equal(met, np.arange(len(met)))


def test_seed_and_epoch_decide_order_and_augmentation() -> None:
    dataset, on = numbered(200), AugmentationSettings(rotation=10, crop_padding=1)
    first = batches(dataset, augmentation=on)
    again = batches(dataset, augmentation=on)
    np.testing.assert_array_equal(numbers(first), numbers(again))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.augmentation.affine, two.augmentation.affine)
    for change in ({"seed": 2}, {"epoch": 1}):
        other = batches(dataset, augmentation=on, **change)
        assert not np.array_equal(numbers(first), numbers(other))
        assert not np.array_equal(first[0].augmentation.affine, other[0].augmentation.affine)
    assert not np.array_equal(first[0].augmentation.affine, first[1].augmentation.affine)
    np.testing.assert_array_equal(numbers(first), numbers(batches(dataset)))  # the order stays without it
    assert batches(dataset)[0].augmentation is None


# files


def test_replace_file_replaces_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file.txt"
    write_text(path, "one\n")
    write_text(path, "zwei €\n")
    assert path.read_bytes() == "zwei €\n".encode() and list(path.parent.iterdir()) == [path]


def test_replace_file_leaves_the_old_and_nothing_else_on_failure(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), replace_file(path) as beside:
        beside.write_text("half")
        assert path.read_text() == "old"
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError), replace_file(path):
        pass  # nothing was written
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_nothing_can_be_planted_in_the_place_of_a_part(tmp_path: Path) -> None:
    """The parts of one file, also of one process, have names that nobody can foretell, and of any length."""
    path, names = tmp_path / ("n" * 250), set()
    for _ in range(20):
        with replace_file(path) as beside:
            assert not beside.exists() and beside.parent == tmp_path
            names.add(beside.name)
            beside.write_text("x")
    random = {re.fullmatch(r"\.n+\.([0-9a-f]{16})\.part", name)[1] for name in names}  # type: ignore[index]
    assert len(random) == 20 and list(tmp_path.iterdir()) == [path]


def test_remove_parts_takes_only_parts(tmp_path: Path) -> None:
    keep = tmp_path / "below" / "model.safetensors"
    write_text(keep, "x")
    (tmp_path / ".model.json.77.part").write_text("half")
    (tmp_path / "below" / ".model.safetensors.78.part").write_text("half")
    (tmp_path / "my.part").write_text("a user's own")
    Claim.remove_parts(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        "model.safetensors",
        "my.part",
    ]


# errors


def test_errors_say_found_expected_and_remedy_in_one_line() -> None:
    error = TenfoldError("a\n b", expected="c", remedy="do d")
    assert str(error) == "a b; expected c; do d"
    codes = {DataError: 1, UsageError: 2, RecipeError: 2, FigureNotMetError: 3}
    assert all(kind.exit_code == code for kind, code in codes.items())
    assert nearest("tset", ["train", "test"]) == "did you mean 'test'?"
    assert nearest("zzz", ["train", "test"]) == "known: test, train"
