"""Runs the notebooks and writes each as a Markdown page with its pictures beside it.

python scripts/render_notebooks.py OUT

Of notebooks/1_softmax_regression.py comes OUT/1_softmax_regression.md, and its pictures lie in
OUT/1_softmax_regression/. OUT is made where it is not there. A page that is newer than the notebooks, the
package and this program is kept as it is.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

__all__ = ["NOTEBOOKS", "read_notebook", "render_notebook", "render_notebooks", "tidy"]

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
PACKAGE = FOLDER.with_name("src") / "tenfold"
NOTEBOOKS = tuple(sorted(FOLDER.glob("[0-9]_*.py")))
SECONDS = 600  # that one cell may take
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def read_notebook(path: Path) -> Any:
    """The text as an nbformat notebook, to be run by Python 3's kernel."""
    import jupytext

    notebook = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent")
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return notebook


def render_notebook(path: Path, out: Path) -> Path:
    """Runs it from its first cell to its last; raises nbclient's CellExecutionError where a cell fails."""
    from nbconvert import MarkdownExporter
    from nbconvert.preprocessors import ExecutePreprocessor

    notebook = read_notebook(path)
    where = {"metadata": {"path": str(path.parent)}}
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    quiet = ["--log-level=40"]  # without its remark that it listens on this machine alone, unencrypted
    ExecutePreprocessor(timeout=SECONDS, kernel_name="python3", extra_arguments=quiet).preprocess(
        notebook, where
    )
    _drop_figure_names(notebook)
    names = {"output_files_dir": path.stem, "unique_key": path.stem}
    body, resources = MarkdownExporter().from_notebook_node(notebook, resources=names)
    for name, content in resources["outputs"].items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content)
    page = out / f"{path.stem}.md"
    page.write_text(tidy(body), encoding="utf-8")
    return page


def render_notebooks(out: Path) -> list[Path]:
    """The pages in the notebooks' order; makes those that are older than what they are made from."""
    out.mkdir(parents=True, exist_ok=True)
    sources = (*FOLDER.glob("*.py"), *PACKAGE.rglob("*.py"), Path(__file__))
    newest = max(source.stat().st_mtime for source in sources)
    pages = []
    for path in NOTEBOOKS:
        page = out / f"{path.stem}.md"
        if not page.is_file() or page.stat().st_mtime < newest:
            render_notebook(path, out)
        pages.append(page)
    return pages


def _drop_figure_names(notebook: Any) -> None:
    """Of a picture, its text form ("<Figure size ...>") says nothing."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                output["data"].pop("text/plain", None)


def tidy(body: str) -> str:
    """nbconvert's Markdown with printed text, which it indents, in fences; without colours."""
    parts = re.split(r"(^```python\n.*?^```$)", _COLOURS.sub("", body), flags=re.MULTILINE | re.DOTALL)
    fenced = "".join(part if part.startswith("```python") else _fence(part) for part in parts)
    tidied = fenced.replace("![png](", "![What the cell above draws](")
    return re.sub(r"\n{3,}", "\n\n", tidied).strip() + "\n"


def _fence(text: str) -> str:
    printed = re.compile(r"(?:^    .*\n(?:^[ ]*\n(?=    ))*)+", re.MULTILINE)

    def fenced(found: re.Match[str]) -> str:
        inner = "\n".join(line[4:].rstrip() for line in found.group().rstrip().splitlines())
        return f"```text\n{inner}\n```\n\n" if inner.strip() else ""

    return printed.sub(fenced, text)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for written in render_notebooks(Path(sys.argv[1])):
        print(written)
