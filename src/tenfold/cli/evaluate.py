"""`tenfold evaluate`: the scores of a model on a labelled set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from tenfold.cli.options import (
    DATA,
    Common,
    DataSource,
    ModelArgument,
    TestSplit,
    find_model,
    keeps_scores,
    load_data_for,
    takes_common,
)
from tenfold.show.terminal import stderr

if TYPE_CHECKING:
    from tenfold.evaluation.evaluate import Evaluation


@takes_common(*DATA, "engine", "as_json", "quiet")
def evaluate_command(
    model: ModelArgument = None,
    data: DataSource = None,
    split: TestSplit = "test",
    require: Annotated[
        list[str] | None,
        Option(
            metavar="FIGURE=VALUE",
            help="Exit with 3 if not met: accuracy=0.99, loss=0.05, calibration_error=0.01.",
        ),
    ] = None,
    *,
    common: Common,
) -> None:
    """Evaluate a model: accuracy with its interval, per class, calibration, the worst misses."""
    from tenfold.classifier import Classifier
    from tenfold.evaluation.evaluate import Evaluation, evaluate

    bounds = [Evaluation.parse_required(text) for text in require or []]
    path = find_model(model, quiet=common.quiet)
    with common.loading(data, split) as request:
        dataset = load_data_for(path, request)
    evaluation = evaluate(Classifier.load(path, engine=common.engine), dataset)
    if keeps_scores(path, data, split):
        _keep(evaluation, path)
    document = {"model": str(path), "split": split} | evaluation.to_dict()
    common.tell(document, evaluation, quiet=common.quiet)
    evaluation.check_required(bounds)


def _keep(evaluation: Evaluation, folder: Path) -> None:
    """In the run's folder, unless another process writes there, which is said."""
    from tenfold.errors import UsageError
    from tenfold.files import Claim

    try:
        with Claim.folder(folder):
            evaluation.save(folder)
    except UsageError as error:
        stderr.say(f"these scores are not kept: {error}")
