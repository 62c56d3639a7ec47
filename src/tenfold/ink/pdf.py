"""Pages of PDF documents as pictures, rendered by PDFium where pypdfium2 is installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from tenfold.errors import DataError, printable

__all__ = ["PdfPage", "find_pages", "is_pdf", "render_page"]

_MOST_PAGES = 1000
_DOTS = 200 / 72  # pixels per point: 200 dpi, of which a stroke of a pen has three or four
_LONGEST = 4000  # pixels: a larger page is rendered with fewer dots
_LEAST = 1.0  # points: of a page's side
_PASSWORD = 4  # FPDF_ERR_PASSWORD


class PdfPage(NamedTuple):
    """A page of a document, counted from 1: what `open_picture` takes."""

    path: str
    number: int

    def __str__(self) -> str:
        return f"{self.path}#page={self.number}"


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
    if count > _MOST_PAGES:
        raise DataError(
            f"{name} has {count:,} pages", expected=f"at most {_MOST_PAGES:,}", remedy="split the document"
        )
    if not count:
        raise DataError(f"{name} has no pages", expected="at least one")
    return [PdfPage(str(path), number) for number in range(1, count + 1)]


def render_page(page: PdfPage) -> Image.Image:
    """RGB, on white paper, at 200 dpi, at most 4000 pixels long. Raises DataError."""
    with _open(page.path) as document:
        if not 1 <= page.number <= len(document):
            raise DataError(
                f"{printable(page.path)} has no page {page.number}", expected=f"1 to {len(document)}"
            )
        loaded = document[page.number - 1]
        width, height = loaded.get_size()
        if not (_LEAST <= width < float("inf") and _LEAST <= height < float("inf")):
            raise DataError(
                f"{printable(str(page))} has {width:g} x {height:g} points", expected="at least one"
            )
        scale = min(_DOTS, _LONGEST / max(width, height))
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
        raise DataError(
            f"{name} is a PDF document, for which the package pypdfium2 is not installed",
            expected="that package, or a picture",
            remedy='pip install "tenfold[pdf]", or export its pages as PNG',
        ) from error
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
        if getattr(error, "err_code", None) == _PASSWORD:
            raise DataError(
                f"{name} is encrypted",
                expected="a document that opens without a password",
                remedy="save it without one",
            ) from error
        raise DataError(
            f"{name} cannot be read as PDF ({error})",
            expected="a whole document",
            remedy="it may be damaged or cut short: copy or save it again",
        ) from error
