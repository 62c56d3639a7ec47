"""The lab's page in a real Chromium: by pointer and by keyboard alone, on two widths, light and dark."""

from __future__ import annotations

import json
import shutil
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import axe_core_python
import numpy as np
import pytest
from browser import Page
from lab import STATIC
from page_hand import Hand
from PIL import Image
from web_host import host

from tenfold.data.load import load_dataset
from tenfold.export.lab import PRESETS, lab_files
from tenfold.recipes.load import change_recipe, get_recipe
from tenfold.runs.training import train

AXE = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
PATIENCE = 30  # seconds


class LabHand(Hand):
    """On the lab's page."""

    def wait(self) -> None:
        self.until("document.documentElement.matches('[data-ready]:not([data-busy])')")

    def until(self, condition: str) -> None:
        end = time.monotonic() + PATIENCE
        while not self.page.evaluate(f"Boolean({condition})"):
            assert time.monotonic() < end, f"{condition}: {self.text('body')}"
            time.sleep(0.02)

    def set(self, field: str, value: str) -> None:
        self.page.evaluate(
            f"{{ const field = document.getElementById({json.dumps(field)});"
            f" field.value = {json.dumps(value)}; field.dispatchEvent(new Event('change')); }}"
        )

    def give(self, field: str, files: list[Path]) -> None:
        root = self.page.call("DOM.getDocument")["root"]["nodeId"]
        node = self.page.call("DOM.querySelector", nodeId=root, selector=f"#{field}")["nodeId"]
        self.page.call("DOM.setFileInputFiles", files=[str(file) for file in files], nodeId=node)

    def focused(self) -> str:
        return str(self.page.evaluate("document.activeElement.id"))

    def small(self) -> None:
        """A network that is trained in a blink."""
        self.set("layers", "flatten\nlinear 8\nrelu\nlinear classes")
        self.set("epochs", "1")
        self.click("#reset")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("pages") / "static"
    shutil.copytree(STATIC, folder)
    for name, content in lab_files().items():
        (folder / "lab" / name).write_bytes(content)
    with host({"/": folder}) as root:
        yield f"{root}/lab/"


@pytest.fixture
def hand(browser_page: Page, address: str) -> Iterator[LabHand]:
    """On a lab that has its images; what the browser complains of fails the test."""
    browser_page.events.clear()
    browser_page.show(address, width=1280)
    hand = LabHand(browser_page)
    hand.wait()
    yield hand
    assert browser_page.complaints() == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_and_nothing_sticks_out(
    hand: LabHand, address: str, width: int, dark: bool
) -> None:
    hand.page.show(address, width=width, dark=dark)
    hand.wait()
    hand.small()
    hand.click("#step")
    hand.until("document.querySelector('#trace table')")
    hand.page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    hand.page.evaluate(AXE)
    found = hand.page.evaluate(
        "axe.run(document, { resultTypes: ['violations'] }).then((found) => found.violations)"
    )
    assert [f"{rule['id']}: {[node['html'] for node in rule['nodes']]}" for rule in found] == []
    assert hand.page.evaluate("document.documentElement.scrollWidth") <= width


def test_by_keyboard_alone(hand: LabHand) -> None:
    """Tab to the buttons, a step, training to the end, a drawing that the layers show."""
    hand.small()
    hand.page.evaluate("document.activeElement.blur()")
    for _ in range(60):
        hand.key("Tab")
        if hand.focused() == "step":
            break
    hand.key("Enter")
    hand.until("document.querySelector('#trace table')")
    hand.key("Tab", shift=True)
    assert hand.focused() == "run"
    hand.key("Enter")
    hand.until("document.getElementById('state').textContent.startsWith('Trained')")
    assert "held out" in hand.text("#numbers") and hand.count("#loss-chart polyline") == 2
    before = hand.page.evaluate("document.querySelector('#look canvas').toDataURL()")
    for _ in range(60):
        hand.key("Tab")
        if hand.focused() == "pad":
            break
    hand.key(" ")
    hand.key("ArrowDown", 12)
    hand.until(f"document.querySelector('#look canvas').toDataURL() !== {json.dumps(before)}")
    hand.click("#add-train")
    hand.until("document.getElementById('state').textContent.startsWith('Added: 4001')")


def test_training_and_what_is_shown(hand: LabHand) -> None:
    hand.set("epochs", "3")
    hand.click("#run")
    assert hand.text("#run") in ("Pause", "Train")
    hand.until("document.getElementById('state').textContent.startsWith('Trained')")
    said = hand.text("#numbers")
    right = float(said.rpartition("held out")[2].split(", ")[1].split(" %")[0])
    assert right > 80 and "step 96 of 96" in said
    assert hand.count("#weights canvas") == 64 and hand.count("#norms tbody tr") == 6
    cells = hand.page.evaluate(
        "[...document.querySelectorAll('#confusion td')].map((cell) => Number(cell.textContent))"
    )
    table = np.array(cells).reshape(10, 10)
    assert table.sum() == 1000 and abs(np.trace(table) / 10 - right) < 0.1
    assert hand.text("#misses .note").startswith(f"{1000 - np.trace(table)} of 1000")
    hand.page.evaluate("document.querySelector('#misses button').click()")
    hand.wait()


def test_settings_that_cannot_be_are_told_and_change_nothing(hand: LabHand) -> None:
    hand.set("rate", "fast")
    assert hand.text("#state") == "fast given; expected a number above 0"
    hand.set("rate", "0.01")
    hand.set("layers", "linear classes")
    assert hand.text("#state") == 'layer 1: "linear classes" meets pictures; put flatten before it'
    hand.set("layers", "flatten\nlinear 7")
    assert "ends with 7 numbers; expected 10" in hand.text("#state")
    hand.set("layers", "flatten\nlinaer 7")
    assert '"linaer 7" is not a layer of the lab' in hand.text("#state")
    assert "0.01" in hand.text("#recipe") or hand.page.evaluate(
        "document.getElementById('recipe').textContent.includes('learning_rate = 0.01')"
    )


@pytest.mark.parametrize("name", PRESETS)
def test_every_recipe_can_be_taken_away(hand: LabHand, name: str, tmp_path: Path) -> None:
    """As TOML, which `tenfold train` takes: the sections that the lab knows are the recipe's own."""
    hand.set("preset", name)
    hand.wait()
    path = tmp_path / "from-the-lab.toml"
    path.write_text(str(hand.page.evaluate("document.getElementById('recipe').textContent")))
    found, own = get_recipe(path), get_recipe(name)
    assert tomllib.loads(path.read_text())["name"] == "from-the-lab"
    for section in ("input", "network", "loss", "optimiser", "schedule", "augmentation"):
        assert getattr(found, section) == getattr(own, section), section
    assert found.training.epochs == own.training.epochs and found.training.steps == own.training.steps


def test_a_run_of_the_command_line_is_loaded(hand: LabHand, tmp_path: Path) -> None:
    """Its network answers as the classifier does."""
    sample = load_dataset("sample")
    data = sample.subset(np.arange(0, len(sample), 5))
    recipe = change_recipe(get_recipe("mlp-small"), {"training.epochs": 4})
    classifier = train(recipe, data, data, engine="numpy").classifier
    classifier.save(tmp_path)
    hand.give("run-files", [tmp_path / "model.json", tmp_path / "model.safetensors"])
    hand.until("document.getElementById('layers').value.includes('linear 64')")
    hand.wait()
    right = float(hand.text("#numbers").rpartition("held out")[2].split(", ")[1].split(" %")[0])
    own = classifier.predict(sample.images) == sample.labels
    assert abs(right / 100 - own.mean()) < 0.05  # the page measures on a fifth of the images
    hand.give("run-files", [tmp_path / "model.json"])
    hand.until("document.getElementById('state').textContent.startsWith('expected two files')")


def test_own_pictures(hand: LabHand, tmp_path: Path) -> None:
    """A folder with a folder of pictures per class, of any size."""
    rng = np.random.default_rng(0)
    files = []
    for label, side in (("dark", 30), ("light", 28)):
        for number in range(20):
            picture = rng.integers(0, 90, (side, side), dtype=np.uint8) + (150 if label == "light" else 0)
            files.append(tmp_path / f"{label}-{number}.png")
            Image.fromarray(picture.astype(np.uint8)).save(files[-1])
    hand.page.evaluate("document.getElementById('own-files').removeAttribute('webkitdirectory')")
    hand.give("own-files", files)
    hand.until("document.getElementById('images').textContent.startsWith('40 images of 2 classes')")
    hand.wait()
    hand.set("epochs", "80")
    hand.click("#run")
    hand.until("document.getElementById('state').textContent.startsWith('Trained')")
    assert "100.0 % right" in hand.text("#numbers").rpartition("held out")[2]
    (tmp_path / "no-picture.png").write_text("text")
    hand.give("own-files", [*files, tmp_path / "no-picture.png"])
    hand.until("document.getElementById('state').textContent.startsWith('no-picture.png is not a picture')")
