"""What to try next: Optuna's TPE, whose choice depends on the trials before it and on nothing else."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from tenfold.search.space import Pick

__all__ = ["TrialSampler"]


class TrialSampler(BaseSampler):
    """TPE (Bergstra et al. 2011), seeded anew for each trial from the search's seed and the trial's number.

    A search that was stopped and goes on tries what it would have tried, and processes that share a study
    never try the same. own: what the first trial takes, so that the recipe as it is takes part.
    """

    def __init__(self, seed: int, own: Mapping[str, Pick]) -> None:
        self.own = own
        self._sampler = lru_cache(maxsize=1)(lambda number: _tpe(seed, number))

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        if trial.number == 0:
            return {}
        return self._sampler(trial.number).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._sampler(trial.number).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        if trial.number == 0 and param_name in self.own:
            return self.own[param_name]
        return self._sampler(trial.number).sample_independent(study, trial, param_name, param_distribution)


def _tpe(seed: int, number: int) -> TPESampler:
    """constant_liar: what other processes are trying counts as bad, so that they spread."""
    state = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna 4 calls both options experimental
        return TPESampler(seed=state, multivariate=True, constant_liar=True)
