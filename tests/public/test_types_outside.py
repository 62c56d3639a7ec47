"""What a type checker and an editor know of `tenfold.`, seen from a program that uses it."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tenfold

CACHE = Path(__file__).parents[2] / ".mypy_cache" / "outside"
# Packages that take mypy long to read, and say nothing of tenfold's names
LARGE = ["fastapi", "matplotlib", "onnx", "onnxruntime", "optuna", "rich", "scipy", "sklearn", "starlette",
         "torch", "typer", "uvicorn"]  # fmt: skip

# Each line that ends in "# CODE" must be an error of this kind, and no other line one.
PROGRAM = """
import numpy as np
import tenfold
from tenfold import Classifier, DigitClassifier, EpochRecord, Run, TrainingObserver

digits = tenfold.load_dataset("sample", split="train")
train_set, val_set = tenfold.split_dataset(digits, 0.2, seed=0)


class Loss(TrainingObserver):
    def on_epoch(self, record: EpochRecord) -> None:
        print(record.train_loss)


result = tenfold.train("mlp-small", train_set, val_set, seed=0, callbacks=[Loss()], run_dir="runs/mine")
accuracy: float = tenfold.evaluate(result.classifier, val_set).accuracy
text: str = tenfold.load_reader().read("seven.png", length=1).text
images: np.ndarray = digits.images
recall = Run("runs/mine").evaluation
tenfold.write_report("runs/mine")
DigitClassifier("mlp-small", epochs=3)

tenfold.trian()  # attr-defined
tenfold.train(sed=4)  # call-arg
tenfold.train("mlp-small", train_set, seed="4")  # arg-type
tenfold.train(None, train_set)  # arg-type
tenfold.load_dataset("sample", split=3)  # arg-type
tenfold.load_reader().raed("seven.png")  # attr-defined
wrong: str = result.seconds  # assignment
recall.accuracy  # union-attr
DigitClassifier(epoch=3)  # call-arg
Classifier.load(engine="numpy")  # call-arg
from tenfold import Clasifier  # attr-defined
"""


def _names_for_checkers() -> dict[str, str]:
    """name -> module, as `__init__.py` imports them for type checkers."""
    tree = ast.parse(Path(tenfold.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    found = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom) and len(node.names) == 1
        assert node.names[0].asname == node.names[0].name  # "as" makes it public
        found[node.names[0].name] = str(node.module)
    return found


def test_type_checkers_see_what_is_exported() -> None:
    assert _names_for_checkers() == tenfold._EXPORTS


def test_mypy_finds_the_mistakes_of_a_user(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    skipped = (f"[mypy-{name}.*]\nfollow_imports = skip\n" for name in LARGE)
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = true\n" + "".join(skipped), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", "--cache-dir", CACHE, program.name],
        cwd=tmp_path, capture_output=True, text=True, check=False, env=os.environ,
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert done.stderr == "", done.stderr
    found = {int(line.split(":")[1]): re.findall(r"\[([\w-]+)\]$", line)[0] for line in lines}
    wanted = {
        number: line.partition("  # ")[2]
        for number, line in enumerate(PROGRAM.splitlines(), start=1)
        if "  # " in line
    }
    assert found == wanted, done.stdout


def test_an_editor_completes_the_names_and_their_arguments() -> None:
    jedi = pytest.importorskip("jedi")
    script = jedi.Script("import tenfold\ntenfold.")
    assert set(tenfold.__all__) <= {each.name for each in script.complete(2, 8)}
    (signature,) = jedi.Script("import tenfold\ntenfold.train(").get_signatures(2, 14)
    assert {"recipe", "seed", "run_dir"} <= {parameter.name for parameter in signature.params}
