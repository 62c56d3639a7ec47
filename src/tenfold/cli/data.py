"""`tenfold data`: the data sets there are, what is in one, and how it looks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from tenfold.cli.options import DATA, Common, DataDir, Json, Seed, takes_common
from tenfold.show.terminal import stderr, stdout

app = typer.Typer(help="List the named data sets, inspect one, or download one.", invoke_without_command=True)

Source = Annotated[
    str, Argument(help="A data set's name, or a path: picture folder, CSV, npz, parquet, IDX.")
]
AnySplit = Annotated[str, Option(help="train, val, test or all.")]


@app.callback()
def list_command(context: typer.Context, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the named data sets, and where they are."""
    if context.invoked_subcommand:
        return
    from tenfold.data.catalogue import CATALOGUE
    from tenfold.data.load import DataRequest

    rows = []
    for name, entry in CATALOGUE.items():
        found = DataRequest(name, data_dir=data_dir).find()
        rows.append({"name": name, "title": entry.title, "path": str(found) if found else None})
    if as_json:
        stdout.json(rows)
        return
    cells = [(row["name"], row["title"], row["path"] or "not here; fetched when first used") for row in rows]
    stdout.table(("name", "what it is", "where it lies"), cells)


@app.command("info")
@takes_common(*DATA, "as_json", "quiet")
def info_command(source: Source, split: AnySplit = "all", *, common: Common) -> None:
    """Check a data set and summarise it."""
    with common.loading(source, split) as request:
        dataset = request.load()
    mean, std = dataset.pixel_moments()
    counts = dict(zip(dataset.class_names, dataset.class_counts().tolist(), strict=True))
    height, width, *colours = dataset.image_shape
    if common.as_json:
        stdout.json(
            {
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
        )
        return
    kind = " in colour" * bool(colours)
    stdout.say(f"{dataset.name} ({split}): {len(dataset):,} images of {height} x {width} pixels{kind}")
    if dataset.note:
        stdout.say(dataset.note)
    stdout.table(("class", "images"), counts.items(), right=("images",))


@app.command("show")
@takes_common(*DATA, "as_json", "quiet")
def show_command(
    source: Source,
    split: AnySplit = "all",
    record: Annotated[
        int | None, Option(min=0, help="Print this image as numbers, or show it on the page.")
    ] = None,
    duplicates: Annotated[
        bool | None,
        Option(
            "--duplicates/--no-duplicates",
            help="Also look for near duplicates (default: if that takes about a second).",
        ),
    ] = None,
    html: Annotated[Path | None, Option(help="Write an HTML page that works offline.")] = None,
    png: Annotated[Path | None, Option(help="Write a PNG picture.")] = None,
    seed: Seed = 0,
    *,
    common: Common,
) -> None:
    """Inspect a data set: classes, mean images, examples, pixels, and duplicates."""
    from tenfold.explore.look import Record, explore_dataset
    from tenfold.show.results import print_result

    with common.loading(source, split) as request:
        parts = request.load_parts()
    chosen = None if record is None else Record.find(parts, record)
    if chosen is not None and html is None:
        if common.as_json:
            stdout.json(chosen.to_dict())
        else:
            print_result(chosen)
        return
    exploration = explore_dataset(parts, near=duplicates, seed=seed)
    written = _write_pages(exploration, chosen, html, png)
    if common.as_json:
        stdout.json(exploration.to_dict() | written)
    elif written:
        stdout.say(*(f"{kind}: {path}" for kind, path in written.items()))
    else:
        print_result(exploration)


def _write_pages(exploration: Any, record: Any, html: Path | None, png: Path | None) -> dict[str, str]:
    if html is None and png is None:
        return {}
    from tenfold.show.data_page import write_poster
    from tenfold.show.pages import write_page

    written = {}
    if html is not None:
        written["page"] = str(write_page(exploration, path=html, record=record))
    if png is not None:
        written["picture"] = str(write_poster(exploration, png))
    return written


@app.command("convert")
@takes_common("as_json", "quiet")
def convert_command(
    source: Annotated[
        str, Argument(help="CSV, parquet or WebDataset tar, a folder of them, or a folder of pictures.")
    ],
    out: Annotated[Path, Argument(help="The new folder.")],
    *,
    common: Common,
) -> None:
    """Write a data set as files that are mapped, not loaded: it may be larger than memory.

    Then use the folder as --data.
    """
    from tenfold.data.convert import convert_dataset

    with stderr.progress_bar(quiet=common.quiet) as progress:
        counts = convert_dataset(source, out, progress=progress)
    if common.as_json:
        stdout.json({"path": str(out), "images": counts})
    else:
        told = " and ".join(f"{count:,} {part} images" for part, count in counts.items())
        stdout.say(f"{out}: {told}")


@app.command("fetch")
@takes_common("data_dir", "as_json", "quiet")
def fetch_command(name: Annotated[str, Argument(help="A data set's name.")], *, common: Common) -> None:
    """Download a named data set, and verify it."""
    from tenfold.data.load import DataRequest

    with common.loading(name) as request:
        count = sum(len(replace(request, split=split).load()) for split in ("train", "test"))
    path = DataRequest(name, data_dir=common.data_dir).find()
    if common.as_json:
        stdout.json({"name": name, "images": count, "path": str(path)})
    else:
        stdout.say(f"{name}: {count:,} images in {path}")
