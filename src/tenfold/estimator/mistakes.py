"""Mistakes in what an estimator is given, as scikit-learn's tools expect them."""

from __future__ import annotations

from tenfold.errors import DataError

__all__ = ["EstimatorDataError"]


class EstimatorDataError(DataError, ValueError):
    """A DataError that is a ValueError too, which is what scikit-learn's own estimators raise."""
