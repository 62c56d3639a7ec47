"""What serves a review: this machine's address and its token only, small bodies, and every answer kept."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from local_pages import Running, crop, item, review, running

from tenfold.errors import DataError, MissingDependencyError, UsageError
from tenfold.reader.adapt import collect_examples, label_pictures
from tenfold.reader.constraint import Constraint
from tenfold.review.page import ReviewItem, to_text, why_not_text
from tenfold.serve.settings import Refusal

FINISH = ("finish", {})


@pytest.fixture
def served() -> Iterator[Running]:
    with running(partial(review, [item("1?9"), item("?", 1)]), FINISH) as page:
        yield page


def answer(page: Running, number: int, text: str, **more: Any) -> dict[str, Any]:
    told = page.post("answer", {"item": number, "text": text} | more)
    assert told.status_code == 200
    return told.json()


def test_only_the_whole_address_is_answered(served: Running) -> None:
    parts = urlsplit(served.address)
    root = f"{parts.scheme}://{parts.netloc}"
    assert parts.hostname == "127.0.0.1" and len(parts.path.strip("/")) >= 32
    names = ("", "items", "crop-0.png", "review.js", "page.css")
    assert [served.get(name).status_code for name in names] == [200] * len(names)
    for path in (
        "/",
        "/items",
        f"/{'A' * 32}/items",
        f"{parts.path.lower()}items",
        "//",
        parts.path[:-2] + "/",
    ):
        assert served.client.get(root + path).status_code == 403, path
    assert served.client.post(f"{root}/answer", json={"item": 0, "text": "1"}).status_code == 403
    for name in ("answer", "draw.js", "../page.py", "static/review.js", "crop-2.png", "crop-00.png"):
        assert served.get(name).status_code in (403, 404), name


def test_two_pages_have_two_tokens(served: Running) -> None:
    with running(partial(review, [item("?")]), FINISH) as other:
        assert urlsplit(other.address).path != urlsplit(served.address).path


def test_other_hosts_and_other_pages_are_refused(served: Running) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80"):
        assert served.get("items", headers={"Host": host}).status_code == 421
        assert served.post("answer", {"item": 0, "text": "1"}, headers={"Host": host}).status_code == 421
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
        told = served.post("answer", {"item": 0, "text": "119"}, headers={"Origin": origin})
        assert told.status_code == 403, origin
    own = served.address.rpartition("/")[0].rpartition("/")[0]
    assert served.post("answer", {"item": 0, "text": "119"}, headers={"Origin": own}).status_code == 200


def test_no_script_in_the_page_and_nothing_is_cached(served: Running) -> None:
    told = served.get()
    policy = told.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert told.headers["referrer-policy"] == "no-referrer" and told.headers["cache-control"] == "no-store"
    assert "style=" not in told.text and "<style" not in told.text and "onclick" not in told.text
    assert served.get("crop-0.png").headers["content-type"] == "image/png"


def test_bodies_that_are_not_an_answer(served: Running) -> None:
    def post(body: bytes | Iterator[bytes], kind: str = "application/json") -> int:
        told = served.client.post(f"{served.address}answer", content=body, headers={"Content-Type": kind})
        return told.status_code

    assert post(b"x" * 2**18 + b"x") == post(b"x" * 2**16 for _ in range(6)) == 413
    assert post(b"{") == post(b"[]") == post(b"[" * 10_000) == 400
    assert post(b'{"item": 0, "text": "1"}', "text/plain") == 415
    for document in ({"item": 2, "text": "1"}, {"item": -1, "text": "1"}, {"item": "0", "text": "1"},
                     {"item": 0, "text": 1}, {"text": "1"}, {"item": 0.5, "text": "1"}):  # fmt: skip
        assert served.post("answer", document).status_code == 422, document


def test_what_is_no_number_is_never_taken(served: Running) -> None:
    for text in ("", "  ", "1?", "12a", "１2b", "9" * 101, "\x1b[31m"):
        for sure in (False, True):
            told = answer(served, 0, text, sure=sure)
            assert not told["taken"] and told["why"], text
    assert answer(served, 0, " １０ x 3*2 ")["text"] == "10×3×2"


def test_kept_as_they_come_and_once(tmp_path: Path) -> None:
    """An item that is answered anew takes the place of its first answer."""
    items = [item("1?9"), item("?", 1), item("45", 2), item("3?", 3)]
    with running(partial(review, items, keep=tmp_path), FINISH) as page:
        for number, text, rows in ((0, "109", 1), (1, "7", 2), (0, "108", 2), (0, "108", 2), (2, "45", 3)):
            assert answer(page, number, text)["trouble"] == ""
            assert len(kept(tmp_path)) == rows
        answer(page, 1, "", unread=True)
        assert page.get("items").json()["next"] == 2
        page.post(*FINISH)
        assert page.result() == ["108", "", "45", None]
    assert [row["label"] for row in kept(tmp_path)] == ["108", "45"]
    pictures = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert pictures == sorted(Path(row["path"]).name for row in kept(tmp_path))
    labelled = label_pictures((), str(tmp_path / "labels.csv"))
    assert [each.label for each in labelled] == ["108", "45"]
    examples, left_out = collect_examples(labelled)
    assert [each.text for each in examples] == ["108", "45"] and not left_out


def kept(folder: Path) -> list[dict[str, str]]:
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table))


def test_a_full_disk_is_said_and_the_answer_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise Refusal(507, "no space", remedy="free some")

    monkeypatch.setattr("tenfold.serve.corrections.Corrections.add", full)
    with running(partial(review, [item("1?")], keep=tmp_path), FINISH) as page:
        assert "no space" in answer(page, 0, "12")["trouble"]
        assert page.result() == ["12"]


def test_a_review_of_nothing_opens_no_page() -> None:
    assert review([], announce=lambda _: pytest.fail("a page")) == []


def test_mistakes_of_the_caller(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        review([item("?")], announce=print, keep=tmp_path / "file")
    with running(partial(review, [item("?")]), FINISH) as page, pytest.raises(UsageError, match="port"):
        review([item("?")], announce=print, port=urlsplit(page.address).port or 0)


CODE = """
import sys, numpy as np
from pathlib import Path
from tenfold.review.page import Review, ReviewItem
items = [ReviewItem("a", "", "?", np.full((40, 40), 255, np.uint8)) for _ in range(2)]
print(Review().ask(items, announce=lambda address: print(address, flush=True), open_browser=False)[0])
"""


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_returns_what_was_confirmed() -> None:
    started = subprocess.Popen([sys.executable, "-c", CODE], stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    address = started.stdout.readline().strip()
    assert httpx.post(f"{address}answer", json={"item": 0, "text": "7"}, timeout=60).json()["taken"]
    started.send_signal(signal.SIGINT)
    out, _ = started.communicate(timeout=60)
    assert (out, started.returncode) == ("['7', None]\n", 0)


def test_without_the_extra_one_line_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "uvicorn" else object())
    source = Path(sys.modules["tenfold.review"].__file__ or "")
    with pytest.raises(MissingDependencyError, match=r"pip install 'tenfold\[serve\]'"):
        exec(compile(source.read_text(encoding="utf-8"), source, "exec"), {})  # noqa: S102


def test_names_that_are_not_text() -> None:
    odd = ReviewItem("a\udcff\x1b[31m.png", "\u202e", "1?", crop())
    with running(partial(review, [odd]), FINISH) as page:
        (told,) = page.get("items").json()["items"]
        assert (told["source"], told["name"]) == (r"a\udcff\x1b[31m.png", r"\u202e")


def test_what_is_typed_as_text() -> None:
    assert to_text(" 12 × 3 x4 ") == "12×3×4"
    assert why_not_text("1.049,5") == why_not_text("07/11") == ""
    two = Constraint.make(pattern=r"\d{2}", least=0, most=50)
    one = Constraint.make(length=1)
    assert one is not None and two is not None
    assert two.fits("49") and not two.fits("51") and not two.fits("4")
    assert two.describe() == r"the form \d{2}, a number of at least 0 and at most 50"
    assert one.describe() == "1 digit"


def test_many_answers_at_once(tmp_path: Path) -> None:
    """Two windows on the same page: each answer is taken whole."""
    items = [ReviewItem("a", "", "?", np.ascontiguousarray(crop(i % 10))) for i in range(12)]
    with running(partial(review, items, keep=tmp_path), FINISH) as page:
        threads = [
            threading.Thread(target=lambda part=part: [answer(page, i, str(i)) for i in range(part, 12, 2)])
            for part in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert page.result() == [str(i) for i in range(12)]
    assert sorted(int(row["label"]) for row in kept(tmp_path)) == list(range(12))
