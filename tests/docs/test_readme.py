"""What the README says is true: its code runs, its commands exist, its table is what was measured."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tenfold.cli.app import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = README + "".join(page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").rglob("*.md")))


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


def _run(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_python_code_runs() -> None:
    (code,) = _blocks("python")
    number, scores = _run(code)
    assert number == "3141592"
    assert float(scores.partition("%")[0]) > 85


def test_it_is_read_in_half_a_minute() -> None:
    assert len(README.splitlines()) <= 120


def test_the_table_is_made_of_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    table = runpy.run_path(str(ROOT / "benchmarks" / "readme_table.py"))["make_table"]()
    assert f"<!-- figures -->\n{table}\n<!-- /figures -->" in README, "run: python benchmarks/readme_table.py"


def test_commands_exist_and_take_these_options() -> None:
    lines = [line for block in _blocks("") for line in block.splitlines() if line.startswith("tenfold ")]
    assert len(lines) == 8
    for line in lines:
        command, _, _ = line.partition("#")
        words = command.partition(" > ")[0].split()
        names = [words[1]] + [word for word in words[2:3] if words[1] in ("runs", "recipes", "data")]
        done = CliRunner().invoke(app, [*names, "--help"])
        assert done.exit_code == 0, line
        for option in (word for word in words if word.startswith("--")):
            assert option in done.stdout, line


@pytest.mark.parametrize(
    "path", sorted((ROOT / "benchmarks" / "results").glob("*.json")), ids=lambda p: p.stem
)
def test_tables_are_those_that_the_benchmarks_wrote(path: Path) -> None:
    results = json.loads(path.read_text(encoding="utf-8"))
    assert results["table"] in PAGES


def test_pictures_are_there() -> None:
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / path).is_file()


def test_command_reference_is_what_help_says() -> None:
    path = ROOT / "scripts" / "write_commands.py"
    namespace = runpy.run_path(str(path))
    written = namespace["PAGE"].read_text(encoding="utf-8")
    assert written == namespace["page"](), "run: python scripts/write_commands.py"
