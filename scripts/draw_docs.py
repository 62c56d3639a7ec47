"""Draws the pictures of docs/ that show answers and reports: those whose sources have changed since.

    python scripts/draw_docs.py [--run RUN]

reading.png: how the first digits of examples/note.jpg are read. page.png: the page that `tenfold serve`
shows. report.png: parts of the report of the recipe `fast` on MNIST, which is trained for it unless RUN is
the folder of such a run. The last two need Chromium. Each picture holds the digest of its sources:
tests/docs/test_docs_pictures.py fails where they have changed, and `make docs` draws it again.
"""

from __future__ import annotations

import hashlib
import io
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from browser import open_page
from page_screenshots import prepare_page, serve
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tenfold.data.load import DataRequest
from tenfold.reader.explain import explain_reading
from tenfold.reader.line_reader import LineReader, load_reader
from tenfold.recipes.load import get_recipe
from tenfold.runs.run import start_run
from tenfold.show.report import write_report

__all__ = ["PICTURES", "digest_in", "digest_of", "draw"]

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
NOTE = ROOT / "examples" / "note.jpg"
SHARE = 0.53  # of the note's width: four digits, none of them cut through
WIDTH = 520  # pixels of the sheet
RECIPE = "fast"

# What stands in report.png: the verdict, the matrix beside the figures of each class, the first misses. The
# time of training is left out: it is that of the machine that draws.
PARTS = """
document.querySelectorAll('nav, footer, .skip').forEach(each => each.remove());
document.querySelectorAll('main > section').forEach(
  each => ['test', 'pictures'].includes(each.id) || each.remove());
const test = [...document.querySelector('#test').children];
const matrix = test.find(each => each.tagName === 'DIV');
test.forEach(each => each === matrix || each.remove());
document.querySelectorAll('header dl > div').forEach(
  each => each.firstElementChild.textContent === 'training' && each.remove());
"""
# Of the page, the time that an answer took: that of the machine that draws.
WITHOUT_TIME = """
document.querySelectorAll('body *').forEach(each => {
  if (!each.children.length) each.textContent = each.textContent.replace(/, in [\\d.,]+ m?s$/, '') })
"""
REPORT = (1100, 1610)  # pixels, width and height
KEY = "drawn from"
LAB = "mlp-120-84"  # what the lab trains
LAB_PARTS = """
document.querySelectorAll('.seen details').forEach((part, i) => { part.hidden = i === 0 || i > 2 });
document.querySelector('.draw').hidden = true; document.querySelector('footer').hidden = true;
"""
LAB_TRAINED = """new Promise((done) => {
  document.querySelector('#run').click();
  const state = document.querySelector('#state');
  const look = () => state.textContent.startsWith('Trained') ? done() : setTimeout(look, 50);
  look();
})"""

_LAB = ROOT / "src" / "tenfold" / "web" / "static" / "lab"
_READER = (LineReader.FOLDER / "model.safetensors", LineReader.FOLDER / "model.json")
# name -> what it is drawn from
PICTURES: dict[str, Sequence[Path]] = {
    "page.png": _READER,
    "reading.png": (*_READER, NOTE),
    "lab.png": (_LAB / "index.html", _LAB / "lab.css", _LAB / "views.js"),
    "report.png": (ROOT / "src" / "tenfold" / "recipes" / f"{RECIPE}.toml",),
}


def digest_of(name: str) -> str:
    """Of what the picture is to be drawn from now."""
    digest = hashlib.sha256()
    for path in PICTURES[name]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def digest_in(name: str) -> str:
    """Of what the picture in docs/ was drawn from."""
    with Image.open(DOCS / name) as image:
        return str(image.info.get(KEY, ""))


def draw(name: str, run: Path | None = None) -> None:
    """Writes the picture. run: of the recipe, for report.png."""
    with tempfile.TemporaryDirectory() as folder:
        if name == "reading.png":
            image = _draw_reading()
        elif name == "page.png":
            image = _draw_page()
        elif name == "lab.png":
            image = _draw_lab()
        else:
            image = _draw_report(run or _train(Path(folder)))
    told = PngInfo()
    told.add_text(KEY, digest_of(name))
    image.convert("RGB").quantize(128).save(DOCS / name, optimize=True, pnginfo=told)


def _draw_reading() -> Image.Image:
    note = Image.open(NOTE)
    part = note.crop((0, 0, round(SHARE * note.width), note.height))
    reader = load_reader()
    sheet = explain_reading(reader.read(part), reader, name="the first digits of note.jpg")
    return sheet.resize((WIDTH, round(sheet.height * WIDTH / sheet.width)), Image.Resampling.LANCZOS)


def _draw_page() -> Image.Image:
    with serve("--timeout", "120") as address, open_page() as page:
        page.show(address, width=1280, height=800)
        prepare_page(page, "number")
        if "answers from this server" not in page.evaluate("document.body.innerText"):
            raise RuntimeError("the page shows no answer; draw it when the machine is less busy")
        page.evaluate(WITHOUT_TIME)
        return Image.open(io.BytesIO(page.screenshot()))


def _draw_lab() -> Image.Image:
    ready = "new Promise((done) => { const look = () => document.documentElement.matches('[data-ready]')"
    ready += " ? done() : setTimeout(look, 50); look(); })"
    with serve("--timeout", "120") as address, open_page() as page:
        page.show(f"{address}/lab/", width=1280, height=800)
        page.evaluate(ready)
        page.evaluate(LAB_TRAINED)
        page.evaluate(LAB_PARTS)
        image = Image.open(io.BytesIO(page.screenshot()))
        return image.crop((0, 0, 1280, min(image.height, 1500)))


def _train(folder: Path) -> Path:
    return start_run(get_recipe(RECIPE), data=DataRequest("mnist"), run_dir=folder / f"{RECIPE}-0").run.folder


def _draw_report(run: Path) -> Image.Image:
    width, height = REPORT
    with tempfile.TemporaryDirectory() as folder, open_page() as page:
        page.show(write_report(run, Path(folder) / "report.html"), width=width, height=height)
        page.evaluate(PARTS)
        return Image.open(io.BytesIO(page.screenshot())).crop((0, 0, width, height))


def main(arguments: list[str]) -> int:
    run = Path(arguments[1]) if arguments[:1] == ["--run"] and len(arguments) == 2 else None
    if arguments and run is None:
        print(__doc__, file=sys.stderr)
        return 2
    for name in PICTURES:
        if digest_in(name) != digest_of(name):
            draw(name, run)
            print(f"docs/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
