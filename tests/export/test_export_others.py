"""Forms for other libraries: torch, int8 ONNX, and the folder of a Hugging Face repository."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from some_classifiers import classifier_of, ensemble_of

from tenfold.classifier import Classifier
from tenfold.errors import UsageError
from tenfold.export import forms
from tenfold.export.forms import Source
from tenfold.reader.line_reader import load_reader
from tenfold.recipes.load import get_recipe
from tenfold.recipes.schema import EnsembleSettings

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", ["mlp-small", "fast", "ensemble"])
def test_the_printed_lines_answer_as_the_model(name, tmp_path) -> None:
    torch = pytest.importorskip("torch")
    from tenfold.torch_engine.export import LOADING

    recipe = get_recipe("mlp-small" if name == "ensemble" else name)
    if name == "ensemble":
        views = recipe.model_copy(update={"ensemble": EnsembleSettings(members=2, views=5)})
        model = ensemble_of(views, 2, (28, 28))
    else:
        model = classifier_of(recipe)
    images = forms.check_images(model.card.image_shape, 20)
    Source(model, "mine", images=images, kind="images").export("torch", tmp_path / "model.pt")
    names: dict = {}
    exec(LOADING.replace("{path!r}", repr(str(tmp_path / "model.pt"))), names)  # noqa: S102
    with torch.no_grad():
        found = names["predict"](torch.tensor(images)).numpy()
    np.testing.assert_allclose(found, model.predict_proba(images), atol=1e-5)
    Source(model, "mine").export("torch", tmp_path / "model.pt")  # over its own
    (tmp_path / "other.pt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="no such export made it"):
        Source(model, "mine").export("torch", tmp_path / "other.pt")


def test_the_page_shows_the_printed_lines() -> None:
    pytest.importorskip("torch")
    from tenfold.torch_engine.export import LOADING

    page, printed = (
        "\n".join(line for line in text.replace("'", '"').splitlines() if line)
        for text in (
            (DOCS / "how-to" / "ship.md").read_text("utf-8"),
            LOADING.replace("{path!r}", '"digits.pt"'),
        )
    )  # but for the layout of blank lines and quotation marks
    assert printed in page


def test_int8_keeps_both_accuracies(tmp_path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    model = classifier_of(get_recipe("mlp-small"))
    images = forms.check_images((28, 28), 200)
    labels = model.predict(images)
    labels[::10] = (labels[::10] + 1) % 10
    source = Source(model, "mine", images=images, labels=labels, kind="images")
    done, accuracy = source.export_int8(tmp_path / "small.onnx")
    assert accuracy is not None and accuracy["images"] == 200
    assert accuracy["float32"] == 0.9 and 0.8 < accuracy["int8"] <= 0.95
    session = onnxruntime.InferenceSession(tmp_path / "small.onnx")
    told = session.get_modelmeta().custom_metadata_map
    assert float(told["accuracy_int8"]) == accuracy["int8"] and told["weights"] == "int8"
    (probs,) = session.run(["probabilities"], {"images": images})
    assert round(float((probs.argmax(axis=1) == labels).mean()), 6) == accuracy["int8"]
    assert done.files["small.onnx"] < 0.4 * source.export("onnx", tmp_path / "x.onnx").files["x.onnx"]
    assert Source(model, "mine").export_int8(tmp_path / "small.onnx")[1] is None


def test_huggingface(tmp_path) -> None:
    model = classifier_of(get_recipe("mlp-small"))
    Source(model, 'my: "digits"', data=None).export("huggingface", tmp_path / "digits")
    folder = tmp_path / "digits"
    config = json.loads((folder / "config.json").read_text())
    assert list(config["id2label"].values()) == list(model.class_names)
    assert json.loads((folder / "preprocessor_config.json").read_text())["size"] == {
        "height": 28,
        "width": 28,
    }
    images = forms.check_images((28, 28), 5)
    assert np.array_equal(Classifier.load(folder).predict(images), model.predict(images))
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert text.startswith("---\n") and text.count("\n---\n") == 1
    yaml = pytest.importorskip("yaml")
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["library_name"] == "tenfold" and front["pipeline_tag"] == "image-classification"


@pytest.mark.parametrize("form", ["torch", "huggingface"])
def test_not_of_a_line_reader(form, tmp_path) -> None:
    with pytest.raises(UsageError, match="line reader"):
        Source(load_reader(), "reader").export(form, tmp_path / "x")
