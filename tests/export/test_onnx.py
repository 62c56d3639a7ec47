"""The ONNX file: ONNX Runtime answers as the classifier does, for every recipe and every kind of layer."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from some_classifiers import (
    NAMES,
    PICTURE_LAYERS,
    ROW_LAYERS,
    classifier_of,
    ensemble_of,
    images_of,
    random_layers,
    recipe_of,
    trained_weights,
)

from tenfold.classifier import Classifier, ModelCard
from tenfold.engines.create import Engines
from tenfold.errors import MissingDependencyError, UsageError
from tenfold.export.onnx_file import Graph, add_layers, export_onnx
from tenfold.networks.engine import EngineOptions
from tenfold.networks.layers import LAYER_KINDS, LayerSpec
from tenfold.networks.shapes import Network
from tenfold.numpy_engine.runtime.answers import fold_network
from tenfold.pictures.lines import Strip, make_strip
from tenfold.reader.decode import CHARACTERS, decode
from tenfold.reader.line_reader import load_reader
from tenfold.recipes.load import get_recipe, list_recipes
from tenfold.settings import LossSettings
from tenfold.version import __version__

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

TOLERANCE = 1e-5
EXAMPLES = Path(__file__).parents[2] / "examples"


def session_of(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def answers_of(session: Any, images: np.ndarray) -> dict[str, np.ndarray]:
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"images": images}), strict=True))


def assert_same_answers(classifier: Classifier, path: Path, images: np.ndarray) -> None:
    found = answers_of(session_of(path), images)
    probs, none = classifier.judge(images)
    assert list(found) == ["probabilities", "logits", *(["none"] if classifier.card.rejects else [])]
    assert all(value.dtype == np.float32 for value in found.values())
    np.testing.assert_allclose(found["probabilities"], probs, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(
        found["probabilities"], classifier.predict_proba(images), rtol=0, atol=TOLERANCE
    )
    logits = classifier.logits(images)
    largest = np.abs(logits).max(initial=1)
    np.testing.assert_allclose(found["logits"], logits, rtol=1e-5, atol=TOLERANCE * largest)
    if classifier.card.rejects:
        np.testing.assert_allclose(found["none"], none, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe(name: str, tmp_path: Path) -> None:
    classifier = classifier_of(get_recipe(name))
    path = export_onnx(classifier, tmp_path / f"{name}.onnx")
    onnx.checker.check_model(str(path), full_check=True)
    large = name.startswith("best")  # 300 images, which are answered in several parts, take it seconds
    for count in (1, 7, 20 if large else 300):
        assert_same_answers(classifier, path, images_of(classifier, count))


def test_the_random_networks_are_of_every_kind() -> None:
    lines = [*PICTURE_LAYERS, *ROW_LAYERS, "flatten", "global-average-pool"]
    assert {spec.kind for line in lines for spec in LayerSpec.parse([line])} == set(LAYER_KINDS) - {
        "columns",
        "own",
    }


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    layers=random_layers(), height=st.sampled_from([20, 24]), rejects=st.booleans(), seed=st.integers(0, 99)
)
def test_whatever_the_network(
    tmp_path_factory: pytest.TempPathFactory, layers: list, height: int, rejects: bool, seed: int
) -> None:
    """Any order of layers; pictures that are not square."""
    classifier = classifier_of(recipe_of(layers), (height, 22), seed=seed, rejects=rejects)
    path = export_onnx(classifier, tmp_path_factory.getbasetemp() / "random.onnx")
    onnx.checker.check_model(str(path), full_check=True)
    assert_same_answers(classifier, path, images_of(classifier, 3))


@pytest.mark.parametrize("shift", [-1, 3])
@pytest.mark.parametrize("rejects", [False, True])
def test_moved_columns_are_put_back(shift: int, rejects: bool, tmp_path: Path) -> None:
    recipe = recipe_of(["flatten", "linear classes"], **{"loss.label_shift": shift})
    classifier = classifier_of(recipe, (9, 8), rejects=rejects)
    path = export_onnx(classifier, tmp_path / "moved.onnx")
    assert_same_answers(classifier, path, images_of(classifier, 20))


@pytest.mark.parametrize("rejects", [False, True])
@pytest.mark.parametrize(("members", "views"), [(1, 5), (3, 1), (2, 9)])
def test_several_networks_and_views(members: int, views: int, rejects: bool, tmp_path: Path) -> None:
    wanted = {"ensemble.members": members, "ensemble.views": views, "loss.label_shift": 1}
    recipe = recipe_of(
        ["conv 3 3x3", "relu", {"residual": ["batch-norm"]}, "flatten", "linear classes"], **wanted
    )
    classifier = ensemble_of(recipe, members, (9, 8), rejects=rejects)
    path = export_onnx(classifier, tmp_path / "together.onnx")
    onnx.checker.check_model(str(path), full_check=True)
    for count in (0, 1, 20):
        assert_same_answers(classifier, path, images_of(classifier, count))
    starts = {constant.name.partition(".")[0] for constant in onnx.load(path).graph.initializer}
    assert members == 1 or {f"member{i + 1}" for i in range(members)} < starts


def test_answers_beyond_the_range_of_probabilities(tmp_path: Path) -> None:
    """Two networks that are very sure of different classes: no logarithm of zero."""
    recipe = recipe_of(["flatten", "linear classes"], **{"ensemble.members": 2})
    zeros = np.zeros((10, 72), np.float32)
    sure = [np.float32([400 * (c == k) for c in range(10)]) for k in (0, 1)]
    weights = {f"member{k + 1}.linear1.{part}": value for k in (0, 1)
               for part, value in (("weight", zeros), ("bias", sure[k]))}  # fmt: skip
    classifier = classifier_of(recipe, (9, 8)).with_weights(weights)
    found = answers_of(session_of(export_onnx(classifier, tmp_path / "sure.onnx")), images_of(classifier, 3))
    np.testing.assert_allclose(found["logits"], [[-np.log(2)] * 2 + [-400] * 8] * 3, rtol=1e-5)


def test_from_the_torch_engine_and_its_averaged_weights(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    recipe = get_recipe("cnn")
    card = ModelCard(recipe, NAMES, (28, 28), 0.13, 0.31)
    network = recipe.plan((28, 28), 10)
    options = EngineOptions(mean=0.13, std=0.31, average_decay=0.99)
    classifier = Classifier(Engines.create("torch", network, trained_weights(network), options), card)
    path = export_onnx(classifier, tmp_path / "torch.onnx")
    assert_same_answers(classifier, path, images_of(classifier, 7))


def test_the_line_reader(tmp_path: Path) -> None:
    """Strips of several widths and numbers: the log-probabilities of the NumPy engine, temperature inside."""
    reader = load_reader().with_card(temperature=1.7, least_confidence=0.25)
    path = export_onnx(reader, tmp_path / "reader.onnx")
    onnx.checker.check_model(str(path), full_check=True)
    session = session_of(path)
    rng = np.random.default_rng(0)
    strips = [rng.integers(0, 256, (count, 32, width), dtype=np.uint8)
              for count, width in ((1, 16), (3, 40), (2, 264), (1, 1040))]  # fmt: skip
    with Image.open(EXAMPLES / "note.jpg") as note:
        strips.append(make_strip(np.asarray(note.convert("L")))[None])
    for each in strips:
        (found,) = session.run(None, {"strips": each})
        logits = reader.engine.logits(each).astype(np.float64) / 1.7
        expected = logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))
        assert found.dtype == np.float32 and found.shape == (
            len(each),
            each.shape[2] // Strip.COLUMN_WIDTH,
            21,
        )
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
        assert decode(found[0]).text == reader.read_strip(each[0])[0].text
    (given,), (answer,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape) == ("strips", "tensor(uint8)", ["N", 32, "W"])
    assert (answer.name, answer.shape) == ("log_probabilities", ["N", "T", 21])
    said = session.get_modelmeta().custom_metadata_map
    assert said["characters"] == CHARACTERS and said["height"] == "32" and said["least_confidence"] == "0.25"
    assert said["tenfold_version"] == __version__


def test_what_the_file_says_of_itself(tmp_path: Path) -> None:
    names = ("ä", "b", '"c"')
    recipe = recipe_of(["flatten", "linear classes"])
    classifier = classifier_of(recipe, (9, 8), class_names=names, rejects=True, most_none=0.25)
    session = session_of(export_onnx(classifier, tmp_path / "new" / "model.onnx"))
    said = session.get_modelmeta()
    assert said.producer_name == "tenfold"
    assert tuple(json.loads(said.custom_metadata_map["class_names"])) == names
    assert said.custom_metadata_map["tenfold_version"] == __version__
    assert float(said.custom_metadata_map["most_none"]) == 0.25
    (images,) = session.get_inputs()
    assert (images.name, images.type, images.shape) == ("images", "tensor(uint8)", ["N", 9, 8])
    assert [output.shape for output in session.get_outputs()] == [["N", 3], ["N", 3], ["N"]]


def test_no_images_give_no_answers(tmp_path: Path) -> None:
    classifier = classifier_of(get_recipe("mlp-small"))
    found = answers_of(session_of(export_onnx(classifier, tmp_path / "model.onnx")), images_of(classifier, 0))
    assert found["probabilities"].shape == (0, 10)


def test_equal_classifiers_make_equal_files_and_nothing_is_left_beside(tmp_path: Path) -> None:
    paths = [export_onnx(classifier_of(get_recipe("cnn")), tmp_path / name) for name in ("one", "two")]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is a folder; expected a file's name"):
        export_onnx(classifier_of(get_recipe("mlp-small")), tmp_path)


def test_without_onnx_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'tenfold\[onnx\]'"):
        export_onnx(classifier_of(get_recipe("mlp-small")), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_the_layers_of_a_line_network_take_any_width() -> None:
    """As the line reader's own exporter puts them together: pixels scaled outside."""
    layers = [
        "pixel-unshuffle 2", "conv 4 3x5 padding same no-bias", "batch-norm", "relu", "max-pool 4x2",
        "average-pool 2x1", "conv 5 2x3 padding 0x1", "tanh", "conv 14 1x1", "columns 2",
    ]  # fmt: skip
    network = Network.plan(LayerSpec.parse(layers), (32, 40), 7)
    weights = trained_weights(network)
    folded, values = fold_network(network, weights)
    graph = Graph(any_width=True)
    graph.add("Identity", add_layers(graph, folded.layers, values, "inputs"), name="logits")
    inputs = graph.describe("inputs", "FLOAT", ["N", 1, 32, "W"])
    model = graph.to_model([inputs], [graph.describe("logits", "FLOAT", ["N", "T", 7])])
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    engine = Engines.create("numpy", network, weights, EngineOptions(loss=LossSettings(name="ctc")))
    for width in (40, 72):
        strips = np.random.default_rng(width).integers(0, 256, (3, 32, width), dtype=np.uint8)
        inputs = strips[:, None].astype(np.float32) / 255
        (found,) = session.run(None, {"inputs": inputs})
        assert found.shape == (3, width // 2, 7)
        np.testing.assert_allclose(found, engine.logits(strips), rtol=0, atol=TOLERANCE)
