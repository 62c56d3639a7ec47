"""`tenfold form`: a template of the fields that are found in an example of a form, or drawn over it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from tenfold.errors import DataError, UsageError
from tenfold.show.terminal import stderr, stdout


def form_command(
    picture: Annotated[Path, Argument(help="A scan or a photo of the form, blank or filled.")],
    output: Annotated[
        Path | None, Option("--output", "-o", help="The new file (default: the picture's name with .toml).")
    ] = None,
    names: Annotated[
        str | None, Option(help="Names of the fields, from the top: a,b,c; - leaves a field out.")
    ] = None,
    draw: Annotated[
        bool, Option("--draw", help="Draw and name the fields on a page in the browser.")
    ] = False,
    force: Annotated[bool, Option("--force", help="With --draw: replace the file.")] = False,
) -> None:
    """Write a template of a form: the ruled cells, boxes or lines of an example, as named fields.

    Unnamed fields are called field_1, field_2, ... in reading order. With --draw, a
    local page shows them over the picture; change them with mouse, pen, finger or
    keyboard; Ctrl-C ends without saving. Otherwise edit the TOML: names, boxes,
    patterns, sums. The example is copied beside it. Read forms with
    `tenfold read --form`.
    """
    from tenfold.forms.fields import propose_form

    path, given = output or picture.with_suffix(".toml"), [] if names is None else names.split(",")
    if draw:
        _draw(picture, path, given, force=force)
        return
    if force:
        raise UsageError("--force replaces what was drawn", remedy="add --draw, or name another --output")
    form = propose_form(picture, name=path.stem, names=given)
    form.write(path)
    told = f"{path}: {len(form.fields)} fields, {form.fields[0].name} to {form.fields[-1].name}"
    stdout.say(f"{told}; name them there, then: tenfold read --form {path} SCANS --csv")


def _draw(picture: Path, path: Path, names: list[str], *, force: bool) -> None:
    from tenfold.forms.fields import propose_form
    from tenfold.review.draw import draw_form

    try:
        fields = propose_form(picture, name=path.stem, names=names).fields
    except DataError:  # no field is found; draw_form refuses what is not a picture
        fields = ()

    def announce(address: str) -> None:
        stderr.say(f"tenfold: draw the fields on {address} (Ctrl-C ends it without saving)")

    if not draw_form(picture, path, announce=announce, fields=fields, replace=force):
        stderr.say("tenfold: interrupted, nothing is saved")
        raise typer.Exit(130)
    stdout.say(str(path))
