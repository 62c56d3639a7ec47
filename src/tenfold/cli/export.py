"""`tenfold export`: a model in the forms that other programs load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, BadParameter, Option

from tenfold.cli.options import Common, built_in_reader, find_model, takes_common

if TYPE_CHECKING:
    from tenfold.export.forms import Source


@takes_common("as_json")
def export_command(
    model: Annotated[
        Path | None,
        Argument(help="A run's folder, a model.safetensors, or reader (built-in); default: the newest run."),
    ] = None,
    to: Annotated[str, Option(help="onnx, safetensors, web, card, torch or huggingface.")] = "onnx",
    out: Annotated[
        Path | None, Option(help="The file or folder to write (default: one here, named after the model).")
    ] = None,
    int8: Annotated[
        bool, Option("--int8", help="With --to onnx: weights of 8 bits, and the accuracy they cost.")
    ] = False,
    *,
    common: Common,
) -> None:
    """Write a model as a file or folder for other programs, and check that it gives the same answers.

    onnx: one file, from uint8 pixels to probabilities, checked in ONNX Runtime; the
    reader's takes strips of one line, of any width. safetensors: weights and model
    card, as tenfold loads them. web: a folder for any static host, with a page that
    reads in the browser, also offline. card: the model card (training, scores,
    limits), in Markdown. torch: one file
    for torch.load(weights_only=True), and the lines that load it. huggingface: the
    folder of a model repository. An existing --out is replaced only if an export wrote it.
    """
    if int8 and to != "onnx":
        raise BadParameter("--int8 is for --to onnx")
    source, accuracy = _source(find_model(model, quiet=common.as_json)), None
    if int8:
        done, accuracy = source.export_int8(out)
    else:
        done = source.export(to, out)
    common.tell(done.to_dict() | ({"accuracy": accuracy} if int8 else {}), done)
    if int8 and not common.as_json:
        from tenfold.show.terminal import stdout

        told = "not measured: the run's test images are not at hand"
        if accuracy:
            told = "{float32:.2%} in float32, {int8:.2%} in int8, on {images:,} test images".format(
                **accuracy
            )
        stdout.say(f"accuracy: {told}")
    if to == "torch" and not common.as_json:
        from tenfold.show.terminal import stdout
        from tenfold.torch_engine.export import LOADING

        stdout.say(LOADING.replace("{path!r}", repr(str(done.path))))


def _source(path: Path) -> Source:
    from tenfold.export.forms import Source
    from tenfold.reader.line_reader import load_model
    from tenfold.runs.folder import Run

    loaded = load_model(path, engine="numpy")
    if Run.is_at(path):
        run = Run(path)
        figures = run.evaluation.to_dict() if run.evaluation else None
        data = run.environment.get("data") or {}
        known = data if {"name", "train", "val", "sha256"} <= set(data) else None
        return Source(loaded, run.name, str(path), **_test_images(run), data=known, figures=figures)
    card = (path if path.is_dir() else path.parent) / "card.md"
    told = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    if path == built_in_reader():
        return Source(loaded, "reader", told=told)
    folder = path.resolve() if path.is_dir() else path.resolve().parent
    return Source(loaded, folder.name or "model", str(path), told=told)


def _test_images(run: Any) -> dict[str, Any]:
    """Of the run, where they can be had without network."""
    from tenfold.data.load import DataRequest
    from tenfold.errors import TenfoldError

    try:
        dataset = run.load_data(DataRequest(split="test", offline=True))
    except TenfoldError:
        return {}
    kind = f"test images of {dataset.name}"
    return {"images": dataset.images, "labels": dataset.labels, "kind": kind}
