"""`tenfold lab`: the page and what it loads, from this machine only."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import httpx

from tenfold.export.lab import PRESETS, lab_files


def test_the_page_and_what_it_loads() -> None:
    command = [sys.executable, "-m", "tenfold", "lab", "--no-browser"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            address = re.findall(r"http://127\.0\.0\.1:\d+/lab/", said)[0]
            page = httpx.get(address)
            files = {
                name: httpx.get(f"{address}{name}").content for name in ("presets.json", "sample.bin.gz")
            }
            card = httpx.get(f"{address}../model/card.json").json()
            weights = httpx.get(f"{address}../model/weights.bin").content
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(30) in (0, 130)  # 130 where it is told before the server listens to signals
    assert page.status_code == 200 and "tenfold lab" in page.text
    assert "script-src 'self' 'wasm-unsafe-eval'" in page.headers["content-security-policy"]
    assert files == lab_files()
    assert card["weights"]["bytes"] == len(weights) and card["recipe"]["name"] == "line-reader"


def test_its_recipes_are_those_of_the_five_tutorials_and_two_more() -> None:
    assert {"softmax-gd-published", "mlp-120-84", "mlp-small", "sigmoid-500-published"} < set(PRESETS)
    assert {"mlp-128-64-augmented", "fast", "cnn"} < set(PRESETS)
