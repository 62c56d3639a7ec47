"""`tenfold gradcheck`: are the hand-written gradients right?"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from operator import itemgetter
from typing import Annotated, Any

import typer
from typer import Argument, Option

from tenfold.cli.options import Json, Seed
from tenfold.show.terminal import stdout


def gradcheck_command(
    recipe: Annotated[str, Argument(help="A recipe's name or file.")] = "mlp-120-84",
    samples: Annotated[int, Option(min=1, help="Entries checked per parameter.")] = 40,
    size: Annotated[int, Option(min=8, max=64, help="Height and width of the pictures.")] = 28,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Compare the hand-written gradients with central differences, and with autograd."""
    from tenfold.engines.create import Engines
    from tenfold.numpy_engine.gradcheck import GradientCheck
    from tenfold.recipes.load import get_recipe

    rows = Engines.check_gradients(get_recipe(recipe), image_shape=(size, size), samples=samples, seed=seed)
    if as_json:
        stdout.json({"recipe": recipe, "tolerance": GradientCheck.TOLERANCE, "parameters": rows})
    else:
        columns: dict[str, Callable[[Any], object]] = {
            "parameter": itemgetter("parameter"),
            "shape": lambda row: " x ".join(map(str, row["shape"])),
            "compared": lambda row: f"{row['checked']} of {row['checked'] + row['kinks']}",
            "largest gradient": lambda row: f"{row['largest']:.3g}",
            "against differences": lambda row: f"{row['difference_error']:.1e}",
            "against autograd": lambda row: (
                "-" if row["autograd_error"] is None else f"{row['autograd_error']:.1e}"
            ),
            "": lambda row: "ok" if row["passed"] else "WRONG",
        }
        stdout.rows(rows, columns, left=("parameter", "shape", ""))
        if find_spec("torch") is None:
            stdout.say("torch is not installed, so autograd was not asked")
    if not all(row["passed"] for row in rows):
        raise typer.Exit(1)
