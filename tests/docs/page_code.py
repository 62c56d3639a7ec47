"""The code blocks of a page of docs/, and a program that runs them in the folder it is started in.

python tests/docs/page_code.py PAGE

Python blocks share one namespace; `tenfold ...` lines go through the command line; a block of TOML or
Python with a title is written to a file of that name. In the page, before a block:
`<!-- not run: REASON -->` leaves it out, `<!-- run with: OPTIONS -->` adds options to its commands.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tenfold.cli import main

__all__ = ["Block", "blocks_of", "run_page"]

_FENCE = re.compile(
    r"^(?:<!-- (not run|run with): (.+?) -->\n)?( *)```(.*?)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE
)
_TITLE = re.compile(r'title="([^"]+)"')
_EXIT_CODE = re.compile(r"exit code (\d+)")


@dataclass(frozen=True)
class Block:
    """One fenced block. reason: why it is not run, or empty; options: what its commands get besides."""

    language: str
    title: str
    code: str
    reason: str
    options: tuple[str, ...]


def blocks_of(text: str) -> list[Block]:
    found = []
    for marker, words, indent, info, code in _FENCE.findall(text):
        title = _TITLE.search(info)
        found.append(
            Block(
                language=(info.split() or [""])[0],
                title=title.group(1) if title else "",
                code=re.sub(rf"^{indent}", "", code, flags=re.MULTILINE),
                reason=words if marker == "not run" else "",
                options=tuple(shlex.split(words)) if marker == "run with" else (),
            )
        )
    return found


def run_page(text: str) -> None:
    """Raises whatever a block raises, and AssertionError for a command's unexpected exit code."""
    namespace: dict[str, object] = {"__name__": "page"}
    for block in blocks_of(text):
        if block.reason:
            continue
        if block.title:
            Path(block.title).write_text(block.code, encoding="utf-8")
        if block.language == "python":
            exec(compile(block.code, "page", "exec"), namespace)  # noqa: S102
        elif block.language == "bash":
            for line in block.code.replace("\\\n", " ").splitlines():
                _run_line(line, block.options)


def _run_line(line: str, options: tuple[str, ...]) -> None:
    """One command; `> FILE` is understood, and `# exit code N` in its comment."""
    command, _, comment = line.partition("#")
    words = shlex.split(command)
    if not words:
        return
    if words[0] == "torchrun":
        subprocess.run([sys.executable, "-m", "torch.distributed.run", *words[1:]], check=True)
        return
    assert words[0] == "tenfold", f"mark the block as not run: {line}"
    told = _EXIT_CODE.search(comment)
    target = words[words.index(">") + 1] if ">" in words else None
    arguments = words[1 : words.index(">")] if target else words[1:]
    code, output = _call([*arguments, *options])
    if target:
        Path(target).write_text(output, encoding="utf-8")
    assert code == (int(told.group(1)) if told else 0), f"exit code {code}: {line}\n{output}"


def _call(arguments: list[str]) -> tuple[object, str]:
    output = io.StringIO()
    sys.argv = ["tenfold", *arguments]
    with contextlib.redirect_stdout(output):
        try:
            main()
        except SystemExit as end:
            return end.code or 0, output.getvalue()
    return 0, output.getvalue()


if __name__ == "__main__":
    run_page(Path(sys.argv[1]).read_text(encoding="utf-8"))
