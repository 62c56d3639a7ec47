"""All commands, put together."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from typer import Option

from tenfold.cli.adapt import adapt_command
from tenfold.cli.crossval import crossval_command
from tenfold.cli.data import app as data_app
from tenfold.cli.doctor import doctor_command
from tenfold.cli.evaluate import evaluate_command
from tenfold.cli.explain import explain_command
from tenfold.cli.export import export_command
from tenfold.cli.form import form_command
from tenfold.cli.gradcheck import gradcheck_command
from tenfold.cli.lab import lab_command
from tenfold.cli.label_errors import label_errors_command
from tenfold.cli.predict import predict_command
from tenfold.cli.read import read_command
from tenfold.cli.recipes import app as recipes_app
from tenfold.cli.robustness import robustness_command
from tenfold.cli.runs import app as runs_app
from tenfold.cli.runs import compare_command, report_command
from tenfold.cli.search import search_command
from tenfold.cli.serve import serve_command
from tenfold.cli.train import train_command
from tenfold.errors import UsageError
from tenfold.helpers import Ranks
from tenfold.version import __version__

app = typer.Typer(
    name="tenfold",
    help="Train, explain and ship classifiers of small images, handwritten digits first.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 ok, 1 failure, 2 usage, 3 a required figure was not met or the doctor "
    "found a fault, 130 interrupted, 143 terminated.",
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"tenfold {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    _version: Annotated[
        bool, Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if Ranks.started() > 1 and context.invoked_subcommand not in (None, "train"):
        if os.environ.get("RANK", "0") != "0":
            raise typer.Exit(2)
        found = f"WORLD_SIZE={Ranks.started()}, but `tenfold {context.invoked_subcommand}` is one process"
        raise UsageError(found, remedy="start it without torchrun, or unset WORLD_SIZE")


for _command in (
    train_command, evaluate_command, robustness_command, crossval_command, search_command,
    label_errors_command, read_command, form_command, adapt_command, serve_command, lab_command,
    predict_command, explain_command, report_command, compare_command, doctor_command, export_command,
):  # fmt: skip
    app.command(_command.__name__.removesuffix("_command").replace("_", "-"))(_command)
for _name, _group in {"runs": runs_app, "recipes": recipes_app, "data": data_app}.items():
    app.add_typer(_group, name=_name)
app.command("gradcheck")(gradcheck_command)
