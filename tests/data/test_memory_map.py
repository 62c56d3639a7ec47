"""Memory-mapped data sets: the same figures as in memory, and memory bounded by what is asked for."""

import gzip
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.arrays import ImageDataset, ImageRows, iterate_pieces
from tenfold.data import batches
from tenfold.data.batches import DataSummary, iterate_batches, split_dataset
from tenfold.data.catalogue import CATALOGUE, local_file
from tenfold.data.idx import parse_idx, read_idx, read_payload, write_idx
from tenfold.data.load import load_dataset
from tenfold.pictures.normalize import find_background
from tenfold.recipes.load import change_recipe, get_recipe
from tenfold.settings import AugmentationSettings
from tenfold.training.loop import train
from tenfold.training.prepare import input_scaling

ROOT = Path(__file__).parents[2]


def make(folder: Path, count: int = 700, side: int = 9) -> tuple[ImageDataset, ImageDataset]:
    """The same data set memory-mapped and in memory."""
    rng = np.random.default_rng(1)
    labels = (np.arange(count) % 3).astype(np.uint8)
    images = rng.integers(0, 90, (count, side, side), dtype=np.uint8) + labels[:, None, None] * 60
    write_idx(folder / "train-images-idx3-ubyte", images)
    write_idx(folder / "train-labels-idx1-ubyte", labels)
    mapped = load_dataset(folder, split="all")
    return mapped, ImageDataset(images, labels, mapped.class_names, mapped.name)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[ImageDataset, ImageDataset]:
    return make(tmp_path_factory.mktemp("both"))


def test_an_uncompressed_file_is_mapped_and_read_only(both):
    mapped, plain = both
    assert isinstance(mapped.images, np.memmap) and not mapped.images.flags.writeable
    np.testing.assert_array_equal(mapped.images, plain.images)


def test_a_part_of_a_mapped_set_reads_nothing_until_asked(both):
    train_set, val_set = split_dataset(both[0], 0.2, seed=0)
    again = train_set.subset(np.arange(0, len(train_set), 2))
    for part in (train_set, val_set, again):
        assert isinstance(part.images, ImageRows) and part.images.base.base is not None
        assert np.shares_memory(part.images.base, both[0].images)
    assert isinstance(split_dataset(both[1], 0.2, seed=0)[0].images, np.ndarray)


INDICES = st.one_of(
    st.integers(-5, 4),
    st.slices(5),
    st.lists(st.integers(-5, 4), max_size=7).map(lambda some: np.array(some, dtype=np.int64)),
    st.lists(st.booleans(), min_size=5, max_size=5).map(np.array),
    st.tuples(st.slices(5), st.integers(0, 2)),
    st.just((slice(None), -1, slice(1, 3))),
)


@settings(deadline=None)
@given(index=INDICES, rows=st.lists(st.integers(0, 7), min_size=5, max_size=5))
def test_rows_answer_as_the_array_they_stand_for(index, rows):
    base = np.arange(8 * 3 * 4, dtype=np.uint8).reshape(8, 3, 4)
    images, array = ImageRows(base, np.array(rows)), base[rows]
    np.testing.assert_array_equal(images[index], array[index])
    assert isinstance(images[index], np.ndarray | np.uint8)


def test_rows_are_as_good_as_an_array():
    base = np.random.default_rng(0).integers(0, 256, (8, 3, 4), dtype=np.uint8)
    images, array = ImageRows(base, np.array([5, 1, 1, 7])), base[[5, 1, 1, 7]]
    for name in ("shape", "ndim", "dtype", "size", "nbytes", "itemsize"):
        assert getattr(images, name) == getattr(array, name)
    assert len(images) == 4 and images.mean() == array.mean() and (images == array).all()
    np.testing.assert_array_equal(np.concatenate([images, images]), np.concatenate([array, array]))
    np.testing.assert_array_equal(list(images), list(array))
    np.testing.assert_array_equal(255 - images, 255 - array)
    np.testing.assert_array_equal(images.reshape(4, -1), array.reshape(4, -1))
    assert np.asarray(images, np.float32).dtype == np.float32


def test_size_and_kind_are_told_without_reading():
    class Untouchable(np.ndarray):
        def __getitem__(self, index):
            raise AssertionError("read")

    images = ImageRows(np.zeros((9, 2, 2), np.uint8).view(Untouchable), np.arange(4))
    ImageDataset(images, np.array([0, 1, 0, 1]), ("a", "b")).subset(np.array([1, 2]))


def test_the_same_figures_mapped_and_in_memory(both):
    for mapped, plain in zip(
        split_dataset(both[0], 0.2, seed=0), split_dataset(both[1], 0.2, seed=0), strict=True
    ):
        assert mapped.sha256() == plain.sha256()
        assert find_background(mapped.images) == find_background(plain.images)
        ours, theirs = DataSummary.of(mapped, examples=3), DataSummary.of(plain, examples=3)
        assert vars(ours).keys() == vars(theirs).keys()
        for key, value in vars(ours).items():
            np.testing.assert_array_equal(value, getattr(theirs, key))


@pytest.mark.parametrize("shuffle", [True, False])
def test_the_same_batches(both, shuffle):
    def batches(dataset):
        return iterate_batches(
            dataset,
            batch_size=64,
            shuffle=shuffle,
            drop_last=False,
            augmentation=AugmentationSettings(rotation=5),
            seed=3,
            epoch=1,
        )

    parts = [split_dataset(dataset, 0.2, seed=0)[0] for dataset in both]
    for ours, theirs in zip(batches(parts[0]), batches(parts[1]), strict=True):
        assert type(ours.images) is np.ndarray or not shuffle
        np.testing.assert_array_equal(ours.images, theirs.images)
        np.testing.assert_array_equal(ours.labels, theirs.labels)
        np.testing.assert_array_equal(ours.augmentation.affine, theirs.augmentation.affine)


@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_the_same_weights_bit_for_bit(both, engine, tmp_path):
    recipe = change_recipe(
        get_recipe("mlp-120-84"),
        {"network.layers": ["flatten", "linear 9", "relu", "linear classes"], "training.epochs": 2},
    )
    weights = []
    for name, dataset in zip(("mapped", "plain"), both, strict=True):
        parts = split_dataset(dataset, 0.2, seed=0)
        result = train(recipe, *parts, engine=engine, run_dir=tmp_path / name)
        weights.append((tmp_path / name / "model.safetensors").read_bytes())
        assert result.history[-1].val_accuracy is not None
    assert weights[0] == weights[1]


def test_a_file_that_is_replaced_leaves_the_map_whole(tmp_path):
    path = tmp_path / "x"
    write_idx(path, np.full((4, 3, 3), 7, np.uint8))
    before = read_idx(path)
    write_idx(path, np.zeros((1, 1, 1), np.uint8))
    assert (before == 7).all() and read_idx(path).shape == (1, 1, 1)


def test_an_empty_file_and_a_pipe_are_not_mapped(tmp_path):
    write_idx(tmp_path / "x", np.zeros(0, np.uint8))
    assert read_idx(tmp_path / "x").shape == (0,)
    code = "import sys; from tenfold.data.idx import read_idx; print(read_idx('/dev/stdin').sum())"
    raw = struct.pack(">4BI", 0, 0, 8, 1, 3) + bytes([1, 2, 3])
    if Path("/dev/stdin").exists():
        done = subprocess.run([sys.executable, "-c", code], input=raw, capture_output=True, check=True)
        assert done.stdout.strip() == b"6"


def test_of_a_file_packed_and_not_the_latter_is_read(tmp_path):
    file = CATALOGUE["mnist"].train[0]
    for name in (file.name, file.name.removesuffix(".gz")):
        (tmp_path / name).touch()
    found = local_file(tmp_path, file)
    assert found is not None and found.suffix != ".gz"


@settings(deadline=None)
@given(
    parts=st.lists(st.binary(max_size=40), min_size=1, max_size=4), tail=st.sampled_from([b"", b"\0\0\0\0"])
)
def test_gzip_of_several_streams_is_read_whole(tmp_path_factory, parts, tail):
    path = tmp_path_factory.getbasetemp() / "streams.gz"
    for some in (parts, parts[:1] * 3):
        path.write_bytes(b"".join(gzip.compress(part) for part in some) + tail)
        assert read_payload(path) == b"".join(some)


def test_a_length_that_lies_reserves_no_memory():
    packed = bytearray(gzip.compress(bytes(100)))
    packed[-4:] = b"\xff\xff\xff\xff"
    tracemalloc.start()
    with pytest.raises(Exception, match="broken gzip"):
        parse_idx(bytes(packed), "x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@settings(deadline=None)
@given(shape=st.tuples(st.integers(1, 700), st.integers(1, 41), st.integers(1, 41)), seed=st.integers(0, 99))
def test_pixels_are_counted_and_walked_whole(shape, seed):
    images = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(
        ImageDataset.count_pixels(images), np.bincount(images.reshape(-1), minlength=256)
    )
    np.testing.assert_array_equal(np.concatenate(list(iterate_pieces(images))), images)


SIDE, COUNT = 256, 32_768  # 2 GiB of images, all zero: a file with a hole, which takes no disk


def make_sparse(folder: Path) -> None:
    with (folder / "train-images-idx3-ubyte").open("wb") as file:
        file.write(struct.pack(">4B3I", 0, 0, 8, 3, COUNT, SIDE, SIDE))
        file.truncate(16 + COUNT * SIDE * SIDE)
    write_idx(folder / "train-labels-idx1-ubyte", (np.arange(COUNT) % 2).astype(np.uint8))


def test_memory_is_bounded_by_the_batch(tmp_path):
    """Opening 2 GiB, splitting, and taking batches: no more than the batches, and what there is of labels.

    An image more costs at most ten whole numbers of eight bytes at a time: labels, indices of the parts,
    the order of an epoch, and what is sorted and compared to make them.
    """
    make_sparse(tmp_path)
    settings_ = AugmentationSettings()
    tracemalloc.start()
    dataset = load_dataset(tmp_path, split="all")
    train_set, val_set = split_dataset(dataset, 0.1, seed=0)
    batches = iterate_batches(
        train_set, batch_size=64, shuffle=True, drop_last=True, augmentation=settings_, seed=0, epoch=0
    )
    images = [next(batches).images.shape for _ in range(8)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert images == [(64, SIDE, SIDE)] * 8 and len(val_set) == round(0.1 * COUNT)
    batch = 64 * SIDE * SIDE
    assert peak < 2 * batch + 10 * 8 * COUNT + (1 << 20)


def test_walking_a_mapped_set_keeps_memory_small(tmp_path):
    """What training looks at before it begins, on 655 images (41 MiB) of the 2 GiB."""
    make_sparse(tmp_path)
    part = split_dataset(load_dataset(tmp_path, split="all"), 0.02, seed=0)[1]
    recipe = get_recipe("softmax-sgd")
    recipe = change_recipe(recipe, {"input.scaling": "standardise"})
    tracemalloc.start()
    part.sha256()
    mean, std = input_scaling(recipe, part)
    find_background(part.images)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert mean == 0 and std == 1e-6
    # pieces of 256 KiB: counted in pairs as int64, that is eight bytes for each two
    assert peak < 8 << 20


def test_copies_of_mnist_are_written_in_pieces(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import augmented_copies

    plain = make(tmp_path, side=12)[1]
    monkeypatch.setattr(augmented_copies, "PIECE", 100)
    augmented_copies.write_copies(plain, plain.subset(np.arange(30)), tmp_path / "out", times=3, seed=0)
    copies, test_set = load_dataset(tmp_path / "out"), load_dataset(tmp_path / "out", split="test")
    assert len(copies) == 3 * len(plain) and len(test_set) == 30
    np.testing.assert_array_equal(copies.images[: len(plain)], plain.images)
    np.testing.assert_array_equal(copies.labels, np.tile(plain.labels, 3))
    first, second = (copies.images[k * len(plain) : (k + 1) * len(plain)] for k in (1, 2))
    assert (first != plain.images).any() and (first != second).any()


def test_a_large_map_is_shuffled_in_blocks(both, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every image once, a pure function of seed and epoch; what fits into memory keeps its order."""
    mapped, plain = both
    part = mapped.subset(np.random.default_rng(0).permutation(700)[:601])

    def order(dataset: ImageDataset, epoch: int = 0) -> np.ndarray:
        found, _ = batches._order(dataset.images, np.random.default_rng([3, epoch, 1]))
        assert sorted(found.tolist()) == list(range(len(dataset)))
        return found

    usual = np.random.default_rng([3, 0, 1]).permutation(700)
    np.testing.assert_array_equal(order(mapped), usual)
    monkeypatch.setenv("TENFOLD_MAX_BYTES", "10000")
    monkeypatch.setattr(batches, "_BLOCK_BYTES", 10 * 81)
    monkeypatch.setattr(batches, "_WINDOW", 4)
    np.testing.assert_array_equal(order(plain), usual)
    for dataset, rows in ((mapped, np.arange(700)), (part, part.images.rows)):
        found = order(dataset)
        np.testing.assert_array_equal(found, order(dataset))
        assert (found != order(dataset, 1)).any()
        rank = np.argsort(np.argsort(rows))[found]  # of each image's place in the file
        windows = [rank[start : start + 40] // 10 for start in range(0, len(rank), 40)]
        assert all(len(np.unique(window)) <= 5 for window in windows)  # blocks, one of them cut
        assert all((np.diff(rank[start : start + 40]) < 0).any() for start in range(0, len(rank) - 40, 40))
        steps = (rank[:-1] // 10 != rank[1:] // 10).mean()
        assert steps > 0.6  # 3 of 4 neighbours come from another block of the window


@pytest.mark.parametrize("batch_size", [7, 40, 100])
def test_windows_of_a_large_map_give_the_images_of_its_order(
    both, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches that straddle windows, the cut last window, and a subset whose rows are in no order."""
    mapped, plain = both
    monkeypatch.setenv("TENFOLD_MAX_BYTES", "10000")
    monkeypatch.setattr(batches, "_BLOCK_BYTES", 10 * 81)
    monkeypatch.setattr(batches, "_WINDOW", 4)
    rows = np.random.default_rng(0).permutation(700)[:601]
    for dataset, reference in ((mapped, plain), (mapped.subset(rows), plain.subset(rows))):
        order, _ = batches._order(dataset.images, np.random.default_rng([3, 2, 1]))
        found = list(
            batches.iterate_batches(
                dataset, batch_size=batch_size, shuffle=True, drop_last=False,
                augmentation=AugmentationSettings(), seed=3, epoch=2,
            )
        )  # fmt: skip
        np.testing.assert_array_equal(
            np.concatenate([batch.images for batch in found]), reference.images[order]
        )
        np.testing.assert_array_equal(
            np.concatenate([batch.labels for batch in found]), reference.labels[order]
        )
