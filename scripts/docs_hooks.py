"""What the documentation takes from outside docs/, for `mkdocs build` (see mkdocs.yml).

- `<!-- include: README.md#NAME -->` becomes what stands between the README's `<!-- NAME -->` and
  `<!-- /NAME -->`: a table that a program wrote has one place. Without #NAME the whole file is taken.
- Pictures of benchmarks/results/ are copied; a link to any other file of the repository becomes its words.
- Notebooks are rendered into build/ and listed in the navigation, unless `extra.notebooks` is off.
- LaTeX becomes MathML, which browsers show by themselves.
- The script with which a page from the disk searches comes from docs/assets/, not from elsewhere.
"""

from __future__ import annotations

import html
import posixpath
import re
import runpy
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

__all__ = ["on_config", "on_files", "on_page_content", "on_page_markdown", "on_post_page", "on_post_template"]

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "build" / "docs" / "notebooks"
_INCLUDE = re.compile(r"^<!-- include: ([\w./-]+)(?:#([\w-]+))? -->$", re.MULTILINE)
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
_SHIM = "https://unpkg.com/iframe-worker/shim"  # which the theme's plugin `offline` asks for
_OWN_SHIM = "assets/iframe-worker.js"
_CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
_MATHS = re.compile(r'<(span|div) class="arithmatex">\s*\\[(\[](.*?)\\[)\]]\s*</\1>', re.DOTALL)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Renders the notebooks, where there are any, and lists them before the changelog."""
    program = ROOT / "scripts" / "render_notebooks.py"
    if config.extra["notebooks"] and program.is_file() and config.nav is not None:
        written = runpy.run_path(str(program))["render_notebooks"](NOTEBOOKS)
        pages = sorted(_of_notebooks(path) for path in written if path.suffix == ".md")
        config.nav.insert(-1, {"Notebooks": pages})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pictures that benchmarks drew, the icon, and the rendered notebooks."""
    icon = ROOT / "src" / "tenfold" / "web" / "static" / "icon.svg"
    found = {"assets/icon.svg": icon}
    found |= {_in_site(path): path for path in (ROOT / "benchmarks" / "results").glob("*.png")}
    if config.extra["notebooks"] and NOTEBOOKS.is_dir():
        found |= {_of_notebooks(path): path for path in NOTEBOOKS.rglob("*") if path.is_file()}
    for uri, path in found.items():
        files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files


def on_post_page(output: str, *, page: Page, config: MkDocsConfig) -> str:  # noqa: ARG001
    return output.replace(_SHIM, get_relative_url(_OWN_SHIM, page.url))


def on_post_template(output: str, *, template_name: str, config: MkDocsConfig) -> str:  # noqa: ARG001
    return output.replace(_SHIM, f"/{_OWN_SHIM}")


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Includes, then links that leave docs/."""
    text = _INCLUDE.sub(_included, markdown)
    pieces = _CODE.split(text)  # every second one is code
    pieces[::2] = [_LINK.sub(lambda found: _relink(found, page, files), piece) for piece in pieces[::2]]
    return "".join(pieces)


def on_page_content(content: str, **_: Any) -> str:
    return _MATHS.sub(_to_mathml, content)


def _included(found: re.Match[str]) -> str:
    path, name = found.groups()
    text = (ROOT / path).read_text(encoding="utf-8")
    if name is None:
        return text
    _, begun, rest = text.partition(f"<!-- {name} -->\n")
    block, ended, _ = rest.partition(f"<!-- /{name} -->")
    if not begun or not ended:
        raise ValueError(f"{path} has no <!-- {name} --> ... <!-- /{name} -->")
    return block


def _relink(found: re.Match[str], page: Page, files: Files) -> str:
    """A link as the site knows it; the words alone where it leads to what the site does not hold."""
    picture, words, target, anchor = found.groups()
    if ":" in target:
        return found.group()
    place = posixpath.dirname(page.file.src_uri)
    reached = posixpath.normpath(posixpath.join("docs", place, target))
    if reached.startswith("docs/"):
        return found.group()
    uri = _in_site(ROOT / reached)
    if files.get_file_from_path(uri) is None:
        return words
    return f"{picture}[{words}]({posixpath.relpath(uri, place or '.')}{anchor or ''})"


def _in_site(path: Path) -> str:
    return f"assets/{path.name}"


def _of_notebooks(path: Path) -> str:
    return f"notebooks/{path.relative_to(NOTEBOOKS).as_posix()}"


def _to_mathml(found: re.Match[str]) -> str:
    kind, latex = found.groups()
    mathml = convert(html.unescape(latex), display="block" if kind == "div" else "inline")
    return f'<div class="formula">{mathml}</div>' if kind == "div" else mathml
