"""`tenfold gradcheck`: are the hand-written gradients right?"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import typer

from tenfold.cli.options import Json, Seed
from tenfold.cli.output import emit_json, plain_table, stdout


def gradcheck_command(
    recipe: Annotated[str, typer.Argument(help="A recipe's name or file.")] = "mlp-120-84",
    samples: Annotated[int, typer.Option(min=1, help="Entries checked per parameter.")] = 40,
    size: Annotated[int, typer.Option(min=8, max=64, help="Height and width of the pictures.")] = 28,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Compare the hand-written gradients with central differences, and with autograd."""
    from tenfold.engines.check import check_recipe
    from tenfold.numpy_engine.gradcheck import TOLERANCE
    from tenfold.recipes.load import get_recipe

    rows = check_recipe(get_recipe(recipe), image_shape=(size, size), samples=samples, seed=seed)
    if as_json:
        emit_json({"recipe": recipe, "tolerance": TOLERANCE, "parameters": rows})
    else:
        columns = (
            "parameter",
            "shape",
            "compared",
            "largest gradient",
            "against differences",
            "against autograd",
            "",
        )
        cells = [
            (
                row["parameter"],
                " x ".join(map(str, row["shape"])),
                f"{row['checked']} of {row['checked'] + row['kinks']}",
                f"{row['largest']:.3g}",
                f"{row['difference_error']:.1e}",
                "-" if row["autograd_error"] is None else f"{row['autograd_error']:.1e}",
                "ok" if row["passed"] else "WRONG",
            )
            for row in rows
        ]
        stdout().print(plain_table(columns, cells, right=columns[2:6]))
        if find_spec("torch") is None:
            stdout().print("torch is not installed, so autograd was not asked")
    if not all(row["passed"] for row in rows):
        raise typer.Exit(1)
