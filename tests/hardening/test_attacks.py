"""A small part of `make harden`; and its damage and its failures, which anyone can repeat."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT))

from hardening.damage import CONTAINERS, damage  # noqa: E402
from hardening.tally import Options, Tally, show_failures, table  # noqa: E402


def test_quick_attacks() -> None:
    """In a process of its own, for it forks others."""
    words = [sys.executable, "-m", "hardening", "--quick"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = dict(
        line.strip("| ").split(" | ", 1) for line in done.stdout.splitlines() if line.startswith("| ")
    )
    assert {"kill at a file operation", "ENOMEM at a file operation", "hostile requests"} <= rows.keys()
    assert int(rows["all"].split(" | ")[0]) > 100, done.stdout


def samples() -> dict[str, bytes]:
    """A file for each container."""
    pixels, files = np.arange(64, dtype=np.uint8).reshape(8, 8), {}
    for name in ("png", "zip", "safetensors"):
        file = io.BytesIO()
        if name == "png":
            Image.fromarray(pixels).save(file, "PNG")
        elif name == "zip":
            np.savez(file, images=pixels, labels=pixels[0])
        files[name] = file.getvalue() or (2).to_bytes(8, "little") + b"{}" + bytes(9)
    return files | {
        "gzip": CONTAINERS["gzip"][1]([b"a,1\n"], b""),
        "values": b'{"a": -1.5, "b": "c", "d": true}',
    }


def test_damage_is_the_same_for_the_same_seed_and_parts_can_be_put_together_again() -> None:
    assert samples().keys() == CONTAINERS.keys()
    for name, data in samples().items():
        split, join = CONTAINERS[name]
        assert split(join(split(data), data)) == split(data)
        first, again = ([damage(data, Random(f"{turn}"), name) for turn in range(50)] for _ in range(2))
        assert first == again and len(set(first)) > 40
    assert CONTAINERS["values"][0](samples()["values"]) == [b'"a"', b"-1.5", b'"b"', b'"c"', b'"d"', b"true"]


def test_failures_are_shown_by_cause_with_the_command_that_repeats_them() -> None:
    tally = Tally("damaged pictures")
    for number in range(5):
        tally.count("mutate", f"png:{number}", "" if number % 2 else f"ValueError: {number} (open.py _open)")
    shown = show_failures([tally], 7)
    assert shown.startswith("\n3 x png:0: ValueError: 0 (open.py _open)\n")
    assert "    python -m hardening mutate --seed 7 --only png:4" in shown
    assert "| damaged pictures | 5 | 3 | 0 |" in table([tally])
    assert Options(only="png:4").chosen(["a", "b"], 0) == ["png"] and Options().chosen(["a"], 0) == ["a"]
