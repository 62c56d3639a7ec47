"""scikit-learn's own checks of an estimator: all of them, none expected to fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from tenfold import DigitClassifier


@parametrize_with_checks([DigitClassifier()])
def test_scikit_learns_checks(estimator: DigitClassifier, check: Callable[[Any], None]) -> None:
    check(estimator)


def names_of_checks(estimator: Any) -> set[str]:
    return {check.func.__name__ for _, check in estimator_checks_generator(estimator)}


def test_what_is_checked_of_mlp_classifier_is_checked_here() -> None:
    """But for what sparse input and several labels per image would bring."""
    missing = names_of_checks(MLPClassifier()) - names_of_checks(DigitClassifier())
    assert all("sparse" in name or "multilabel" in name for name in missing), missing
    assert {"check_class_weight_classifiers", "check_decision_proba_consistency"} <= names_of_checks(
        DigitClassifier()
    )


@pytest.mark.parametrize(
    "name",
    [
        "check_classifiers_train",
        "check_dict_unchanged",
        "check_estimators_pickle",
        "check_methods_subset_invariance",
        "check_sample_weight_equivalence_on_dense_data",
    ],
)
def test_the_torch_engine_too(name: str) -> None:
    torch = DigitClassifier(engine="torch", changes={"training.min_steps": 100})
    checks = (check for _, check in estimator_checks_generator(DigitClassifier()))
    next(check for check in checks if check.func.__name__ == name)(clone(torch))
