"""`tenfold data`: the data sets there are, and what is in one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tenfold.cli.options import DataDir, Json, Offline, Quiet
from tenfold.cli.output import emit_json, plain_table, progress_bar, stdout

__all__ = ["app"]

app = typer.Typer(
    help="List the data sets known by name, look into one, or fetch one.", invoke_without_command=True
)

Source = Annotated[str, typer.Argument(help="A data set's name, or a path: IDX, image folder, CSV, npz.")]


@app.callback()
def list_command(context: typer.Context, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the data sets known by name, and where they lie."""
    if context.invoked_subcommand:
        return
    from tenfold.data.catalogue import CATALOGUE
    from tenfold.data.load import find_dataset

    rows = []
    for name, entry in CATALOGUE.items():
        found = find_dataset(name, data_dir=data_dir)
        rows.append({"name": name, "title": entry.title, "path": str(found) if found else None})
    if as_json:
        emit_json(rows)
        return
    cells = [(row["name"], row["title"], row["path"] or "not here; fetched when first used") for row in rows]
    stdout().print(plain_table(("name", "what it is", "where it lies"), cells))


@app.command("info")
def info_command(
    source: Source,
    split: Annotated[str, typer.Option(help="train, test or all.")] = "all",
    data_dir: DataDir = None,
    offline: Offline = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check a data set, and say what is in it."""
    from tenfold.data.load import load_dataset
    from tenfold.data.summary import pixel_moments

    with progress_bar(quiet=quiet) as progress:
        dataset = load_dataset(source, split=split, data_dir=data_dir, offline=offline, progress=progress)
    mean, std = pixel_moments(dataset.images)
    counts = dict(zip(dataset.class_names, dataset.class_counts().tolist(), strict=True))
    document: dict[str, Any] = {
        "name": dataset.name,
        "split": split,
        "images": len(dataset),
        "image_shape": list(dataset.image_shape),
        "classes": counts,
        "pixel_mean": mean,
        "pixel_std": std,
        "sha256": dataset.sha256(),
        "note": dataset.note,
    }
    if as_json:
        emit_json(document)
        return
    height, width = dataset.image_shape
    stdout().print(f"{dataset.name} ({split}): {len(dataset):,} images of {height} x {width} pixels")
    if dataset.note:
        stdout().print(dataset.note, markup=False)
    stdout().print(plain_table(("class", "images"), list(counts.items()), right=("images",)))


@app.command("fetch")
def fetch_command(
    name: Annotated[str, typer.Argument(help="A data set's name.")],
    data_dir: DataDir = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Download a data set known by name, check it, and keep it."""
    from tenfold.data.load import find_dataset, load_dataset

    with progress_bar(quiet=quiet) as progress:
        count = sum(
            len(load_dataset(name, split=split, data_dir=data_dir, progress=progress))
            for split in ("train", "test")
        )
    path = find_dataset(name, data_dir=data_dir)
    if as_json:
        emit_json({"name": name, "images": count, "path": str(path)})
    else:
        stdout().print(f"{name}: {count:,} images in {path}", markup=False)
