"""The readers beside tenfold: RapidOCR, stock and masked to digits, tesseract, and the naive pipeline."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from answers import PAGES, SINGLE, Case, Read, answer_cases
from PIL import Image, ImageOps

from tenfold.helpers import ONE_CORE

__all__ = ["NaivePipeline", "Peer", "RapidOcr", "Tesseract", "choose_mode", "decode_greedily", "make_peers"]

MODES = (7, 8, 10, 13, 6)  # line, word, character, raw line, block
_BLANK = 0  # the first class of RapidOCR's recogniser
_LEAST_HEIGHT, _BORDER = 64, 16  # pixels of a picture for tesseract
_TRIED = 30  # pictures of each kind that tesseract's page mode is chosen on


class Peer(Protocol):
    """A reader of pictures."""

    name: str

    def prepare(self, cases: Sequence[Case]) -> Sequence[Case]:
        """Called before a kind; returns those of its pictures that are to be read."""

    def read(self, picture: Any) -> Read: ...

    def describe(self) -> dict[str, Any]:
        """Versions, and bytes on disk."""


def make_peers(names: Sequence[str], *, limit: int, naive: tuple[Path | None, str] | None) -> list[Peer]:
    """names: rapidocr, tesseract. limit: pictures of each kind for tesseract. naive: weights, data folder."""
    peers: list[Peer] = []
    if "rapidocr" in names:
        peers += [RapidOcr(masked=False), RapidOcr(masked=True)]
    if "tesseract" in names:
        peers.append(Tesseract(limit))
    if naive is not None:
        peers.append(NaivePipeline(*naive))
    return peers


class RapidOcr:
    """RapidOCR's recogniser on the whole picture with one thread, without detection and rotation.

    masked: only the probabilities of the digits and of the blank are decoded.
    """

    def __init__(self, *, masked: bool) -> None:
        try:
            import cv2
            from rapidocr import RapidOCR
        except ModuleNotFoundError as missing:
            raise SystemExit(
                f"no {missing.name}: pip install -e '.[bench]', or leave it out of --peers"
            ) from None

        cv2.setNumThreads(1)
        options = {"Global.use_det": False, "Global.use_cls": False, "Global.log_level": "error"}
        self._engine: Any = RapidOCR(params=options | {"EngineConfig.onnxruntime.intra_op_num_threads": 1})
        self._recogniser: Any = self._engine._load_rec_model()
        self._characters: list[str] = self._recogniser.postprocess_op.character
        self._digits = [_BLANK, *(self._characters.index(str(digit)) for digit in range(10))]
        self._masked = masked
        self.name = "RapidOCR, digits only" if masked else "RapidOCR"

    def prepare(self, cases: Sequence[Case]) -> Sequence[Case]:
        return cases

    def read(self, picture: Any) -> Read:
        probs, characters = self._probs(picture), self._characters
        if self._masked:
            probs = probs[:, self._digits]
            probs = probs / probs.sum(axis=1, keepdims=True)
            characters = [characters[place] for place in self._digits]
        text, confidence = decode_greedily(probs, characters)
        return Read(text, confidence, text)

    def _probs(self, picture: Any) -> np.ndarray:
        """float32 (steps, characters), with RapidOCR's own loading, scaling and padding."""
        pixels, _ = self._engine.preprocess_img(self._engine.load_img(picture))
        _, height, width = self._recogniser.rec_image_shape
        ratio = max(width / height, pixels.shape[1] / pixels.shape[0])
        inputs = self._recogniser.resize_norm_img(pixels, ratio)[np.newaxis].astype(np.float32)
        probs: np.ndarray = self._recogniser.session(inputs)[0]
        return probs

    def describe(self) -> dict[str, Any]:
        """bytes: of the recogniser; bytes_of_all_models: of the wheel."""
        import rapidocr

        models = sorted((Path(rapidocr.__file__).parent / "models").glob("*.onnx"))
        sizes = {path.name: path.stat().st_size for path in models}
        return {
            "version": version("rapidocr"),
            "onnxruntime": version("onnxruntime"),
            "bytes": sum(size for name, size in sizes.items() if "_rec_" in name),
            "bytes_of_all_models": sum(sizes.values()),
            "models": sizes,
        }


def decode_greedily(probs: np.ndarray, characters: Sequence[str]) -> tuple[str, float | None]:
    """Greedy CTC decoding: equal neighbours merged, blanks removed (Graves et al. 2006).

    probs: float (steps, characters), the blank first -> the text, and the mean probability of its characters.
    """
    best = probs.argmax(axis=1)
    kept = (best != _BLANK) & np.append(True, best[1:] != best[:-1])
    text = "".join(characters[place] for place in best[kept])
    return text, float(probs.max(axis=1)[kept].mean()) if text else None


class Tesseract:
    """Debian's package as a process per picture, with the page mode that is best on a kind's first pictures.

    The mode is chosen on pictures that are measured afterwards, to tesseract's advantage.
    """

    name = "tesseract"

    def __init__(self, limit: int) -> None:
        if shutil.which("tesseract") is None:
            raise SystemExit("no tesseract: apt-get install tesseract-ocr, or leave it out of --peers")
        self._limit, self._mode = limit, MODES[0]
        self.modes: dict[str, int] = {}

    def prepare(self, cases: Sequence[Case]) -> Sequence[Case]:
        if cases[0].kind in PAGES:  # minutes each
            return ()
        chosen = cases[: self._limit]
        self._mode = choose_mode(chosen[:_TRIED])
        self.modes[chosen[0].kind] = self._mode
        return chosen

    def read(self, picture: Any) -> Read:
        text = run_tesseract(picture, self._mode)
        return Read(text, None, text)

    def describe(self) -> dict[str, Any]:
        """bytes: of the English model."""
        listed = subprocess.run(["tesseract", "--list-langs"], capture_output=True, text=True, check=True)
        folder = Path(listed.stdout.split('"')[1])
        told = subprocess.run(["tesseract", "--version"], capture_output=True, text=True, check=True)
        size = (folder / "eng.traineddata").stat().st_size
        return {"version": told.stdout.split()[1], "page_modes": self.modes, "bytes": size}


def choose_mode(cases: Sequence[Case]) -> int:
    """The page mode with the most pictures right, then with the fewest edits."""

    def merit(mode: int) -> tuple[int, int]:
        answers = answer_cases(lambda picture: Read(run_tesseract(picture, mode), None, ""), cases)
        return sum(answer.right for answer in answers), -sum(answer.errors for answer in answers)

    return max(MODES, key=merit)


def run_tesseract(picture: Any, mode: int) -> str:
    command = ["tesseract", "-", "-", "--psm", str(mode), "-c", "tessedit_char_whitelist=0123456789"]
    surroundings = os.environ | ONE_CORE | {"OMP_THREAD_LIMIT": "1"}
    done = subprocess.run(command, input=to_png(picture), capture_output=True, check=True, env=surroundings)
    return done.stdout.decode()


def to_png(picture: Any) -> bytes:
    """Grey on white ground, 64 pixels high at least, with a border as bright as the edges."""
    with Image.fromarray(picture) if isinstance(picture, np.ndarray) else Image.open(picture) as opened:
        upright = ImageOps.exif_transpose(opened).convert("RGBA")
    white = Image.new("RGBA", upright.size, "white")
    grey = Image.alpha_composite(white, upright).convert("L")
    if grey.height < _LEAST_HEIGHT:
        scale = _LEAST_HEIGHT / grey.height
        size = round(grey.width * scale), _LEAST_HEIGHT
        grey = grey.resize(size, Image.Resampling.BICUBIC)
    pixels = np.asarray(grey)
    edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    data = io.BytesIO()
    ImageOps.expand(grey, _BORDER, fill=int(np.median(edges))).save(data, "PNG")
    return data.getvalue()


class NaivePipeline:
    """The network of `naive.py`: it names one digit for every picture."""

    def __init__(self, weights: Path | None, data_dir: str) -> None:
        from naive import NAIVE_MODEL, load_naive  # needs torch

        self._weights = weights or NAIVE_MODEL
        self._naive = load_naive(self._weights, data_dir)
        self.name = "naive pipeline"

    def prepare(self, cases: Sequence[Case]) -> Sequence[Case]:
        return cases if cases[0].kind in SINGLE else ()

    def read(self, picture: Any) -> Read:
        probs = self._naive.read([picture])[0]
        text = str(probs.argmax())
        return Read(text, float(probs.max()), text)

    def describe(self) -> dict[str, Any]:
        return {"epochs": self._naive.epochs, "bytes": self._weights.stat().st_size}
