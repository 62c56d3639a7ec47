"""Every form of export: what it says of itself, what it refuses, and what it leaves alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from some_classifiers import classifier_of, ensemble_of, recipe_of

from tenfold.arrays import ImageDataset
from tenfold.classifier import Classifier
from tenfold.errors import FigureNotMetError, MissingDependencyError, UsageError
from tenfold.evaluation.evaluate import evaluate
from tenfold.export import forms
from tenfold.export.forms import FORMS, Source, default_place, write_card
from tenfold.export.onnx_file import export_onnx
from tenfold.reader.decode import OUTPUTS
from tenfold.reader.line_reader import load_reader
from tenfold.recipes.load import get_recipe

pytest.importorskip("onnxruntime")


def source_of(classifier: Classifier, **more: Any) -> Source:
    images = forms.check_images(classifier.card.image_shape, 30)
    return Source(classifier, "mine", "runs/mine", images, "made-up images", **more)


@pytest.fixture(scope="module")
def source() -> Source:
    return source_of(classifier_of(get_recipe("mlp-small"), background="dark"))


@pytest.fixture(scope="module")
def reader_source() -> Source:
    return Source(load_reader(), "mine", "", forms.check_strips(2), "made-up strips")


def content_of(place: Path) -> dict[str, bytes]:
    files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
    return {path.relative_to(place.parent).as_posix(): path.read_bytes() for path in files}


CASES = [(kind, form) for form in FORMS for kind in ("source", "reader_source")]
CASES = [case for case in CASES if case not in {("reader_source", form) for form in ("torch", "huggingface")}]


@pytest.mark.parametrize(("kind", "form"), CASES)
def test_contract(form: str, kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """It is written, again over itself with the same bytes, and tells its files."""
    source: Source = request.getfixturevalue(kind)
    place = tmp_path / "new" / default_place("mine", form)
    done = source.export(form, place)
    first = content_of(place)
    assert done.path == place and sorted(done.files.values()) == sorted(map(len, first.values()))
    if done.agreement:
        assert done.agreement.images == (30 if kind == "source" else 8)
        assert done.agreement.difference < 1e-5 and not done.agreement.differing
    source.export(form, place)
    assert content_of(place) == first and list(place.parent.iterdir()) == [place]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["text", "folder"])
def test_what_no_export_made_is_left_alone(form: str, kind: str, source: Source, tmp_path: Path) -> None:
    place = tmp_path / "thesis"
    inside = place / "model.json" if kind == "folder" else place
    inside.parent.mkdir(exist_ok=True)
    inside.write_text("three years")
    if kind == "folder":
        (place / "recipe.toml").write_text("a run's")
    before = content_of(tmp_path)
    with pytest.raises(UsageError, match=r"thesis is there already.*name another with --out"):
        source.export(form, place)
    assert content_of(tmp_path) == before


def test_an_unknown_form_names_the_nearest(source: Source, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'onnx'"):
        source.export("onx", tmp_path / "x")


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_without_onnx_the_extra_is_named(
    package: str, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'tenfold\[onnx\]'"):
        source.export("onnx", tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_file_that_answers_otherwise_does_not_take_the_place(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "model.onnx"
    source.export("onnx", place)
    before = place.read_bytes()
    other = classifier_of(get_recipe("mlp-small"), seed=1)
    monkeypatch.setattr(forms, "export_onnx", lambda _, path: export_onnx(other, path))
    with pytest.raises(FigureNotMetError, match=r"of 30 made-up images otherwise.*within 0.001"):
        source.export("onnx", place)
    assert place.read_bytes() == before and list(tmp_path.iterdir()) == [place]


def test_agreement_sees_other_columns_of_strips(tmp_path: Path) -> None:
    """The bias of one character is raised: it becomes the likeliest in every column."""
    reader, strips = load_reader(), forms.check_strips(2)
    weights = reader.engine.weights()
    (last,) = [name for name in weights if name.endswith(".bias") and weights[name].shape == (2 * OUTPUTS,)]
    weights[last][[3, OUTPUTS + 3]] += 200  # in both parts of a column
    reader.with_weights(weights).save(tmp_path / "three")
    found = forms.compare_saved(reader, tmp_path / "three", strips, "made-up strips")
    assert (found.images, found.differing) == (8, 8) and found.difference > 0.9
    with pytest.raises(FigureNotMetError, match="answers 8 of 8 made-up strips otherwise"):
        found.require()


def test_agreement_sees_probabilities_answers_and_refusals(tmp_path: Path) -> None:
    """One network whose bias is moved: by hand, the softmax moves as its derivative says."""
    recipe = recipe_of(["flatten", "linear classes"])
    classifier = classifier_of(recipe, (4, 4), rejects=True, most_none=0.5)
    images = forms.check_images((4, 4), 200)
    classifier.save(tmp_path / "same")
    assert forms.compare_saved(classifier, tmp_path / "same", images, "").difference == 0
    weights = classifier.engine.weights()
    weights["linear1.bias"][-1] += 100
    classifier.with_weights(weights).save(tmp_path / "refusing")
    found = forms.compare_saved(classifier, tmp_path / "refusing", images, "")
    assert found.differing == 200 and found.difference > 0.5
    with pytest.raises(FigureNotMetError, match="answers 200 of 200"):
        found.require()


def test_made_up_images_are_always_the_same_and_not_all_alike() -> None:
    images = forms.check_images((9, 7), 40)
    assert images.shape == (40, 9, 7) and images.dtype == np.uint8
    np.testing.assert_array_equal(images, forms.check_images((9, 7), 40))
    assert len({image.tobytes() for image in images}) == 40
    assert (images == 0).any() and (images == 255).any()


# the card


def card_of(classifier: Classifier, path: Path, **more: Any) -> str:
    return write_card(Source(classifier, "mine", **more), path / "card.md").read_text()


def test_the_card_tells_figures_data_and_limits(tmp_path: Path) -> None:
    names = ("on|e", "two", "three")
    classifier = classifier_of(recipe_of(["flatten", "linear classes"]), (9, 8), class_names=names)
    images = forms.check_images((9, 8), 60)
    labels = np.arange(60) % 3
    evaluation = evaluate(classifier, ImageDataset(images, labels, names, "blobs"))
    data = {"name": "blobs", "train": 1200, "val": 0, "sha256": "abc", "note": ""}
    text = card_of(classifier, tmp_path, data=data, figures=evaluation.to_dict())
    low, high = evaluation.interval
    assert f"| {100 * evaluation.accuracy:.2f} % ({100 * low:.2f} % to {100 * high:.2f} %) |" in text
    assert "| blobs, to train on | 1,200 |" in text and "held out" not in text
    rows = [line for line in text.splitlines() if line.startswith("| on\\|e |")]
    assert len(rows) == 1 and rows[0].endswith(f"| {int((labels == 0).sum())} |")
    assert "It cannot refuse" in text and "Grey images of 8x9 pixels, 0 to 255, of any polarity." in text
    assert "(N, 9, 8) -> float32 (N, 3)" in text and "tenfold read" not in text
    counts = evaluation.confusion - np.diag(np.diag(evaluation.confusion))
    true, read = np.argwhere(counts == counts.max())[-1]
    said = next(line for line in text.splitlines() if "most frequent mistake" in line)
    assert f"{counts.max()} times" in said and names[true].replace("|", "\\|") in said and names[read] in said


def test_the_card_of_a_model_whose_run_is_gone(tmp_path: Path) -> None:
    wanted = {"ensemble.members": 2, "ensemble.views": 5}
    recipe = recipe_of(["conv 2 3x3", "flatten", "linear classes"], **wanted)
    classifier = ensemble_of(recipe, 2, (28, 28), background="dark", rejects=True, most_none=0.25)
    text = card_of(classifier, tmp_path)
    assert "2 networks, whose probabilities are averaged, asked about 5 views of each image" in text
    count = 2 * (2 * 9 + 2 + 11 * (2 * 26 * 26) + 11)
    assert f"{count:,} parameters, {4 * count / 1e6:.1f} MB" in text
    assert "Its run is not at hand" in text and "It was not measured" in text
    assert 'It is "not a digit" where "none of them" is more probable than 0.25.' in text
    assert "tenfold predict --model mine-safetensors" in text and "It cannot refuse" not in text


def test_the_card_of_a_line_reader(tmp_path: Path) -> None:
    reader = load_reader().with_card(temperature=1.25, least_confidence=0.375)
    text = write_card(Source(reader, "mine", "mine-folder"), tmp_path / "card.md").read_text()
    count = sum(value.size for name, value in reader.engine.weights().items() if "running" not in name)
    assert (
        f"{count:,} parameters" in text and "temperature 1.25" in text and "less probable than 0.375" in text
    )
    assert 'load_reader("mine-folder")' in text and "tenfold read --model mine-folder picture.jpg" in text
    assert 'InferenceSession("mine.onnx")' in text
    built_in = write_card(Source(reader, "reader", told="# A reader\n"), tmp_path / "own.md").read_text()
    assert built_in.startswith("# A reader\n\n## How to load it\n") and "load_reader()" in built_in
    assert "tenfold read picture.jpg" in built_in


def test_a_card_that_came_with_the_model_is_kept(tmp_path: Path) -> None:
    classifier = classifier_of(get_recipe("mlp-small"))
    text = card_of(classifier, tmp_path, told="# A reader\n\nRead by all.\n")
    assert text.startswith("# A reader\n\nRead by all.\n\n## How to load it\n")
