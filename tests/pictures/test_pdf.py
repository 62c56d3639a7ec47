"""Pages of PDF documents: rendered in a size that is read, within limits, and one line for broken ones."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from open_checks import refusal
from PIL import Image

from tenfold.errors import DataError
from tenfold.pictures import formats
from tenfold.pictures.formats import PdfPage, find_pages, is_pdf, render_page
from tenfold.pictures.open import open_picture

pytest.importorskip("pypdfium2")


def document(*greys: int, size: tuple[int, int] = (72, 144), resolution: float = 72.0) -> bytes:
    """A page of each grey; size: in pixels, so many of them per inch."""
    first, *others = [Image.new("L", size, grey) for grey in greys]
    file = io.BytesIO()
    first.save(file, "PDF", save_all=True, append_images=others, resolution=resolution)
    return file.getvalue()


DOCUMENT = document(250, 100, 30)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "a.pdf").write_bytes(DOCUMENT)
    return tmp_path / "a.pdf"


def test_each_page_is_a_picture(path: Path) -> None:
    pages = find_pages(path)
    assert [str(page) for page in pages] == [f"{path}#page={number}" for number in (1, 2, 3)]
    for page, grey in zip(pages, (250, 100, 30), strict=True):
        opened = open_picture(page)
        assert opened.size == (200, 400), "1 x 2 inches at 200 dpi"
        assert abs(float(opened.pixels[20:-20, 20:-20].mean()) - grey) < 2
    assert is_pdf(path) and not is_pdf(path.parent) and not is_pdf(path / "missing")


def test_a_large_page_is_rendered_with_fewer_dots(tmp_path: Path) -> None:
    (tmp_path / "wall.pdf").write_bytes(document(200, size=(140, 20), resolution=0.7))  # 200 inches
    assert render_page(PdfPage(str(tmp_path / "wall.pdf"), 1)).size in {(4000, 571), (4000, 572)}


@pytest.mark.parametrize("number", [0, 4, -1])
def test_a_page_that_is_not_there(path: Path, number: int) -> None:
    assert "expected 1 to 3" in refusal(PdfPage(str(path), number))


def test_an_encrypted_document(tmp_path: Path) -> None:
    lock = b"/ID [<00> <00>] /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >> /Root"
    head, tail = DOCUMENT.rsplit(b"trailer", 1)
    tail = tail.replace(b"/Root", lock % (b"41" * 32, b"42" * 32), 1)
    (tmp_path / "a.pdf").write_bytes(head + b"trailer" + tail)
    with pytest.raises(DataError, match=r"is encrypted; expected .* without a password"):
        find_pages(tmp_path / "a.pdf")


def test_too_many_pages(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "_MOST_PAGES", 2)
    with pytest.raises(DataError, match=r"has 3 pages; expected at most 2; split"):
        find_pages(path)


def test_a_document_is_not_a_picture(path: Path) -> None:
    assert "tenfold read" in refusal(path) and "PDF document" in refusal(DOCUMENT)


def test_without_the_package(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    with pytest.raises(DataError, match=r'a\.pdf is a PDF document.*pip install "tenfold\[pdf\]"'):
        find_pages(path)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(DOCUMENT) - 1), st.binary(max_size=9), st.booleans())
def test_broken_documents_are_pages_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, place: int, noise: bytes, cut: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "broken.pdf"
    path.write_bytes(DOCUMENT[:place] if cut else DOCUMENT[:place] + noise + DOCUMENT[place + len(noise) :])
    try:
        for page in find_pages(path)[:3]:
            assert np.asarray(render_page(page)).size <= 3 * 4000 * 4000
    except DataError as error:
        assert str(error).isprintable() and error.expected
