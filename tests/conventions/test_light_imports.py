"""What an answer may not wait for: neither training, nor reports, nor the command line are imported."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tenfold.classifier import Classifier, ModelCard
from tenfold.networks.shapes import Network
from tenfold.recipes.load import change_recipe, get_recipe

HEAVY = [
    "torch", "matplotlib", "jinja2", "typer", "rich", "sklearn", "mlxtend",
    "multiprocessing", "asyncio", "urllib.request", "scipy", "scipy.ndimage",
    "tenfold.torch_engine", "tenfold.training", "tenfold.evaluation", "tenfold.show", "tenfold.runs",
    "tenfold.cli", "tenfold.data", "tenfold.numpy_engine.runtime.batches", "tenfold.numpy_engine.gradcheck",
]  # fmt: skip

LAYERS = ["conv 4 3x3 no-bias", "batch-norm", "relu", "max-pool 2", "flatten", "linear classes"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small convolutional network for 28x28, saved."""
    recipe = change_recipe(get_recipe("cnn"), {"network.layers": LAYERS})
    card = ModelCard(recipe, tuple("0123456789"), (28, 28), 0.1, 0.3)
    weights = Network.initial_weights(recipe.plan((28, 28), 10), "kaiming", seed=0)
    Classifier.from_weights(card, weights, engine="numpy").save(tmp_path)
    return tmp_path


def imported_by(code: str) -> set[str]:
    """Of the heavy modules, those that a fresh interpreter has imported after this code."""
    code += f"\nimport sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    return set(ast.literal_eval(done.stdout.splitlines()[-1]))


def test_loading_a_model_and_answering(model: Path) -> None:
    found = imported_by(
        "import numpy as np\n"
        "from tenfold import Classifier\n"
        f"classifier = Classifier.load({str(model)!r}, engine='numpy')\n"
        "assert classifier.predict_proba(np.zeros((1, 28, 28), np.uint8)).shape == (1, 10)\n"
    )
    assert not found


SEVEN = str(Path(__file__).parents[2] / "examples" / "seven.png")


def test_reading_a_picture() -> None:
    found = imported_by(
        f"from tenfold import load_reader\nassert load_reader().read({SEVEN!r}).text == '7'\n"
    )
    assert not found


def test_classifying_a_picture(model: Path) -> None:
    found = imported_by(
        "from tenfold import Classifier\n"
        f"classifier = Classifier.load({str(model)!r}, engine='numpy')\n"
        f"assert len(classifier.classify({SEVEN!r}).probs) == 10\n"
    )
    assert not found


@pytest.mark.parametrize("more", [[], ["--csv", "--length", "1"], ["--explain", "sheets"]], ids=str)
def test_the_command_that_reads(more: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = (
        "import sys\nfrom tenfold.cli import main\n"
        f"sys.argv = ['tenfold', 'read', {SEVEN!r}, *{more!r}, '--quiet']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code"
    )
    assert not imported_by(code) - {"typer", "tenfold.cli", "tenfold.show"}


def test_the_test_sees_what_is_heavy() -> None:
    assert imported_by("import tenfold.data, jinja2") >= {"tenfold.data", "jinja2"}


@pytest.mark.parametrize("arguments", [["--version"], ["recipes", "--json"]], ids=str)
def test_json_and_version_do_without_rich(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom tenfold.cli import main\n"
        f"sys.argv = ['tenfold', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code"
    )
    assert not imported_by(code) & {"rich", "torch", "matplotlib", "jinja2"}
