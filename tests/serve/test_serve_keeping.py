"""Corrections on a disk that fills: each is kept as a whole or not at all, and all of them have a limit."""

from __future__ import annotations

import csv
import errno
import io
import os
from pathlib import Path

import pytest
from serving import AppClient, base64_of

from tenfold.errors import DataError
from tenfold.serve.corrections import Corrections
from tenfold.serve.settings import Refusal

GIVEN = ("7", "1", bytes(1000))
STRIP = {"image": base64_of(bytes(784)), "label": "7"}


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table))


class Full(io.FileIO):
    """A file on a disk that has three bytes left."""

    def write(self, data: bytes) -> int:  # type: ignore[override]
        return super().write(data[:3])


@pytest.mark.parametrize("where", ["picture", "rename", "table", "table in part"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_disk_is_507_and_nothing_is_half_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, number: int
) -> None:
    kept = Corrections(tmp_path, 2**20)
    kept.add(*GIVEN)
    before, size = (tmp_path / "labels.csv").read_bytes(), kept.size

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        if where == "picture":
            patch.setattr(Path, "write_bytes", fail)
        elif where == "rename":
            patch.setattr(Path, "replace", fail)
        elif where == "table":
            patch.setattr(os, "fsync", fail_from_second(fail))
        else:
            patch.setattr(Path, "open", lambda path, mode="r", **_: Full(path, mode.replace("b", "")))
            patch.setattr("tenfold.files.os.fsync", lambda _: None)
            patch.setattr(Path, "write_bytes", lambda path, data: path.touch())
        with pytest.raises(Refusal) as caught:
            kept.add(*GIVEN)
    assert caught.value.status == 507 and "cannot be kept" in caught.value.found
    assert (tmp_path / "labels.csv").read_bytes() == before
    assert len(list((tmp_path / "pictures").iterdir())) == 1
    assert (kept.count, kept.size) == (1, size)
    kept.add(*GIVEN)
    assert kept.count == len(rows_of(tmp_path)) == 2


def test_all_of_them_have_a_limit_in_bytes(tmp_path: Path) -> None:
    """Of what was there before, too."""
    kept = Corrections(tmp_path, 5000)
    with pytest.raises(Refusal, match="bytes of corrections are kept") as caught:
        for _ in range(9):
            kept.add(*GIVEN)
    assert caught.value.status == 507 and "--max-collected" in caught.value.remedy
    assert 2 <= kept.count <= 4
    assert kept.size == sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 5000
    again = Corrections(tmp_path, 5000)
    assert (again.count, again.size) == (kept.count, kept.size)
    with pytest.raises(Refusal):
        Corrections(tmp_path, kept.size).check_capacity()


def test_the_server_says_so(image_client: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Corrections, "_append", fail)
    answer = image_client.post("/v1/corrections", json=STRIP)
    assert answer.status_code == 507 and "the disk is full" in answer.json()["error"]["found"]
    monkeypatch.undo()
    monkeypatch.setattr(Corrections, "check_capacity", fail_full)
    assert image_client.post("/v1/corrections", json=STRIP).status_code == 507
    monkeypatch.undo()
    assert image_client.post("/v1/corrections", json=STRIP).status_code == 200


def test_what_was_read_is_no_formula_in_the_table(image_client: AppClient) -> None:
    for read in ("=cmd|'/c calc'!A0", "@SUM(1)", "+1+cmd", "-2+a", "\t=1"):
        assert image_client.post("/v1/corrections", json=STRIP | {"read": read}).status_code == 200
        assert image_client.settings.collect is not None
        row = rows_of(image_client.settings.collect)[-1]
        assert row["read"][0] in "'\\" and row["label"] == "7"  # a tab is kept as \t


def test_a_folder_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "pictures").write_text("a file")
    with pytest.raises(DataError, match="cannot be written"):
        Corrections(tmp_path, 100)


def fail_full(*_: object) -> None:
    raise Refusal(507, "10,000 corrections are kept")


def fail_from_second(fail: object) -> object:
    """The picture can be flushed (it and its folder), the table cannot."""
    real, calls = os.fsync, []

    def flush(number: int) -> None:
        calls.append(number)
        if len(calls) > 2:
            fail()  # type: ignore[operator]
        real(number)

    return flush
