"""What pictures come from: the files of a folder, HEIC photos, pages of PDF documents, arrays of any numbers.

HEIC photos are decoded by pillow-heif and pages rendered by PDFium, where pillow-heif and pypdfium2 are
installed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from tenfold.errors import DataError, printable
from tenfold.files import is_special

__all__ = ["PdfPage", "find_pictures", "find_with_pages", "walk_pictures", "walk_with_pages"]

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".heic", ".heif")
_STARTS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_MOST_PAGES = 1000
_DOTS = 200 / 72  # pixels per point: 200 dpi, of which a stroke of a pen has three or four
_LEAST = 1.0  # points: of a page's side
_TOPS = (255.0, 1023.0, 4095.0, 16383.0, 65535.0)  # white of 8, 10, 12, 14 and 16 bits
_SLACK = 1.05  # a resampled picture of 0..1 may overshoot a little


class PdfPage(NamedTuple):
    """A page of a document, counted from 1: what `open_picture` takes."""

    path: str
    number: int

    def __str__(self) -> str:
        return f"{self.path}#page={self.number}"


def find_pictures(given: str, *, besides: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """Paths, each with what is wrong with it; a folder stands for the pictures in it and below, and for files
    that end as `besides` says. What is hidden is passed over; "-" is standard input."""
    found = sorted(walk_pictures(given, besides=besides))
    return found or [(given, f"{given} holds no picture; expected {', '.join(_SUFFIXES)}")]


def walk_pictures(
    given: str, *, besides: tuple[str, ...] = (), wanted: Callable[[str], bool] = lambda _: True
) -> Iterator[tuple[str, str]]:
    """As `find_pictures`, one after another in an order that does not change, without a list of all; nothing
    for a folder without pictures. wanted: by its path, before the file is opened."""
    if not given:
        yield given, "'' is an empty name; expected a picture or a folder"
        return
    if given == "-" or not Path(given).is_dir():
        if wanted(given):
            yield given, ""
        return
    broken: list[OSError] = []
    for place, folders, names in os.walk(given, onerror=broken.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = str(Path(place, name))
            if name.startswith(".") or not wanted(path):
                continue
            if looks_like_picture(path) or path.lower().endswith(besides):
                yield path, ""
        while broken:
            error = broken.pop()
            yield str(error.filename), f"{error.filename} cannot be opened ({error.strerror})"
    for error in broken:
        yield str(error.filename), f"{error.filename} cannot be opened ({error.strerror})"


def find_with_pages(given: str) -> list[tuple[str | PdfPage, str]]:
    """As `find_pictures`, with PDF documents among them, each as its pages."""
    return list(walk_with_pages(find_pictures(given, besides=(".pdf",))))


def walk_with_pages(found: Iterable[tuple[str, str]]) -> Iterator[tuple[str | PdfPage, str]]:
    """found: as `walk_pictures` yields them; of PDF documents, each page."""
    for path, error in found:
        try:
            pages = [] if error or path == "-" or not is_pdf(path) else find_pages(path)
            yield from ((page, "") for page in pages)
            if not pages:
                yield path, error
        except DataError as wrong:
            yield path, str(wrong)


def looks_like_picture(path: str | Path) -> bool:
    """Whether a file of a folder that holds all kinds is to be opened as a picture: by its name, so that a
    broken one is reported, or by how it begins."""
    if is_special(path):
        return False
    if str(path).lower().endswith(_SUFFIXES):
        return True
    try:
        with Path(path).open("rb") as file:
            start = file.read(64)
    except OSError:
        return False
    return start.startswith(_STARTS) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP") or is_heic(start)


def is_heic(head: bytes) -> bool:
    """The first 64 bytes of a file -> whether it is a HEIC photo; AVIF, in the same container, is not."""
    if head[4:8] != b"ftyp" or head[8:12] not in _BRANDS:
        return False
    listed = head[16 : min(len(head), int.from_bytes(head[:4], "big"))]
    return b"avif" not in [listed[start : start + 4] for start in range(0, len(listed), 4)]


def open_heic(stream: BinaryIO, name: str) -> Image.Image:
    """Not decoded yet; upright once it is: the container's rotation is applied, and EXIF's taken out."""
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        found = f"{name} is a HEIC photo, for which the package pillow-heif is not installed"
        expected = "that package, or another kind of picture"
        remedy = 'pip install "tenfold[heic]", or save it as JPEG'
        raise DataError(found, expected=expected, remedy=remedy) from error
    image: Image.Image = HeifImageFile(stream)
    return image


def is_pdf(path: str | Path) -> bool:
    """Whether a regular file begins as PDF documents do."""
    try:
        if not Path(path).is_file():
            return False
        with Path(path).open("rb") as file:
            return b"%PDF-" in file.read(1024)
    except (OSError, ValueError):
        return False


def find_pages(path: str | Path) -> list[PdfPage]:
    """The pages of a document, at most 1,000. Raises DataError, in one line."""
    with _open(str(path)) as document:
        count = len(document)
    name = printable(str(path))
    if not count:
        raise DataError(f"{name} has no pages", expected="at least one")
    if count > _MOST_PAGES:
        expected = f"at most {_MOST_PAGES:,}"
        raise DataError(f"{name} has {count:,} pages", expected=expected, remedy="split the document")
    return [PdfPage(str(path), number) for number in range(1, count + 1)]


def render_page(page: PdfPage) -> Image.Image:
    """RGB, on white paper, at 200 dpi, at most 4000 pixels long. Raises DataError."""
    with _open(page.path) as document:
        name, count = printable(page.path), len(document)
        if not 1 <= page.number <= count:
            raise DataError(f"{name} has no page {page.number}", expected=f"1 to {count}")
        loaded = document[page.number - 1]
        width, height = loaded.get_size()
        if not (_LEAST <= width < float("inf") and _LEAST <= height < float("inf")):
            found = f"{printable(str(page))} has {width:g} x {height:g} points"
            raise DataError(found, expected="at least one")
        scale = min(_DOTS, 4000 / max(width, height))  # pixels: a larger page is rendered with fewer dots
        bitmap = loaded.render(scale=scale, prefer_bgrx=False, rev_byteorder=True)
        image: Image.Image = bitmap.to_pil().convert("RGB")
    return image


@contextmanager
def _open(path: str) -> Iterator[Any]:
    """A PdfDocument. Raises DataError for one that is encrypted or damaged."""
    name = printable(path)
    try:
        import pypdfium2
    except ImportError as error:
        found = f"{name} is a PDF document, for which the package pypdfium2 is not installed"
        remedy = 'pip install "tenfold[pdf]", or export its pages as PNG'
        raise DataError(found, expected="that package, or a picture", remedy=remedy) from error
    try:
        document = pypdfium2.PdfDocument(path)
        try:
            document.init_forms()  # what was typed into fields is drawn, too
            yield document
        finally:
            document.close()
    except FileNotFoundError as error:
        raise DataError(f"{name} is not there", expected="a PDF document") from error
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == 4:  # FPDF_ERR_PASSWORD
            expected, remedy = "a document that opens without a password", "save it without one"
            raise DataError(f"{name} is encrypted", expected=expected, remedy=remedy) from error
        remedy = "it may be damaged or cut short: copy or save it again"
        found = f"{name} cannot be read as PDF ({error})"
        raise DataError(found, expected="a whole document", remedy=remedy) from error


def check_array(array: np.ndarray, name: str) -> None:
    """Raises DataError unless it is a finite picture: (H, W) or (H, W, 1|3|4) of numbers or bools."""
    shape = array.shape
    is_picture = array.ndim == 2 or (array.ndim == 3 and shape[2] in (1, 3, 4))
    if not is_picture or not array.size or array.dtype.kind not in "buif" or array.dtype.itemsize > 8:
        problem = f"{name} has the shape {shape} and the type {array.dtype}"
        expected = "a finite picture (H, W[, 1|3|4]) of numbers"
        raise DataError(problem, expected=expected, remedy="give one picture at a time, its colours last")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        found, remedy = "not finite (NaN or infinity)", "replace them, as with numpy.nan_to_num"
        raise DataError(f"{name} has values that are {found}", expected="a finite picture", remedy=remedy)


def to_eight_bits(values: np.ndarray, white: float | None = None) -> np.ndarray:
    """Finite numbers of any type -> uint8 of the same shape; uint8 comes back as it is. 0 stays black. White
    is the largest value of the depth that the picture uses: 1, or 8, 10, 12, 14 or 16 bits, the first that
    holds its maximum, so that a 12-bit scan in a 16-bit file is as light as it was. What lies outside
    (negative, or above 16 bits) is stretched from its least to its largest. white: the largest value of the
    depth, where it is known."""
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    bottom, top = float(values.min()), float(values.max())
    if bottom >= 0 and top <= _TOPS[-1]:
        bottom, top = 0.0, 1.0 if top <= _SLACK else next(each for each in _TOPS if top <= each)
    elif top > 0:
        bottom = min(bottom, 0.0)
    if white is not None and 0 <= bottom <= top <= white:
        bottom, top = 0.0, white
    if values.dtype == np.uint16:  # a look-up spares the floats
        return _scaled(np.arange(65536, dtype=np.float64), bottom, top)[values]
    deep = bottom < 0 or top > _TOPS[-1] or values.dtype.itemsize > 4
    return _scaled(values.astype(np.float64 if deep else np.float32), bottom, top)


def _scaled(values: np.ndarray, bottom: float, top: float) -> np.ndarray:
    """In place, but for the last step: values are a copy already. Halves keep the span finite."""
    values /= 2
    values -= bottom / 2
    values *= 255 / ((top / 2 - bottom / 2) or 1.0)
    return np.rint(np.clip(values, 0, 255, out=values), out=values).astype(np.uint8)
