"""A model card in Markdown (Mitchell et al. 2019): what a model is, learned, is worth, and cannot do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tenfold.classifier import Classifier, ModelCard
from tenfold.engines.ensemble import split_members
from tenfold.files import shown_path, write_text
from tenfold.pictures.lines import HEIGHT
from tenfold.reader.alphabet import CHARACTERS, OUTPUTS
from tenfold.reader.line_reader import AnyModel, LineReader
from tenfold.version import __version__

CARD_MARK = "<!-- model card by tenfold -->"
_HTML = re.compile(r"<(?=[A-Za-z/!?])")


def write_card(
    model: AnyModel,
    path: str | Path,
    *,
    name: str,
    saved: str = "",
    data: Mapping[str, Any] | None = None,
    figures: Mapping[str, Any] | None = None,
    told: str = "",
) -> Path:
    """Writes the card; returns its path.

    name: of the model. saved: the folder it is loaded from. data: of a run's environment.json, what it
    was trained on. figures: of `Evaluation.to_dict()`. told: a card that the model came with, which
    stands in place of one put together here; how to load the model is added to it.
    """
    target = Path(path)
    saved = re.sub(r"[`\s]+", " ", shown_path(saved)) if saved else ""
    context: dict[str, Any] = {"card": model.card, "file": name, "saved": saved or f"{name}-safetensors"}
    if isinstance(model, LineReader):
        templates = "reader_loading.md.j2", "reader.md.j2"
        context |= _reader_facts(model, name) | {"saved": saved}
    else:
        templates = "loading.md.j2", "card.md.j2"
        context |= {} if told else _facts(model, name, data, figures)
    told = _HTML.sub("&lt;", told.replace(CARD_MARK, ""))
    text = f"{told.rstrip()}\n\n{_render(templates[0], context)}" if told else _render(templates[1], context)
    write_text(target, f"{text.rstrip()}\n\n{CARD_MARK}\n")
    return target


def _render(template: str, context: Mapping[str, Any]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tenfold.export", "templates"),
        autoescape=False,  # Markdown, in which quotes stand for themselves
        finalize=_without_html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": lambda share: f"{100 * share:.2f} %", "cell": _cell}
    return environment.get_template(template).render(context)


def _without_html(value: Any) -> Any:
    """Names and titles are text: a page that shows the Markdown runs none of them."""
    return value.replace("&", "&amp;").replace("<", "&lt;") if isinstance(value, str) else value


def _cell(text: str) -> str:
    """Text that ends neither a table's cell nor its row, and is not a link, picture or code."""
    return re.sub(r"([|\[`])", r"\\\1", " ".join(str(text).split()))


def _reader_facts(reader: LineReader, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "version": __version__,
        "parameters": reader.network.parameter_count,
        "characters": CHARACTERS,
        "height": HEIGHT,
        "outputs": OUTPUTS,
    }


def _facts(
    classifier: Classifier, name: str, data: Mapping[str, Any] | None, figures: Mapping[str, Any] | None
) -> dict[str, Any]:
    card = classifier.card
    recipe = card.recipe
    return {
        "name": name,
        "what": _describe(classifier),
        "recipe": recipe,
        "version": __version__,
        "data": data,
        "figures": figures,
        "ground": {"dark": "light ink on a dark ground", "light": "dark ink on a light ground"}.get(
            card.background, "of any polarity"
        ),
        "limits": list(_limits(card, figures)),
    }


def _describe(classifier: Classifier) -> str:
    """One sentence on the network, one on what it is for."""
    card = classifier.card
    members, views = len(split_members(classifier.engine.weights())), card.recipe.ensemble.views
    convolutional = any(layer.spec.kind == "conv" for layer in classifier.network.layers)
    who = f"{'A convolutional' if convolutional else 'A'} network"
    if members > 1:
        who = f"{members} networks, whose probabilities are averaged"
    seen = f", asked about {views} views of each image" if views > 1 else ""
    count = members * classifier.network.parameter_count
    names = [_cell(name) for name in card.class_names]
    listed = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    refusal = ', and "none of them"' if card.rejects else ""
    height, width = card.image_shape
    return (
        f"{who}{seen}: {count:,} parameters, {4 * count / 1e6:.1f} MB in float32.\n"
        f"It tells images of {width}x{height} pixels apart into {len(names)} classes{refusal}: {listed}."
    )


def _limits(card: ModelCard, figures: Mapping[str, Any] | None) -> list[str]:
    limits = ["It knows its classes only, as they look in the data above; other hands, cameras and scanners "
              "were not measured."]  # fmt: skip
    if not card.rejects:
        limits.append("It cannot refuse: whatever it is shown, it names one of its classes.")
    if card.least_confidence == 0:
        limits.append("It has no threshold: look at the probability before you rely on an answer.")
    if figures:
        worst = min(figures["per_class"], key=lambda row: row["recall"])
        limits.append(
            f"The class it misses most often is {_cell(worst['class'])}: {100 * (1 - worst['recall']):.2f} % "
            f"of {worst['support']:,} images."
        )
        limits += _confusions(figures)
    limits.append("The figures hold for data of the same kind; measure on your own before you rely on them.")
    return limits


def _confusions(figures: Mapping[str, Any]) -> list[str]:
    """The pair of classes that is mistaken most often."""
    names, counts = figures["class_names"], figures["confusion"]
    pairs = [
        (counts[i][j], names[i], names[j]) for i in range(len(names)) for j in range(len(names)) if i != j
    ]
    count, true, read = max(pairs)
    return (
        [f"Its most frequent mistake: {_cell(true)} read as {_cell(read)}, {count:,} times."] if count else []
    )
