"""Files as other libraries write them, and their data sets in Python, against the arrays inside."""

import io
import os
import warnings

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import tenfold
from tenfold.cli.app import app
from tenfold.data.idx import write_idx
from tenfold.data.load import DataRequest, load_dataset
from tenfold.errors import DataError, TenfoldError, TenfoldWarning

RNG = np.random.default_rng(0)
COUNT = 40
GREY = RNG.integers(0, 256, (COUNT, 8, 8), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (COUNT, 6, 8, 3), dtype=np.uint8)
LABELS = np.arange(COUNT) % 3


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))


def png(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def refused(path, *words, **options):
    with pytest.raises(TenfoldError) as error:
        load_dataset(path, **options)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


# folders


def test_a_validation_part_validates(tmp_path):
    for part, count in (("train", 6), ("val", 4), ("test", 2)):
        for number in range(count):
            for name in "ab":
                save(tmp_path / "set" / part / name / f"{number}.png", GREY[number])
    request = DataRequest(tmp_path / "set")
    train, val = request.hold_out(request.load(), 0.5, seed=0)
    assert (len(train), len(val)) == (12, 8) and val.files[0] == "a/0.png"
    assert len(load_dataset(tmp_path / "set", split="val")) == 8
    assert {part: len(each) for part, each in DataRequest(tmp_path / "set", "all").load_parts().items()} == {
        "train": 12, "val": 8, "test": 4,
    }  # fmt: skip
    assert len(load_dataset(tmp_path / "set", split="all")) == 24
    sample = DataRequest(tmp_path / "set" / "train")
    assert len(sample.hold_out(sample.load(), 0.5, seed=0)[1] or ()) == 5
    refused(tmp_path / "set" / "train", "no validation part", split="val")


def test_a_run_keeps_what_was_asked_of_pictures(tmp_path):
    from tenfold.recipes.load import change_recipe, get_recipe
    from tenfold.runs.folder import Run
    from tenfold.runs.run import start_run

    for part, count in (("train", 6), ("val", 3), ("test", 2)):
        for number in range(count):
            for name in ("cat", "dog"):
                save(tmp_path / "set" / part / f"{name}_{number}.png", GREY[number])
    recipe = change_recipe(get_recipe("mlp-small"), {"training.epochs": 1})
    request = DataRequest(tmp_path / "set", size=(5, 4), class_pattern="([a-z]+)_")
    outcome = start_run(recipe, request, engine="numpy", run_dir=tmp_path / "run")
    assert outcome.evaluation is not None and outcome.evaluation.n == 4
    run = Run(tmp_path / "run")
    assert (run.record["data"]["train"], run.record["data"]["val"]) == (12, 6)
    dataset, learned = run.load_learned(DataRequest())
    assert dataset.image_shape == (5, 4) and len(learned) == 12
    assert run.load_data(DataRequest(split="test")).class_names == ("cat", "dog")


def test_sizes_and_colours_of_the_test_part_are_those_of_the_training_part(tmp_path):
    for number in range(4):
        save(tmp_path / "train" / "ab"[number % 2] / f"{number}.png", COLOUR[number])
        save(tmp_path / "test" / "ab"[number % 2] / f"{number}.png", GREY[number])
    for split in ("train", "test", "all"):
        assert load_dataset(tmp_path, split=split).image_shape == (6, 8, 3)
        assert load_dataset(tmp_path, split=split, colour=False, size=(4, 4)).image_shape == (4, 4)
    assert load_dataset(tmp_path / "test", split="all", colour=True).image_shape == (8, 8, 3)
    refused(tmp_path, "size is (0, 4)", size=(0, 4))


def test_torchvision_lays_idx_files_in_raw(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 30), ("t10k", 10)):
        write_idx(raw / f"{part}-images-idx3-ubyte", GREY[:count])
        write_idx(raw / f"{part}-labels-idx1-ubyte", LABELS[:count].astype(np.uint8))
    for place in (tmp_path, tmp_path / "MNIST", raw):
        assert len(load_dataset(place)) == 30 and len(load_dataset(place, split="test")) == 10


def test_letters_of_emnist_count_from_one(tmp_path):
    for part in ("train", "test"):
        write_idx(tmp_path / f"emnist-letters-{part}-images-idx3-ubyte", GREY)
        write_idx(tmp_path / f"emnist-letters-{part}-labels-idx1-ubyte", (LABELS + 1).astype(np.uint8))
    dataset = load_dataset(tmp_path)
    assert dataset.class_names == ("a", "b", "c") and dataset.labels.tolist() == LABELS.tolist()
    np.testing.assert_array_equal(dataset.images, GREY.transpose(0, 2, 1))


# tables


def test_a_csv_file_of_files_and_labels(tmp_path):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    names = [f"pictures/{number}.png" for number in range(COUNT)]
    for name, pixels in zip(names, COLOUR, strict=True):
        save(tmp_path / name, pixels)
    words = np.array(["cat", "dog", "eel"])[LABELS]
    table = pandas.DataFrame({"image": names, "label": words})
    table.to_csv(tmp_path / "index.csv", index=False)
    table[["label", "image"]].to_csv(tmp_path / "bare.csv", index=False, header=False)
    table.to_csv(tmp_path / "numbered.csv")
    for name in ("index.csv", "bare.csv", "numbered.csv"):
        dataset = load_dataset(tmp_path / name, split="all")
        np.testing.assert_array_equal(dataset.images, COLOUR)
        assert dataset.labels.tolist() == LABELS.tolist() and dataset.class_names == ("cat", "dog", "eel")
        assert list(dataset.files) == names
    (tmp_path / names[3]).unlink()
    refused(tmp_path / "index.csv", "3.png is not there", "--skip-broken")
    assert len(load_dataset(tmp_path / "index.csv", split="all", skip_broken=True)) == COUNT - 1
    table.rename(columns={"label": "what"}).to_csv(tmp_path / "odd.csv")
    refused(tmp_path / "odd.csv", "a column of classes called label")


def test_kaggle_from_training_to_submission(tmp_path):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    pixels = [f"pixel{number}" for number in range(64)]
    test = pandas.DataFrame(GREY.reshape(COUNT, 64), columns=pixels)
    test.to_csv(tmp_path / "test.csv", index=False)
    train = test.copy()
    train.insert(0, "label", LABELS)
    train.to_csv(tmp_path / "train.csv", index=False)
    dataset = load_dataset(tmp_path / "train.csv", split="all")
    np.testing.assert_array_equal(dataset.images, GREY)
    model = tenfold.train("mlp-small", dataset, engine="numpy").classifier
    model.save(tmp_path / "model")
    np.save(tmp_path / "test.npy", GREY)
    np.savez(tmp_path / "test.npz", images=GREY)
    expected = [dataset.class_names[label] for label in model.predict(GREY)]
    for name in ("test.csv", "train.csv", "test.npy", "test.npz"):
        asked = ["predict", str(tmp_path / name), "-m", str(tmp_path / "model"), "--csv"]
        result = CliRunner().invoke(app, [*asked, "--submission", str(tmp_path / "out.csv")])
        assert result.exit_code == 0 and f"{name}#1," in result.stdout
        written = pandas.read_csv(tmp_path / "out.csv")
        assert list(written.columns) == ["ImageId", "Label"]
        assert written.ImageId.tolist() == list(range(1, COUNT + 1))
        assert written.Label.astype(str).tolist() == expected
    (tmp_path / "out.csv").unlink()
    (tmp_path / "test.csv").write_text("a,b,c\n1,2,3\n")
    asked = ["predict", str(tmp_path / "test.csv"), "-m", str(tmp_path / "model"), "--submission"]
    result = CliRunner().invoke(app, [*asked, str(tmp_path / "out.csv")])
    assert result.exit_code == 1 and "not a square number" in result.stderr
    assert not (tmp_path / "out.csv").exists()


# arrays

MEDMNIST = "train_images train_labels val_images val_labels test_images test_labels"
KERAS = "x_train y_train x_val y_val x_test y_test"


@pytest.mark.parametrize(
    ("form", "labels"),
    [
        (
            "train_images train_labels val_images val_labels test_images test_labels",
            LABELS[:, None],
        ),  # MedMNIST
        ("x_train y_train x_val y_val x_test y_test", LABELS),
        ("x_train y_train x_val y_val x_test y_test", np.eye(3)[LABELS]),
    ],
)
@pytest.mark.parametrize("images", [GREY, COLOUR, COLOUR.transpose(0, 3, 1, 2), COLOUR / 255])
def test_npz_in_three_parts(tmp_path, form, labels, images):
    np.savez(tmp_path / "d.npz", **dict(zip(form.split(), [images, labels] * 3)))
    expected = GREY if images is GREY else COLOUR
    for split in ("train", "val", "test"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TenfoldWarning)
            dataset = load_dataset(tmp_path / "d.npz", split=split)
        np.testing.assert_array_equal(dataset.images, expected)
        assert dataset.labels.tolist() == LABELS.tolist() and dataset.class_names == ("0", "1", "2")
    assert "--grey" in dataset.note or images is GREY or split == "test"


def test_grey_arrays_with_three_channels(tmp_path):
    np.savez(tmp_path / "d.npz", images=np.repeat(GREY[..., None], 3, axis=3), labels=LABELS)
    dataset = load_dataset(tmp_path / "d.npz", split="all")
    np.testing.assert_array_equal(dataset.images, GREY)
    assert load_dataset(tmp_path / "d.npz", split="all", colour=True).image_shape == (8, 8, 3)


# parquet, and data sets in Python


@pytest.fixture
def parquet(tmp_path):
    """As the Hugging Face hub has it, written by pyarrow: two shards to train on, one to test."""
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    folder = tmp_path / "hub" / "data"
    folder.mkdir(parents=True)
    rows = [{"bytes": png(pixels), "path": None} for pixels in COLOUR]
    for name, part in (("train-00000-of-00002", slice(0, 20)), ("train-00001-of-00002", slice(20, COUNT)),
                       ("test-00000-of-00001", slice(0, 10))):  # fmt: skip
        words = np.array(["cat", "dog", "eel"])[LABELS[part]]
        pq.write_table(pa.table({"image": rows[part], "label": words}), folder / f"{name}.parquet")
    return tmp_path / "hub"


def test_shards_of_parquet(parquet):
    dataset = load_dataset(parquet)
    np.testing.assert_array_equal(dataset.images, COLOUR)
    assert dataset.class_names == ("cat", "dog", "eel") and dataset.labels.tolist() == LABELS.tolist()
    assert len(load_dataset(parquet, split="test")) == 10
    one = parquet / "data" / "train-00001-of-00002.parquet"
    assert len(load_dataset(one, split="all", size=(4, 4))) == 20
    whole = one.read_bytes()
    one.write_bytes(whole[:-100])
    refused(parquet, "cannot be read as parquet")
    one.unlink()
    refused(parquet, "holds 1 of 2 parquet files of train", "fetch them all")


def test_parquet_that_is_something_else(tmp_path):
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    broken = [{"bytes": b"text", "path": None}] * 2
    pq.write_table(pa.table({"image": broken, "label": [0, 1]}), tmp_path / "a.parquet")
    refused(tmp_path / "a.parquet", "2 of 2 files are not pictures", "a.parquet, row 1")
    pq.write_table(pa.table({"picture": [1], "what": [2]}), tmp_path / "b.parquet")
    refused(tmp_path / "b.parquet", "columns picture, what", "label")
    flat = {f"pixel{number}": GREY.reshape(COUNT, 64)[:, number] for number in range(64)}
    pq.write_table(pa.table({"label": LABELS} | flat), tmp_path / "c.parquet")
    np.testing.assert_array_equal(load_dataset(tmp_path / "c.parquet", split="all").images, GREY)


def test_data_sets_of_hugging_face(tmp_path):
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    kinds = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog", "eel"])}
    )
    rows = {"image": [Image.fromarray(pixels) for pixels in COLOUR], "label": LABELS.tolist()}
    made = datasets.Dataset.from_dict(rows, features=kinds)
    parts = datasets.DatasetDict({"train": made, "validation": made.select(range(6)), "test": made})
    for dataset in (load_dataset(made, split="all"), load_dataset(parts)):
        np.testing.assert_array_equal(dataset.images, COLOUR)
        assert dataset.class_names == ("cat", "dog", "eel") and dataset.labels.tolist() == LABELS.tolist()
    assert len(load_dataset(parts, split="val")) == 6
    made.to_parquet(os.fspath(tmp_path / "train.parquet"))
    written = load_dataset(tmp_path / "train.parquet", split="all")
    np.testing.assert_array_equal(written.images, COLOUR)
    assert written.class_names == ("cat", "dog", "eel")


class Pairs:
    """As torchvision's ImageFolder and CIFAR10: no base class is needed."""

    classes = ("cat", "dog", "eel")

    def __init__(self, make):
        self.make = make

    def __len__(self):
        return COUNT

    def __getitem__(self, number):
        if number >= COUNT:
            raise IndexError
        return self.make(COLOUR[number]), LABELS[number]


@pytest.mark.parametrize(
    "make",
    [Image.fromarray, np.asarray, lambda pixels: np.float32(pixels.transpose(2, 0, 1) / 255)],
    ids=["picture", "array", "as ToTensor has it"],
)
def test_pairs_of_picture_and_label(make):
    dataset = load_dataset(Pairs(make), split="all")
    np.testing.assert_array_equal(dataset.images, COLOUR)
    assert dataset.class_names == Pairs.classes and dataset.labels.tolist() == LABELS.tolist()


def test_train_takes_pairs():
    grey = Pairs(lambda pixels: pixels[..., 0])
    one = tenfold.train("mlp-small", grey, engine="numpy", seed=3)
    other = tenfold.train("mlp-small", load_dataset(grey, split="all"), engine="numpy", seed=3)
    np.testing.assert_array_equal(
        one.classifier.logits(COLOUR[..., 0]), other.classifier.logits(COLOUR[..., 0])
    )


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (Pairs(lambda pixels: pixels / 255.0 - 0.5), ["pixels below 0", "Normalize"]),
        (Pairs(lambda pixels: "text"), ["[0]"]),
        ({"test": Pairs(Image.fromarray)}, ["parts test", "train"]),
        (5, ["source is 5"]),
        ([1, 2], ["source is"]),
    ],
)
def test_what_is_no_data_set(source, words):
    refused(source, *words)


def test_a_data_set_without_images():
    with pytest.raises(DataError, match="no images"):
        load_dataset(type("Empty", (), {"__len__": lambda self: 0, "__getitem__": None})())
