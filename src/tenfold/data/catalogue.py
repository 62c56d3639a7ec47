"""The named data sets: what they are, where they are published, how to tell that they are right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tenfold.errors import DataNotFoundError, nearest

__all__ = ["CATALOGUE", "CatalogueEntry", "DataFile", "get_entry"]

DIGITS = tuple(str(digit) for digit in range(10))


@dataclass(frozen=True)
class DataFile:
    """One file as published.

    sha256: of the uncompressed payload. md5: of the file as published; checked after a download
    where no sha256 is known. "" is not known.
    """

    name: str
    sha256: str = ""
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
        DataFile("train-images-idx3-ubyte.gz", md5="8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        DataFile("train-labels-idx1-ubyte.gz", md5="25c81989df183df01b3e8a0aad5dffbe"),
    ),
    test=(
        DataFile("t10k-images-idx3-ubyte.gz", md5="bef4ecab320f06d8554ea6380940ec79"),
        DataFile("t10k-labels-idx1-ubyte.gz", md5="bb300cfdad3c16e7a12a480ee83cd310"),
    ),
    mirrors=(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
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
        DataFile("train-images-idx3-ubyte.gz", md5="bdb82020997e1d708af4cf47b453dcf7"),
        DataFile("train-labels-idx1-ubyte.gz", md5="e144d726b3acfaa3e44228e80efcd344"),
    ),
    test=(
        DataFile("t10k-images-idx3-ubyte.gz", md5="5c965bf0a639b31b8f53240b1b52f4d7"),
        DataFile("t10k-labels-idx1-ubyte.gz", md5="7320c461ea6c1c855c0b718fb2a4b134"),
    ),
    mirrors=(
        "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
    ),
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
    archive=DataFile("gzip.zip", md5="58c8d27c78d21e728a6bc7b3cc06412e"),
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
    train=(DataFile("usps.bz2", md5="ec16c51db3855ca6c91edd34d0e9b197"),),
    test=(DataFile("usps.t.bz2", md5="8ea070ee2aca1ac39742fdd1ef5ed118"),),
    mirrors=(
        "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/",
        "http://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/",
    ),
    source="J. Hull, 1994; scaled to -1..1 by LIBSVM",
)

CATALOGUE = {entry.name: entry for entry in (MNIST, FASHION_MNIST, KMNIST, EMNIST_DIGITS, QMNIST, USPS)}
