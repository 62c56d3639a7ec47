"""Every notebook runs from its first line to its last on the embedded sample, and is kept as it should be."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
from render_notebooks import NOTEBOOKS, read_notebook, tidy

CELL_LINES = 18

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_there_is_one_a_document_and_one_for_handwriting() -> None:
    assert [path.stem[:2] for path in NOTEBOOKS] == ["1_", "2_", "3_", "4_", "5_", "6_"]


@each_notebook
def test_runs_without_torch_and_without_a_warning(path: Path, tmp_path: Path) -> None:
    """Its own assertions are the tests; torch is hidden by a module of that name that cannot be imported."""
    (tmp_path / "torch.py").write_text("raise ImportError('torch is not to be used')\n")
    surroundings = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    surroundings |= {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)],
        cwd=tmp_path,
        env=surroundings,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert not done.stderr
    assert [entry.name for entry in tmp_path.iterdir() if entry.suffix != ".py" and entry.is_file()] == []


@each_notebook
def test_text_is_canonical_and_converts_to_a_valid_notebook(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    notebook = read_notebook(path)
    nbformat.validate(
        nbformat.from_dict(nbformat.reads(jupytext.writes(notebook, fmt="ipynb"), as_version=4))
    )
    notebook.metadata = {"jupytext": {"notebook_metadata_filter": "-all", "cell_metadata_filter": "-all"}}
    assert jupytext.writes(notebook, fmt="py:percent") == text
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith(f"# {path.stem[0]}. ")


@each_notebook
def test_cells_are_short_and_what_is_said_is_checked(path: Path) -> None:
    cells = [cell.source for cell in read_notebook(path).cells if cell.cell_type == "code"]
    assert max(len(source.splitlines()) for source in cells) <= CELL_LINES
    asserted = sum(isinstance(node, ast.Assert) for source in cells for node in ast.walk(ast.parse(source)))
    assert asserted >= 8


def test_links_between_notebooks_lead_somewhere() -> None:
    pages = {f"{path.stem}.md" for path in NOTEBOOKS}
    for path in NOTEBOOKS:
        for part in path.read_text(encoding="utf-8").split("](")[1:]:
            target = part.split(")")[0]
            assert target in pages or target.startswith("../"), target


def test_printed_text_comes_out_fenced_and_code_as_it_was() -> None:
    code = "words\n\n```python\nif x:\n    y\n```\n\n"
    printed = "    \x1b[31mone\x1b[0m\n    \n      two\n\n    \n\n"
    fenced = "```text\none\n\n  two\n```\n\n"
    assert (
        tidy(code + printed + "![png](a/b.png)\n")
        == code + fenced + "![What the cell above draws](a/b.png)\n"
    )
