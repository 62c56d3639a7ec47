"""A classifier that can go on learning, as plain arrays: what is pickled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tenfold.classifier import Classifier, ModelCard
from tenfold.engines.base import Engine, EngineOptions
from tenfold.engines.create import create_engine
from tenfold.engines.ensemble import EnsembleEngine, combine_engines

__all__ = ["KeptClassifier", "keep_classifier", "members_of"]


@dataclass(frozen=True, eq=False)
class KeptClassifier:
    """card, and of each network its weights and the state of its training."""

    card: ModelCard
    engine: str
    options: EngineOptions
    weights: list[dict[str, np.ndarray]]
    states: list[dict[str, np.ndarray]]

    def restore(self) -> Classifier:
        """Answers and learns on as the one that was kept. Raises UsageError where its device is missing,
        MissingDependencyError without torch."""
        recipe = self.card.recipe
        network = recipe.plan(self.card.image_shape, self.card.outputs)
        members = []
        for weights, state in zip(self.weights, self.states, strict=True):
            engine = create_engine(self.engine, network, weights, self.options)
            engine.load_state(state)
            members.append(engine)
        return Classifier(combine_engines(members, recipe.ensemble.views), self.card)


def keep_classifier(classifier: Classifier) -> KeptClassifier:
    members, first = members_of(classifier), classifier.engine
    return KeptClassifier(
        card=classifier.card,
        engine=first.name,
        options=replace(first.options, precision=first.precision),
        weights=[member.weights() for member in members],
        states=[member.state() for member in members],
    )


def members_of(classifier: Classifier) -> Sequence[Engine]:
    """The engines that learn: the one, or those of an ensemble."""
    engine = classifier.engine
    return engine.members if isinstance(engine, EnsembleEngine) else (engine,)
