"""`tenfold gradcheck`: are the hand-written gradients right?"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from operator import itemgetter
from pathlib import Path
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
    layer: Annotated[
        str | None, Option(help="Check a NumPy layer of your own instead, as my_module:MyLayer.")
    ] = None,
    shape: Annotated[str, Option(help="Of what --layer takes per image: 8, or 6x6x3 (H x W x C).")] = "8",
) -> None:
    """Compare the hand-written gradients with central differences, and with autograd."""
    from tenfold.engines.create import Engines
    from tenfold.numpy_engine.gradcheck import GradientCheck
    from tenfold.recipes.load import get_recipe

    if layer is not None:
        rows = _check_own(layer, shape, samples, seed)
    else:
        rows = Engines.check_gradients(
            get_recipe(recipe), image_shape=(size, size), samples=samples, seed=seed
        )
    if as_json:
        what = {"recipe": recipe} if layer is None else {"layer": layer}
        stdout.json(what | {"tolerance": GradientCheck.TOLERANCE, "parameters": rows})
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
        if layer is None and find_spec("torch") is None:
            stdout.say("torch is not installed, so autograd was not asked")
    if not all(row["passed"] for row in rows):
        raise typer.Exit(1)


def _check_own(name: str, shape: str, samples: int, seed: int) -> list[dict[str, Any]]:
    """Imports the layer that the user names, from the working folder too, and checks it."""
    from tenfold.errors import UsageError
    from tenfold.networks.layers import LayerSpec
    from tenfold.networks.own import make_part
    from tenfold.numpy_engine.gradcheck import GradientCheck, check_layer

    module, _, attribute = name.partition(":")
    sizes = tuple(int(part) for part in shape.split("x") if part.isdigit())
    if len(sizes) != shape.count("x") + 1 or len(sizes) not in (1, 3) or min(sizes) < 1:
        raise UsageError(f"--shape {shape!r}", expected="C or HxWxC, such as 8 or 6x6x3")
    sys.path.insert(0, str(Path.cwd()))
    try:
        made = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError, SyntaxError) as error:
        expected = "my_module:MyLayer, a class in my_module.py here or installed"
        raise UsageError(f"--layer {name!r} cannot be imported: {error}", expected=expected) from error
    if isinstance(made, type):
        given = (sizes[2], *sizes[:2]) if len(sizes) == 3 else sizes
        made = make_part(LayerSpec("own", "own1", own=attribute, part=made), given, seed)
    rows = check_layer(made, sizes, samples=samples, seed=seed).rows
    return [
        {
            "parameter": row.name.rpartition(".")[2], "shape": list(row.shape), "checked": row.checked,
            "kinks": row.kinks, "largest": row.largest, "difference_error": row.error,
            "autograd_error": None, "passed": row.passed(GradientCheck.TOLERANCE),
        }
        for row in rows
    ]  # fmt: skip
