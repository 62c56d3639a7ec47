"""`tenfold form`: a template of the fields that are found in an example of a form."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["form_command"]


def form_command(
    picture: Annotated[Path, typer.Argument(help="A scan or a photo of the form, blank or filled.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The new file; else the picture's name with .toml.")
    ] = None,
    names: Annotated[
        str | None, typer.Option(help="a,b,c: of the fields, from the top; - leaves a field out.")
    ] = None,
) -> None:
    """Write a template of a form: the ruled cells, boxes or lines of an example, as named fields.

    The fields are called field_1, field_2, ... in reading order where they get no other
    names. Correct the TOML by hand: names, boxes, patterns, sums. The example is copied
    beside it. An existing file is never overwritten. `tenfold read --form` reads with it.
    """
    from tenfold.forms.propose import propose_form, write_form

    path = output or picture.with_suffix(".toml")
    form = propose_form(picture, name=path.stem, names=[] if names is None else names.split(","))
    write_form(form, path)
    told = f"{path}: {len(form.fields)} fields, {form.fields[0].name} to {form.fields[-1].name}"
    sys.stdout.write(f"{told}; name them there, then: tenfold read --form {path} SCANS --csv\n")
