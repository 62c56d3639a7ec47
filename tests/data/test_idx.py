import contextlib
import gzip
import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tenfold.data.idx import check_digest, parse_idx, read_idx, read_idx_pair, write_idx
from tenfold.errors import DataError, DataNotFoundError

DTYPES = st.sampled_from([np.dtype(code) for code in ("u1", "i1", "i2", "i4", "f4", "f8")])
ARRAYS = hnp.arrays(
    dtype=DTYPES, shape=hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5), elements={}
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("idx")


def by_hand(images: np.ndarray) -> bytes:
    """IDX as its description says, written without the code under test."""
    return (
        struct.pack(">HBB", 0, 8, images.ndim)
        + struct.pack(f">{images.ndim}I", *images.shape)
        + bytes(images)
    )


def one_line(error: pytest.ExceptionInfo[DataError], *words: str) -> None:
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@settings(deadline=None, max_examples=60)
@given(array=ARRAYS, packed=st.booleans())
def test_round_trip_of_every_type(folder, array, packed):
    path = folder / ("a.gz" if packed else "a")
    write_idx(path, array)
    read = read_idx(path)
    assert read.dtype == array.dtype and read.dtype.isnative
    np.testing.assert_array_equal(read, array)


@settings(deadline=None, max_examples=300)
@given(data=st.data(), packed=st.booleans())
def test_any_damage_is_a_data_error_or_a_valid_array(data, packed):
    whole = by_hand(np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4))
    whole = gzip.compress(whole, mtime=0) if packed else whole
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    damaged = bytearray(data.draw(st.sampled_from([whole, cut])))
    if damaged:
        for _ in range(data.draw(st.integers(0, 3))):
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    damaged += data.draw(st.binary(max_size=3))
    try:
        array = parse_idx(bytes(damaged), "file")
    except DataError as error:
        assert str(error).startswith("file") and "\n" not in str(error)
    else:
        assert isinstance(array, np.ndarray) and array.dtype.isnative


@settings(deadline=None)
@given(noise=st.binary(max_size=64))
def test_noise_after_a_magic_number(noise):
    for start in (b"", b"\0\0\x08\x03", b"\x1f\x8b", b"BZh9"):
        with contextlib.suppress(DataError):
            parse_idx(start + noise, "file")


def test_written_bytes_are_the_format(folder):
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    write_idx(folder / "x", images)
    assert (folder / "x").read_bytes() == by_hand(images)
    write_idx(folder / "y.gz", images)
    assert gzip.decompress((folder / "y.gz").read_bytes()) == by_hand(images)


def test_gzip_is_told_by_content(folder):
    images = np.ones((1, 2, 2), np.uint8)
    (folder / "plainly-named").write_bytes(gzip.compress(by_hand(images)))
    np.testing.assert_array_equal(read_idx(folder / "plainly-named"), images)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda raw: raw[:-5], ["cut short", "expected"]),
        (lambda raw: raw + b"more", ["followed by other bytes"]),
        (lambda raw: b"\x89PNG" + raw[4:], ["not an IDX file", "89504e47", "00000803"]),
        (lambda raw: b"", ["not an IDX file"]),
        (lambda raw: raw[:7], ["cut short", "header"]),
        (lambda raw: raw[:4] + b"\xff" * 12 + raw[16:], ["impossible"]),
        (lambda raw: gzip.compress(raw)[:-9], ["broken gzip"]),
        (lambda raw: gzip.compress(raw)[:-8] + bytes(8), ["broken gzip"]),
        (lambda raw: b"BZh9 but no more", ["broken bzip2"]),
    ],
)
def test_broken_files_name_file_and_remedy(tmp_path, damage, words):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(damage(by_hand(np.zeros((2, 3, 3), np.uint8))))
    with pytest.raises(DataError) as error:
        read_idx(path)
    one_line(error, str(path), "again", *words)


def test_no_flipped_bit_of_a_packed_file_changes_values_unnoticed(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 5), dtype=np.uint8)
    packed = gzip.compress(by_hand(images), mtime=0)
    refused = 0
    for place in range(len(packed)):
        for bit in range(8):
            flipped = bytearray(packed)
            flipped[place] ^= 1 << bit
            try:  # a few bits say nothing: the header's time, the padding after the last code
                np.testing.assert_array_equal(parse_idx(bytes(flipped), "x"), images)
            except DataError:
                refused += 1
    assert refused > 0.8 * 8 * len(packed)


def test_empty_arrays_with_impossible_sides_are_refused():
    with pytest.raises(DataError, match="impossible"):
        parse_idx(b"\0\0\x08\x04" + struct.pack(">4I", 0, *[2**32 - 1] * 3), "x")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(DataNotFoundError, match="not there"):
        read_idx(tmp_path / "none")
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path)


@pytest.mark.parametrize("array", [np.zeros((2, 2), np.int64), np.array(3, np.uint8), np.zeros(2, complex)])
def test_what_idx_cannot_hold(tmp_path, array):
    with pytest.raises(DataError, match="cannot hold"):
        write_idx(tmp_path / "x", array)
    assert not list(tmp_path.iterdir())


def test_pair(tmp_path):
    write_idx(tmp_path / "i", np.zeros((3, 2, 2), np.uint8))
    write_idx(tmp_path / "l", np.array([1, 0, 2], np.uint8))
    write_idx(tmp_path / "q", np.array([[5, 99], [6, 99], [7, 99]], np.int32))  # QMNIST's table of labels
    images, labels = read_idx_pair(tmp_path / "i", tmp_path / "l")
    assert images.shape == (3, 2, 2) and labels.dtype == np.int64 and labels.tolist() == [1, 0, 2]
    assert read_idx_pair(tmp_path / "i", tmp_path / "q")[1].tolist() == [5, 6, 7]


def test_pair_of_different_counts_names_both(tmp_path):
    write_idx(tmp_path / "i", np.zeros((3, 2, 2), np.uint8))
    write_idx(tmp_path / "l", np.zeros(4, np.uint8))
    with pytest.raises(DataError) as error:
        read_idx_pair(tmp_path / "i", tmp_path / "l")
    one_line(error, str(tmp_path / "i"), str(tmp_path / "l"), "3 images", "4 labels")


def test_pair_the_wrong_way_round(tmp_path):
    write_idx(tmp_path / "i", np.zeros((3, 2, 2), np.uint8))
    write_idx(tmp_path / "l", np.zeros(3, np.uint8))
    with pytest.raises(DataError, match="labels' file"):
        read_idx_pair(tmp_path / "l", tmp_path / "i")
    with pytest.raises(DataError, match="images' file"):
        read_idx_pair(tmp_path / "i", tmp_path / "i")


def test_sha256(tmp_path):
    check_digest(tmp_path, hashlib.sha256(b"abc").hexdigest(), payload=b"abc")
    with pytest.raises(DataError, match="other contents"):
        check_digest(tmp_path, hashlib.sha256(b"abc").hexdigest(), payload=b"abd")
