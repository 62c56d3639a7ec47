import re

import pytest

from tenfold.data.catalogue import CATALOGUE, get_entry
from tenfold.errors import DataNotFoundError

NAMES = ["mnist", "fashion-mnist", "kmnist", "emnist-digits", "qmnist", "usps"]


def test_all_are_there():
    assert list(CATALOGUE) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_is_whole(name):
    entry = get_entry(name)
    assert entry.name == name and entry.title and entry.source
    assert len(set(entry.class_names)) == len(entry.class_names) == 10
    assert min(entry.counts) > 0 and min(entry.image_shape) >= 16
    assert len(entry.train) == len(entry.test) == (2 if entry.form == "idx" else 1)
    assert len({file.name for file in entry.files}) == len(entry.files)
    assert entry.mirrors
    for mirror in entry.mirrors:
        assert re.fullmatch(r"https://[\w.-]+/([\w.~-]+/)*", mirror)
    for file in (*entry.files, *([entry.archive] if entry.archive else [])):
        assert re.fullmatch(r"[0-9a-f]{64}|", file.sha256) and re.fullmatch(r"[0-9a-f]{32}|", file.md5)
        assert re.fullmatch(r"[0-9a-f]{64}|", file.published_sha256)
        assert file.sha256 or file.published_sha256 or file.md5 or entry.archive
    assert entry.archive is None or entry.archive.published_sha256


def test_an_unknown_name():
    with pytest.raises(DataNotFoundError, match="did you mean 'fashion-mnist'"):
        get_entry("fashion_mnist")
    with pytest.raises(DataNotFoundError, match="did you mean 'sample'"):
        get_entry("sampel")
