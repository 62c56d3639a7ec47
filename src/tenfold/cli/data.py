"""`tenfold data`: the data sets there are, what is in one, and how it looks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenfold.cli.options import DataDir, Json, Offline, Quiet, Seed
from tenfold.cli.output import emit_json, plain_table, progress_bar, stdout

if TYPE_CHECKING:
    from tenfold.explore.look import Exploration, Record


app = typer.Typer(help="List the named data sets, inspect one, or download one.", invoke_without_command=True)

Source = Annotated[str, typer.Argument(help="A data set's name, or a path: IDX, image folder, CSV, npz.")]


@app.callback()
def list_command(context: typer.Context, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the named data sets, and where they are."""
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
    """Check a data set and summarise it."""
    from tenfold.data.batches import pixel_moments
    from tenfold.data.load import load_dataset

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


@app.command("show")
def show_command(
    source: Source,
    split: Annotated[str, typer.Option(help="train, test or all.")] = "all",
    record: Annotated[
        int | None, typer.Option(min=0, help="Print this image as numbers, or show it on the page.")
    ] = None,
    duplicates: Annotated[
        bool | None,
        typer.Option(
            "--duplicates/--no-duplicates",
            help="Also look for near duplicates (default: if that takes about a second).",
        ),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write an HTML page that works offline.")] = None,
    png: Annotated[Path | None, typer.Option(help="Write a PNG picture.")] = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    offline: Offline = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Inspect a data set: classes, mean images, examples, pixels, and duplicates."""
    from tenfold.data.load import load_parts
    from tenfold.explore.look import explore_dataset, get_record

    with progress_bar(quiet=quiet) as progress:
        parts = load_parts(source, split=split, data_dir=data_dir, offline=offline, progress=progress)
    chosen = None if record is None else get_record(parts, record)
    if chosen is not None and html is None:
        _show_record(chosen, as_json)
        return
    exploration = explore_dataset(parts, near=duplicates, seed=seed)
    written = _write_pages(exploration, chosen, html, png)
    if as_json:
        emit_json(exploration.to_dict() | written)
    elif written:
        stdout().print("\n".join(f"{kind}: {path}" for kind, path in written.items()), markup=False)
    else:
        from tenfold.show.data_terminal import print_exploration

        print_exploration(exploration, stdout())


def _show_record(record: Record, as_json: bool) -> None:
    if as_json:
        emit_json(record.to_dict())
        return
    from tenfold.show.data_terminal import print_record

    print_record(record, stdout())


def _write_pages(
    exploration: Exploration, record: Record | None, html: Path | None, png: Path | None
) -> dict[str, str]:
    written = {}
    if html is not None:
        from tenfold.show.data_page import write_page

        written["page"] = str(write_page(exploration, html, record=record))
    if png is not None:
        from tenfold.show.data_page import write_poster

        written["picture"] = str(write_poster(exploration, png))
    return written


@app.command("fetch")
def fetch_command(
    name: Annotated[str, typer.Argument(help="A data set's name.")],
    data_dir: DataDir = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Download a named data set, and verify it."""
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
