"""The commands that are attacked, and a folder with the small things that they work on."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hardening.operations import Done, import_what_it_needs, run_command

if TYPE_CHECKING:
    from tenfold.classifier import Classifier

__all__ = ["COMMANDS", "QUICK", "Attacked", "make_base", "make_images", "make_model", "start"]

RECIPE = """name = "tiny"
[data]
validation = 0.25
[network]
layers = ["flatten", "linear 8", "tanh", "dropout 0.2", "linear classes"]
[optimiser]
name = "adam"
learning_rate = 0.01
[training]
epochs = 2
batch_size = 16
[ensemble]
members = {members}
[search]
"optimiser.learning_rate" = {{ low = 0.001, high = 0.1, log = true }}
"""


@dataclass(frozen=True)
class Attacked:
    """words: of `tenfold`. again: what goes on with it where the same words are refused afterwards."""

    words: str
    again: str = ""


_TRAIN = "train {}.toml --data data.npz --run-dir run --no-report --quiet --engine {}"
_GO_ON = "train --resume run --no-report --quiet"
_EXPORT = "export done --to {} --out made"
COMMANDS = {
    "train": Attacked(_TRAIN.format("single", "numpy"), _GO_ON),
    "train-torch": Attacked(_TRAIN.format("single", "torch"), _GO_ON),
    "ensemble": Attacked(_TRAIN.format("ensemble", "numpy"), _GO_ON),
    "resume": Attacked("train --resume half --no-report --quiet"),
    "adapt": Attacked("adapt pictures --labels labels.csv --out mine --force --quiet --engine numpy"),
    "export-onnx": Attacked(_EXPORT.format("onnx")),
    "export-safetensors": Attacked(_EXPORT.format("safetensors")),
    "export-web": Attacked(_EXPORT.format("web")),
    "export-card": Attacked(_EXPORT.format("card")),
    "search": Attacked("search single.toml --data data.npz --trials 2 --out found --quiet --engine numpy"),
    "label-errors": Attacked("label-errors done --recipe single.toml --folds 2 --quiet --engine numpy"),
    "crossval": Attacked("crossval single.toml --data data.npz --folds 2 --quiet --engine numpy"),
    "report": Attacked("report done"),
}
QUICK = ("train", "export-safetensors")


def make_base(folder: Path) -> Path:
    """Data, recipes, handwritten digits, a finished run `done`, and `half`, killed in its second epoch."""
    base = folder / "base"
    base.mkdir()
    images, labels = make_images(60)
    np.savez(base / "data.npz", images=images, labels=labels)
    for members, name in ((1, "single"), (2, "ensemble")):
        (base / f"{name}.toml").write_text(RECIPE.format(members=members))
    _draw_lines(base)
    _learn_in_one_step()
    done = start(COMMANDS["train"], base)
    (base / "run").rename(base / "done")
    checkpoints = [
        k for k, text in enumerate(done.operations, 1) if text.startswith("os.rename run/checkpoint/")
    ]
    run_command(COMMANDS["train"].words.split(), base, action="kill", at=checkpoints[1])
    (base / "run").rename(base / "half")
    return base


def start(command: Attacked, folder: Path) -> Done:
    """The command undisturbed; what it imports is imported here, too, for those that follow."""
    done = run_command(command.words.split(), folder)
    if done.code:
        raise SystemExit(f"tenfold {command.words} fails undisturbed: {done.err}")
    import_what_it_needs(done.modules)
    return done


def make_images(count: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (N, 28, 28) of three classes, a bright band each, and their labels."""
    labels = np.arange(count) % 3
    images = np.random.default_rng(0).integers(0, 60, (count, 28, 28), dtype=np.uint8)
    for label in range(3):
        images[labels == label, 8 * label : 8 * label + 8, 6:20] += 120
    return images, labels


def make_model() -> Classifier:
    """A linear one of 28 x 28 images with random weights: each image has an answer of its own."""
    from tenfold.classifier import Classifier, ModelCard
    from tenfold.networks.shapes import Network
    from tenfold.recipes.load import change_recipe, get_recipe

    recipe = change_recipe(get_recipe("mlp-small"), {"network.layers": ["flatten", "linear classes"]})
    card = ModelCard(recipe, tuple("0123456789"), (28, 28), 0.1, 0.3, background="dark")
    weights = Network.initial_weights(recipe.plan((28, 28), card.outputs), "kaiming", seed=0)
    return Classifier.from_weights(card, weights, engine="numpy")


def _draw_lines(base: Path) -> None:
    """Twelve handwritten digits, and the table of what they are."""
    from tenfold.synthesis.glyphs import load_glyphs
    from tenfold.synthesis.scenes import canvas_picture

    glyphs = [glyph for glyph in load_glyphs() if glyph.label.isdigit()]
    rng = np.random.default_rng(0)
    (base / "pictures").mkdir()
    rows = ["path,label"]
    for number in range(12):
        glyph = glyphs[int(rng.integers(len(glyphs)))]
        canvas_picture(glyph, rng, style="black-on-white").save(base / "pictures" / f"{number:02}.png")
        rows.append(f"pictures/{number:02}.png,{glyph.label}")
    (base / "labels.csv").write_text("\n".join(rows) + "\n")


def _learn_in_one_step() -> None:
    """`tenfold adapt` learns but one step here: what it writes is attacked, not how well it reads."""
    few = {
        "tenfold.reader.adapt": ("AdaptSettings", {"steps": 1, "folds": 2}),
        "tenfold.reader.adaptation": ("gather_memory", {"rehearsed": 6, "held": 4}),
    }
    for module, (name, values) in few.items():
        names = vars(importlib.import_module(module))
        names[name] = partial(names[name], **values)
