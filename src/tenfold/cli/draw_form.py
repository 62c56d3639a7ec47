"""`tenfold draw-form`: a form's boxes, drawn over an example of it in a browser."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tenfold.errors import printable

__all__ = ["draw_form_command"]


def draw_form_command(
    picture: Annotated[Path, typer.Argument(help="An example of the form, empty or filled in.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The form to write, as exam.toml.")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file where it is there already.")
    ] = False,
) -> None:
    """Draw the fields of a form over a picture of it, on a page in the browser.

    Boxes are drawn with mouse, pen, finger or keyboard, each with a name and a pattern.
    Save writes the form, and copies the picture beside it. The page is on this machine
    only; Ctrl-C ends it without saving.
    """
    from tenfold.review.draw import draw_form

    def announce(address: str) -> None:
        sys.stderr.write(f"tenfold: draw the fields on {address} (Ctrl-C ends it without saving)\n")
        sys.stderr.flush()

    if not draw_form(picture, output, announce=announce, replace=force):
        sys.stderr.write("tenfold: interrupted, nothing is saved\n")
        raise typer.Exit(130)
    sys.stdout.write(f"{printable(str(output))}\n")
