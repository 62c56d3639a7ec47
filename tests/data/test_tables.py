import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.data import tables
from tenfold.data.npz import read_npz
from tenfold.data.tables import class_labels, natural_key, parse_numbers, read_csv
from tenfold.errors import DataError, DataNotFoundError

HEADER = "label," + ",".join(f"pixel{k}" for k in range(4))


def csv(folder, text, name="digits.csv"):
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@settings(deadline=None, max_examples=100)
@given(
    rows=st.integers(1, 6),
    columns=st.integers(1, 6),
    data=st.data(),
    newline=st.sampled_from([b"\n", b"\r\n"]),
    end=st.booleans(),
)
def test_numbers_as_numpy_reads_them(rows, columns, data, newline, end):
    cells = st.integers(0, 255)
    table = data.draw(
        st.lists(st.lists(cells, min_size=columns, max_size=columns), min_size=rows, max_size=rows)
    )
    text = newline.join(",".join(map(str, row)).encode() for row in table) + newline * end
    parsed = parse_numbers(text)
    assert parsed is not None and parsed.dtype == np.uint8
    np.testing.assert_array_equal(parsed, np.loadtxt(text.decode().splitlines(), delimiter=",", ndmin=2))


def test_whole_numbers_written_as_fractions():
    assert parse_numbers(b"1.0,20.0\r\n100,0.0").tolist() == [[1, 20], [100, 0]]
    for text in (b"1.0.0,2", b".0,2", b"1.05,2", b"1,2.00"):
        assert parse_numbers(text) is None


def test_numbers_in_several_chunks(monkeypatch):
    monkeypatch.setattr(tables, "CHUNK", 50)
    table = np.random.default_rng(0).integers(0, 256, (40, 7))
    text = "\n".join(",".join(map(str, row)) for row in table).encode()
    np.testing.assert_array_equal(parse_numbers(text), table)


@pytest.mark.parametrize(
    "text", ["1,2\n3", "1,256\n1,2", "1,,2", "1,a", "1,-2", "1.5,2", "1,2\n\n3,4", "0001,2", ""]
)
def test_anything_else_is_left_to_the_slow_reader(text):
    assert parse_numbers(text.encode()) is None


@pytest.mark.parametrize("name", ["digits.csv", "digits.csv.gz"])
@pytest.mark.parametrize("header", [HEADER + "\n", "", "\ufeff" + HEADER + "\r\n", "a,b,c,d,e\n"])
def test_label_first(tmp_path, header, name):
    dataset = read_csv(csv(tmp_path, header + "1,0,64,128,255\n0,9,8,7,6\n", name))
    assert dataset.images.tolist() == [[[0, 64], [128, 255]], [[9, 8], [7, 6]]]
    assert dataset.labels.tolist() == [1, 0] and dataset.class_names == ("0", "1")
    assert dataset.name == name


@pytest.mark.parametrize("name", ["label", "target", "Class", '"y"'])
def test_label_by_name(tmp_path, name):
    dataset = read_csv(csv(tmp_path, f"a,b,c,d,{name}\n0,64,128,255,1\n9,8,7,6,0\n"))
    assert dataset.images[0].tolist() == [[0, 64], [128, 255]] and dataset.labels.tolist() == [1, 0]


def test_floats_quotes_and_words(tmp_path):
    dataset = read_csv(
        csv(tmp_path, f'{HEADER}\n"dog","0.4",1.5,"254.6",255\ncat10,1,2,3,4\ncat9, 1,2,3,4\n')
    )
    assert dataset.images[0].tolist() == [[0, 2], [255, 255]]
    assert dataset.class_names == ("cat9", "cat10", "dog") and dataset.labels.tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{HEADER}\n1,2,3,4,5\n1,2,nan,4,5\n", ["row 3, column 3", "nan", "0 to 255"]),
        ("1,2,3,4,5\n1,2,,4,5\n", ["row 2, column 3", "blank"]),
        ("1,2,3,4,5\n1,2,3,4,ink\n", ["row 2, column 5", "ink"]),
        ("1,2,3,ink,5\n1,2,3,4,5\n", ["row 1, column 4", "ink"]),
        ("1,2,3,4,5\n1,2,256,4,5\n", ["row 2, column 3", "256"]),
        ("1,2,3,4,5\n1,2,3,-1,5\n", ["row 2, column 4", "-1"]),
        ("1,2,3,4,5\n1,2,inf,4,5\n", ["row 2, column 3", "inf"]),
        ("a,b,c,d,y\n1,2,3,4,5\n1,2,300,4,5\n", ["row 3, column 3", "300"]),
        ("y,b,c,d,e\n1,2,3,4,5\n1,2,300,4,5\n", ["row 3, column 3", "300"]),
        ("a,b,c,y,e\n1,2,3,4,5\n1,2,0,4,300\n", ["row 3, column 5", "300"]),
        (f"{HEADER}\n1,2,3,4,5\n,2,3,4,5\n", ["row 3, column 1", "label"]),
        (f"{HEADER}\n1,2,3,4,5\nNaN,2,3,4,5\n", ["row 3, column 1", "label"]),
        (f"{HEADER}\n1,2,3,4,5\n-1,2,3,4,5\n", ["row 3", "label is -1"]),
        (f"{HEADER}\n1,2,3,4,5\n1.5,2,3,4,5\n", ["row 3", "label is 1.5"]),
        ("1,2,3,4,5\n1,2,3,4\n", ["row 2 has 4 columns", "expected 5"]),
        ("1,2,3,4,5\n\n1,2,3,4,5\n", ["row 2 has 1 column", "expected 5"]),
        (f"{HEADER}\n1,2,3,4\n0,1,2,3\n", ["row 2 has 4 columns", "expected 5"]),
        ("a,b,c,d,y\n1,2,3,4\n0,1,2,3\n", ["row 2 has 4 columns", "expected 5"]),
        ("a,b,c,d,y\n1,2,x,4\n0,1,2,3\n", ["row 2 has 4 columns", "expected 5"]),
        ("1,2,3\n0,1,2\n", ["2 pixels", "square", "label"]),
        ("1\n2\n", ["1 column", "commas"]),
        (f"{HEADER}\n", ["no rows"]),
        ("", ["no rows"]),
    ],
)
def test_what_is_wrong_with_a_table(tmp_path, text, words):
    path = csv(tmp_path, text)
    with pytest.raises(DataError) as error:
        read_csv(path)
    message = str(error.value)
    assert str(path) in message and "\n" not in message
    for word in words:
        assert word in message


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(DataNotFoundError):
        read_csv(tmp_path / "none.csv")


def test_natural_order():
    names = ["b", "10", "a10", "2", "a9", "A1"]
    assert sorted(names, key=natural_key) == ["2", "10", "A1", "a9", "a10", "b"]


def test_class_labels():
    assert class_labels(np.array([[3.0], [1.0]]), "x")[0].tolist() == [3, 1]
    assert class_labels(np.array([b"b", b"a"]), "x")[1] == ("a", "b")
    for bad in (np.zeros((2, 3)), np.array([1j]), np.zeros(0, int), np.array([np.nan]), np.array([10_000])):
        with pytest.raises(DataError, match="x"):
            class_labels(bad, "x")


IMAGES = np.arange(3 * 4, dtype=np.uint8).reshape(3, 2, 2)


def npz(folder, **arrays):
    np.savez(folder / "d.npz", **arrays)
    return folder / "d.npz"


@pytest.mark.parametrize(
    "images", [IMAGES, IMAGES[..., None], IMAGES.reshape(3, 4), IMAGES.astype(float), IMAGES.astype(int)]
)
def test_npz_shapes_and_types(tmp_path, images):
    found = read_npz(npz(tmp_path, images=images, labels=np.array([0, 2, 1])))
    assert list(found) == ["train"]
    np.testing.assert_array_equal(found["train"].images, IMAGES)
    assert found["train"].class_names == ("0", "1", "2")


def test_npz_as_keras_has_it(tmp_path):
    path = npz(
        tmp_path, x_train=IMAGES, y_train=np.array([0, 1, 1]), x_test=IMAGES[:1], y_test=np.array([[2]])
    )
    found = read_npz(path)
    assert len(found["train"]) == 3 and found["test"].labels.tolist() == [2]
    assert found["train"].class_names == found["test"].class_names == ("0", "1", "2")


def test_npz_with_words_for_labels(tmp_path):
    found = read_npz(npz(tmp_path, images=IMAGES, labels=np.array(["one", "two", "one"])))["train"]
    assert found.class_names == ("one", "two") and found.labels.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"pictures": IMAGES}, ["pictures", "images and labels"]),
        ({"images": IMAGES, "labels": np.array([{}, 1, 2])}, ["object array", "plain dtype"]),
        ({"images": IMAGES, "labels": np.zeros((3, 10))}, ["labels"]),
        ({"images": IMAGES, "labels": np.array([0, 1])}, ["3 images"]),
        ({"images": IMAGES.astype(float) * np.nan, "labels": np.arange(3)}, ["row 0, column 1", "nan"]),
        ({"images": IMAGES.astype(int) - 1, "labels": np.arange(3)}, ["row 0, column 1", "-1"]),
        ({"images": np.zeros((3, 2, 2, 4)), "labels": np.arange(3)}, ["(3, 2, 2, 4)", "1 or 3"]),
        ({"images": np.zeros((3, 5)), "labels": np.arange(3)}, ["5 pixels"]),
        ({"images": np.array(["a", "b"]).reshape(2, 1, 1), "labels": np.arange(2)}, ["numbers"]),
        (
            {"x_train": IMAGES, "y_train": np.array(list("abc")), "x_test": IMAGES, "y_test": np.arange(3)},
            ["labels"],
        ),
    ],
)
def test_what_is_wrong_with_an_npz(tmp_path, arrays, words):
    path = npz(tmp_path, **arrays)
    with pytest.raises(DataError) as error:
        read_npz(path)
    message = str(error.value)
    assert "d.npz" in message and "\n" not in message
    for word in words:
        assert word in message


@settings(deadline=None, max_examples=80)
@given(data=st.data())
def test_any_damage_to_an_npz_is_a_data_error_or_harmless(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("npz")
    whole = npz(folder, images=IMAGES, labels=np.arange(3)).read_bytes()
    damaged = bytearray(whole[: data.draw(st.integers(1, len(whole)))] if data.draw(st.booleans()) else whole)
    for _ in range(data.draw(st.integers(0, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    (folder / "d.npz").write_bytes(damaged)
    try:
        read_npz(folder / "d.npz")
    except DataError as error:
        assert "d.npz" in str(error) and "\n" not in str(error)


def test_npz_that_is_not_there_or_something_else(tmp_path):
    with pytest.raises(DataNotFoundError):
        read_npz(tmp_path / "none.npz")
    (tmp_path / "x.npz").write_bytes(b"no zip")
    with pytest.raises(DataError, match="not an npz file"):
        read_npz(tmp_path / "x.npz")
