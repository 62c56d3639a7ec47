"""`tenfold read --out`: shards are together the whole; what a stopped one leaves is continued."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cli_chain import Command
from test_read_command import broken, reader, save

from tenfold.reader import many
from tenfold.reader.shards import Shard

__all__ = ["reader"]  # the fixture, which stands in for the model that ships

NAMES = [f"p/{folder}{number:02}.png" for number, folder in enumerate(["", "sub/"] * 6)]


@pytest.fixture
def pictures(tenfold: Command) -> list[str]:
    for number, name in enumerate(NAMES):
        save(name, str(number * 13))
    broken("p/bad.png")
    Path("p/notes.txt").write_text("no picture")
    return sorted([*NAMES, "p/bad.png"])


def rows(folder: str = "out") -> list[dict[str, Any]]:
    files = sorted(Path(folder).glob("shard-*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


@pytest.mark.parametrize("source", [("p",), ("--list", "list.txt")], ids=str)
def test_the_union_of_shards_is_the_whole(tenfold: Command, pictures: list[str], source: tuple[str]) -> None:
    Path("list.txt").write_text("\n\n".join(reversed(pictures)) + "\r\n")
    whole = json.loads(tenfold("read", "p", "--json").out)
    for number in range(3):
        done = tenfold("read", *source, "--shard", f"{number}/3", "--out", "out")
        assert done.code == 0 and "shard-0000" in done.err and not done.out
    found = rows()
    assert sorted(row["path"] for row in found) == pictures
    assert sorted(found, key=lambda row: row["path"]) == sorted(whole, key=lambda row: row["path"])
    assert sum(row["error"] is not None for row in found) == 1
    before = {path: path.stat().st_mtime_ns for path in Path("out").iterdir()}
    assert "is finished" in tenfold("read", *source, "--shard", "1/3", "--out", "out").err
    assert {path: path.stat().st_mtime_ns for path in Path("out").iterdir()} == before


def test_each_half_written_file_is_continued(tenfold: Command, pictures: list[str]) -> None:
    tenfold("read", "p", "--out", "whole")
    whole = (Path("whole") / "shard-00000-of-00001.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    for kept in (b"", lines[0], lines[0] + lines[1][:30], whole[:-1], whole, lines[0] + bytes(9) + b"\n"):
        tenfold("read", "p", "--out", "out")
        path = Path("out/shard-00000-of-00001.jsonl")
        path.rename("out/shard-00000-of-00001.jsonl.unfinished").write_bytes(kept)
        done = tenfold("read", "p", "--out", "out")
        assert done.code == 0 and path.read_bytes() == whole
        assert {each.name for each in Path("out").iterdir()} == {path.name, "shards.json"}


def test_ctrl_c_keeps_what_was_read(
    tenfold: Command, pictures: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = many.read_pictures

    def stopped(*given: Any, **options: Any) -> Any:
        readings = read(*given, **options)
        yield from (next(readings) for _ in range(4))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(many, "read_pictures", stopped)
        assert tenfold("read", "p", "--out", "out").code == 130
    assert not rows() and len(Path("out/shard-00000-of-00001.jsonl.unfinished").read_text().splitlines()) == 4
    assert "4 pictures are read already" in tenfold("read", "p", "--out", "out").err
    assert sorted(row["path"] for row in rows()) == pictures


def test_a_killed_process_is_continued(tenfold: Command, pictures: list[str]) -> None:
    command = [sys.executable, "-m", "tenfold", "read", "--list", "-", "--out", "out", "--workers", "1"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)
    assert process.stdin is not None
    process.stdin.write("\n".join(pictures[:5]) + "\n")
    process.stdin.flush()
    half = Path("out/shard-00000-of-00001.jsonl.unfinished")
    end = time.monotonic() + 60
    while not (half.is_file() and half.read_bytes().count(b"\n") > 1) and time.monotonic() < end:
        time.sleep(0.01)
    process.kill()
    process.wait()
    process.stdin.close()
    kept = half.read_bytes().count(b"\n")
    again = subprocess.run(command, input="\n".join(pictures), text=True, capture_output=True, check=True)
    assert f"{kept} pictures are read already" in again.stderr
    assert [row["path"] for row in rows()] == pictures


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("p", "--shard", "0/2"), "--shard without --out"),
        (("--list", "list.txt"), "--list without --out"),
        (("--list", "nowhere.txt", "--out", "out"), "nowhere.txt is not there"),
        (("p", "--list", "list.txt", "--out", "out"), "--list and p"),
        ((), "no pictures are named"),
        (("p", "--out", "out", "--shard", "2/2"), "0/2 to 1/2"),
        (("p", "--out", "out", "--shard", "half"), "counted from 0"),
        (("p", "--out", "out", "--json"), "--out and --json exclude each other"),
        (("p", "--out", "out", "--explain", "sheets"), "--out and --explain"),
        (("-", "--out", "out"), "stdin"),
        (("p", "--out", "list.txt"), "list.txt is not a folder"),
    ],
    ids=str,
)
def test_what_does_not_go_together(
    tenfold: Command, pictures: list[str], arguments: tuple[str, ...], words: str
) -> None:
    Path("list.txt").write_text("p/00.png\n")
    done = tenfold("read", *arguments)
    assert done.code != 0 and words in done.err and done.err.count("\n") == 1
    assert not Path("out").exists() and Path("list.txt").read_text() == "p/00.png\n"


def test_a_folder_holds_shards_of_one_reading(tenfold: Command, pictures: list[str]) -> None:
    tenfold("read", "p", "--out", "out", "--shard", "0/2")
    assert "another shards" in tenfold("read", "p", "--out", "out", "--shard", "0/3").err
    assert "another pattern" in tenfold("read", "p", "--out", "out", "--shard", "1/2", "--pattern", r"\d").err
    Path("out/shard-00001-of-00002.jsonl.unfinished").write_text('{"path": "else.png", "page": null}\n')
    done = tenfold("read", "p", "--out", "out", "--shard", "1/2")
    assert done.code != 0 and "holds else.png where the list now has p/" in done.err


def test_every_path_is_in_one_shard() -> None:
    paths = [f"{number}.png" for number in range(8000)]
    shares = [sum(Shard(number, 8).takes(path) for path in paths) for number in range(8)]
    assert sum(shares) == 8000 and min(shares) > 900  # 5 standard deviations below 1000: 850
