"""Whatever public functions and methods are given, a user's mistake is one clear TenfoldError."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
from PIL import Image

import tenfold
from tenfold import Classifier, ImageDataset, LineReader, TenfoldError
from tenfold.classifier import ModelCard
from tenfold.networks.shapes import Network
from tenfold.reader.reading import read_line
from tenfold.recipes.schema import Recipe

TINY = Recipe.from_dict({"name": "tiny", "network": {"layers": ["flatten", "linear classes"]}})
NAN = float("nan")

# what takes nothing that could be wrong, or whatever is given to it
FREE = {"list_recipes"}
NOT_CHECKED = {"DigitClassifier", "TenfoldError", "TrainingObserver"}  # scikit-learn's checks; a user's own


def _public() -> dict[str, Callable[..., Any]]:
    """Every public function, and every public method with arguments, by name."""
    found: dict[str, Callable[..., Any]] = {}
    for name in set(tenfold.__all__) - NOT_CHECKED - FREE:
        thing = getattr(tenfold, name)
        if inspect.isfunction(thing):
            found[name] = thing
        elif inspect.isclass(thing):
            for method, member in vars(thing).items():
                function = getattr(member, "__func__", member)
                if not method.startswith("_") and inspect.isfunction(function):
                    found[f"{name}.{method}"] = function
    return dict(sorted(found.items()))


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    hints = get_type_hints(inspect.unwrap(function))
    return {name: hint for name, hint in hints.items() if name != "return" and hint is not Any}


PARAMETERS = [(name, each) for name, function in _public().items() for each in _hints(function)]


@pytest.mark.parametrize(("name", "parameter"), PARAMETERS, ids=[".".join(pair) for pair in PARAMETERS])
def test_every_argument_is_looked_at_before_anything_is_done(name: str, parameter: str) -> None:
    function = _public()[name]
    for wrong in (object(), [object()]):
        with pytest.raises(TenfoldError) as error:
            function(*[None] * ("." in name), **{parameter: wrong})
        told = str(error.value)
        assert f"{parameter} is " in told and "; expected " in told and "\n" not in told
        assert told.startswith(name) or "." in name


@pytest.mark.parametrize("name", [name for name in _public() if "seed" in _hints(_public()[name])])
def test_a_seed_is_not_negative(name: str) -> None:
    for wrong in (-1, 0.5, NAN, "0", None, True, 10**30):
        with pytest.raises(TenfoldError, match="seed is"):
            _public()[name](seed=wrong)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    card = ModelCard(TINY, ("left", "middle", "right"), (12, 10), 0.1, 0.3)
    return Classifier.from_weights(card, Network.initial_weights(TINY.plan((12, 10), 3), "torch", seed=0))


@pytest.fixture(scope="module")
def reader() -> LineReader:
    return tenfold.load_reader()


def _refused(function: Callable[[], object], *words: str) -> None:
    with pytest.raises(TenfoldError) as error:
        function()
    told = str(error.value)
    assert "\n" not in told and len(told) < 400
    for word in words:
        assert word in told


def test_a_recipe_is_known_by_its_name(blobs: ImageDataset) -> None:
    few = blobs.subset(np.arange(60))
    by_name = tenfold.train("mlp-small", few, engine="numpy", seed=1)
    recipe = tenfold.get_recipe("mlp-small")
    assert by_name.classifier.card.recipe == recipe and tenfold.get_recipe(recipe) is recipe
    assert tenfold.change_recipe("mlp-small", {"training.epochs": 1}).training.epochs == 1
    _refused(lambda: tenfold.train("mlp-smal", few), "no recipe is called", "mlp-small")
    _refused(lambda: tenfold.cross_validate("mlp-smal", few), "mlp-small")
    _refused(lambda: tenfold.diagnose("mlp-smal", few), "mlp-small")
    _refused(lambda: tenfold.search_recipe("mlp-smal", few), "mlp-small")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("sample", ("train_set is 'sample'", "tenfold.load_dataset")),
        ((np.zeros((2, 28, 28), np.uint8), np.zeros(2)), ("a tuple of 2", "ImageDataset(images, labels")),
        ([Image.new("L", (28, 28))], ("a list of 1", "ImageDataset")),
        (np.zeros((2, 28, 28), np.uint8), ("an array uint8 (2, 28, 28)", "ImageDataset")),
        (None, ("None", "ImageDataset")),
    ],
    ids=["name", "tuple", "list", "array", "None"],
)
def test_training_images_are_a_data_set(given: Any, words: tuple[str, ...]) -> None:
    _refused(lambda: tenfold.train(TINY, given), *words)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predictions", "logits", "judge"])
def test_a_picture_where_arrays_belong(classifier: Classifier, method: str) -> None:
    call = getattr(classifier, method)
    for given in (Image.new("L", (10, 12)), [Image.new("L", (10, 12))], "seven.png", Path("seven.png")):
        _refused(lambda given=given: call(given), "images is", "a NumPy array", "Classifier.classify")
    for array in (np.zeros((2, 12, 10)), np.zeros((12, 10), np.uint8), np.zeros((1, 28, 28), np.uint8)):
        _refused(lambda array=array: call(array), "uint8 of shape (N, 12, 10)")


def test_pictures_given_to_what_reads_one(classifier: Classifier, reader: LineReader) -> None:
    blank = Image.new("L", (40, 40), 255)
    assert reader.read(blank).text == "" and classifier.classify(blank).label
    assert tenfold.normalize_ink(blank).shape == (28, 28)
    wrong: tuple[Any, ...] = (
        [blank],
        None,
        3,
        {},
        np.full((4, 4), NAN),
        np.zeros(5),
        "nowhere.png",
        object(),
    )
    for given in wrong:
        for read in (reader.read, classifier.classify, tenfold.normalize_ink):
            _refused(lambda read=read, given=given: read(given))
    _refused(lambda: tenfold.read_pictures(reader, "seven.png"), "paths is 'seven.png'", "a list")
    _refused(lambda: tenfold.read_pictures(reader, [blank]), "paths is a list of 1", "a path")
    _refused(lambda: tenfold.read_pictures(reader, ["seven.png"], workers=0), "workers")


IMAGES, LABELS = np.zeros((3, 4, 4), np.uint8), np.array([0, 1, 0])
NAMES = ("a", "b")


@pytest.mark.parametrize(
    ("images", "labels", "names", "words"),
    [
        (IMAGES.tolist(), LABELS, NAMES, "images are a list of 3"),
        (None, LABELS, NAMES, "images are None"),
        (IMAGES.astype(float), LABELS, NAMES, "float64"),
        (IMAGES, [0, 1, 0], NAMES, "labels are a list"),
        (IMAGES, LABELS.astype(float), NAMES, "float64"),
        (IMAGES, LABELS[:2], NAMES, "shape (2,)"),
        (IMAGES, LABELS - 1, NAMES, "from -1"),
        (IMAGES[:0], LABELS[:0], NAMES, "no images"),
        (IMAGES, LABELS, None, "class_names are None"),
        (IMAGES, LABELS, "ab", "class_names are 'ab'"),
        (IMAGES, LABELS, (0, 1), "class_names are a tuple of 2"),
        (IMAGES, LABELS, ("a", "a"), "the same name"),
    ],
)
def test_what_a_data_set_is_made_of(images: Any, labels: Any, names: Any, words: str) -> None:
    _refused(lambda: ImageDataset(images, labels, names), words)


@pytest.mark.parametrize("indices", [[0.5], [7], [-4], [True], [], [[0]], ["a"], None], ids=str)
def test_indices_of_a_subset(indices: Any) -> None:
    data = ImageDataset(IMAGES, LABELS, NAMES)
    _refused(lambda: data.subset(indices), "indices ")
    assert data.subset([2, 0]).labels.tolist() == [0, 0]
    assert data.subset(np.array([True, False, True])).labels.tolist() == [0, 0]


def test_numbers_that_make_no_sense(blobs: ImageDataset, classifier: Classifier, reader: LineReader) -> None:
    for share in (0, 1, -0.5, NAN, float("inf"), 1e-9):
        _refused(lambda share=share: tenfold.split_dataset(blobs, share, seed=0), "share")
    for temperature in (0, -1, NAN, float("inf")):
        _refused(lambda t=temperature: classifier.with_temperature(t), "temperature")
        _refused(lambda t=temperature: reader.with_card(temperature=t), "temperature")
    _refused(lambda: reader.with_card(temprature=1.0), "did you mean 'temperature'?")
    _refused(lambda: reader.with_card(least_confidence="high"), "least_confidence")
    for seconds in (0, -1, NAN):
        _refused(lambda s=seconds: tenfold.search_recipe("mlp-small", blobs, seconds=s), "seconds")
    _refused(lambda: tenfold.explore_dataset({}), "0 parts")
    _refused(lambda: tenfold.explore_dataset(blobs, examples=-1), "-1 examples")
    _refused(lambda: tenfold.corrupt(blobs.images.astype(float), "noise", 1), "uint8")
    _refused(lambda: tenfold.corrupt(blobs.images[0], "noise", 1), "uint8 of shape (N")
    _refused(lambda: tenfold.find_duplicates(blobs.images, others=blobs.images[0]), "others are")
    _refused(lambda: tenfold.explain_image(classifier, blobs.images[:2]), "uint8 of shape (N, 12, 10)")
    _refused(lambda: reader.read_strip(np.zeros((28, 40), np.uint8)), "uint8 of shape (32, W)")
    _refused(lambda: read_line(reader, []), "no strips")
    prediction = classifier.predictions(blobs.images[:1])[0]
    _refused(lambda: prediction.alternatives(-1), "count is -1")


def test_sets_that_do_not_fit(blobs: ImageDataset, classifier: Classifier) -> None:
    wide = ImageDataset(np.zeros((6, 12, 12), np.uint8), np.arange(6) % 3, blobs.class_names)
    other = ImageDataset(blobs.images[:6], blobs.labels[:6], ("a", "b", "c"))
    for given in (wide, other):
        _refused(lambda given=given: tenfold.evaluate(classifier, given))
        _refused(lambda given=given: tenfold.measure_robustness(classifier, given))
        _refused(lambda given=given: tenfold.train(TINY, blobs, given))
        _refused(lambda given=given: tenfold.explore_dataset({"train": blobs, "test": given}))
    _refused(lambda: tenfold.explain_image(classifier, blobs.images[0], dataset=wide))
    _refused(lambda: tenfold.evaluate(tenfold.train(TINY, blobs), blobs), "TrainResult", ".classifier")


def test_files_where_folders_belong(classifier: Classifier, reader: LineReader, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for save in (classifier.save, reader.save):
        _refused(lambda save=save: save(file), "is not a folder")
        _refused(lambda save=save: save(file / "within"), "is not a folder")
    for open_it in (tenfold.Run, tenfold.write_report, Classifier.load, LineReader.load):
        _refused(lambda open_it=open_it: open_it(file))
        _refused(lambda open_it=open_it: open_it(tmp_path))
    _refused(lambda: tenfold.write_comparison([], "page.html"), "no runs")
    for empty in (classifier.save, reader.save, tenfold.Run, tenfold.get_recipe, tenfold.list_runs):
        _refused(lambda empty=empty: empty(""), "is ''", "a path")
    _refused(lambda: TINY.plan((12, 0), 3), "images of (12, 0)")
    _refused(lambda: TINY.plan((12, 10), -1), "-1 classes")


@pytest.mark.parametrize(
    "values",
    [
        {}, {"name": 3}, {"name": "x", "network": 3}, {"name": "x", "network": {"layers": 5}},
        {"name": "x", "network": TINY.network, "training": {"epochs": -1}},
        {"name": "x", "network": TINY.network, "training": {"epochs": NAN}},
        {"name": "x", "network": TINY.network, "epochs": 3},
    ],
    ids=str,
)  # fmt: skip
def test_a_recipe_that_makes_no_sense(values: dict[str, Any]) -> None:
    _refused(lambda: tenfold.Recipe(**values))


@pytest.mark.parametrize("name", ["max_body", "workers", "timeout", "collect", "access_log", "allowed_hosts"])
def test_limits_of_a_server(name: str) -> None:
    for wrong in ("many", -1, NAN, object()):
        _refused(lambda wrong=wrong: tenfold.ServeSettings(**{name: wrong}), name)


@pytest.mark.parametrize(
    "options",
    [
        {"recipe": 5}, {"recipe": "mlp-smal"}, {"engine": 5}, {"engine": "nump"}, {"device": None},
        {"epochs": -1}, {"epochs": "many"}, {"learning_rate": NAN}, {"batch_size": 0.5}, {"validation": NAN},
        {"validation": -0.5}, {"validation": "half"}, {"image_shape": "ab"}, {"image_shape": (5, 5)},
        {"value_range": (0, NAN)}, {"value_range": "01"}, {"random_state": -1}, {"changes": [1]},
        {"changes": {"a.b": 1}},
    ],
    ids=str,
)  # fmt: skip
def test_parameters_of_the_estimator(options: dict[str, Any]) -> None:
    pytest.importorskip("sklearn")
    X, y = np.arange(160, dtype=np.uint8).reshape(10, 16), np.arange(10) % 2
    _refused(lambda: tenfold.DigitClassifier(**({"epochs": 1} | options)).fit(X, y))


def test_own_code_that_answers_in_another_shape() -> None:
    check = tenfold.check_own_code
    _refused(lambda: check(softmax=lambda logits: logits[0]), "softmax gives")
    _refused(lambda: check(one_hot=lambda labels: "no"), "one_hot gives")
    _refused(lambda: check(loss=lambda z, y: z, gradient=lambda z, y: z), "loss gives")
    _refused(lambda: check(weights=np.zeros((3, 4)), pictures=np.zeros((2, 5))), "M pictures of P pixels")
    for classes in (1, -1, 10**9):
        _refused(lambda classes=classes: check(classes=classes), "classes")
