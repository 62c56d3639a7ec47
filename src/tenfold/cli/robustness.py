"""`tenfold robustness`: what corruptions leave of a model's accuracy."""

from __future__ import annotations

from typing import Annotated

import typer
from typer import Option

from tenfold.cli.options import (
    DATA,
    Common,
    DataSource,
    ModelArgument,
    TestSplit,
    find_model,
    hold_folder,
    keeps_scores,
    load_data_for,
    renew_report,
    takes_common,
)


@takes_common(*DATA, "engine", "seed", "as_json", "quiet")
def robustness_command(
    context: typer.Context,
    model: ModelArgument = None,
    data: DataSource = None,
    split: TestSplit = "test",
    images: Annotated[int, Option(min=1, help="Number of images, drawn at random.")] = 1000,
    *,
    common: Common,
) -> None:
    """Measure a model on corrupted pictures: fifteen corruptions, five severities each.

    Noise, blur, rotation, occlusion, ... The run's folder keeps the result for its report.
    """
    from tenfold.classifier import Classifier
    from tenfold.evaluation.robustness import measure_robustness
    from tenfold.runs.folder import Run

    path = find_model(model, quiet=common.quiet)
    if kept := Run.is_at(path) and keeps_scores(path, data, split):
        hold_folder(context, path)
    with common.loading(data, split) as request:
        dataset = load_data_for(path, request)
    classifier = Classifier.load(path, engine=common.engine)
    found = measure_robustness(classifier, dataset, n=images, seed=common.seed)
    if kept:
        found.save(path)
    written = {"report": renew_report(path) if kept else None}
    common.tell({"model": str(path), "split": split} | found.to_dict() | written, found, written=written)
