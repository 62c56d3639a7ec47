"""Every block of code in docs/ runs, page by page, in a folder of its own; what cannot run is listed here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from page_code import blocks_of

from tenfold.recipes.load import parse_recipe

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"), key=str)
RUN = ("python", "bash")

# page -> the first words of each block that is not run here
NOT_RUN = {
    "how-to/lab.md": ["tenfold lab"],
    "how-to/own-pictures.md": ["tenfold data show", "import datasets", "tenfold train cnn --data train.csv"],
    "how-to/ranks.md": ["torchrun --nnodes=2", "#!/bin/bash"],
    "how-to/many.md": ["export OMP_NUM_THREADS=1", "find", "#!/bin/bash", "import pandas", "import pandas"],
    "how-to/search.md": ["export PGPASSWORD"],
    "how-to/teach.md": ["pip wheel", "pip install", "tenfold serve"],
    "how-to/review.md": ["tenfold read", "tenfold adapt", "tenfold form"],
    "index.md": ["make demo"],
    "serving.md": ["pip install", "import httpx", "curl", "docker build"],
    "tutorial.md": ["python3 -m venv", "tenfold serve"],
}


def _name(path: Path) -> str:
    return path.relative_to(DOCS).as_posix()


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_each_block_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    blocks = blocks_of(text)
    assert text.count("```") == 2 * len(blocks)
    for block in blocks:
        assert block.language in (*RUN, "toml", "text", "json"), block.code
        if block.language == "toml" and "[[field]]" in block.code:
            assert tomllib.loads(block.code)["field"]
        elif block.language == "toml":
            parse_recipe(block.code)


def test_what_is_not_run_is_listed_here() -> None:
    skipped = {
        _name(path): [block.code for block in blocks_of(path.read_text(encoding="utf-8")) if block.reason]
        for path in PAGES
    }
    assert {name for name, codes in skipped.items() if codes} == set(NOT_RUN)
    for name, starts in NOT_RUN.items():
        assert len(skipped[name]) == len(starts), name
        for code, start in zip(skipped[name], starts, strict=True):
            assert code.startswith(start), name


@pytest.mark.parametrize(
    "path",
    [
        p
        for p in PAGES
        if any(b.language in RUN and not b.reason for b in blocks_of(p.read_text(encoding="utf-8")))
    ],
    ids=_name,
)
def test_page_runs(path: Path, tmp_path: Path) -> None:
    """In a process of its own, without the full data sets, beside a copy of examples/."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    surroundings = {name: value for name, value in os.environ.items() if name != "TENFOLD_DATA_DIR"}
    surroundings |= {"OMP_NUM_THREADS": "1", "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    surroundings["MPLCONFIGDIR"] = str(tmp_path.parent / "matplotlib")  # its list of fonts is made once
    done = subprocess.run(
        [sys.executable, "-W", "error", str(Path(__file__).with_name("page_code.py")), str(path)],
        cwd=tmp_path, capture_output=True, text=True, check=False, env=surroundings,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
