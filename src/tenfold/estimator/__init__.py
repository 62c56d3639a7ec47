"""scikit-learn's interface over training.

Importing this package without scikit-learn raises MissingDependencyError, which names the extra to install.
"""

from __future__ import annotations

from importlib.util import find_spec as _find_spec

from tenfold.errors import MissingDependencyError

__all__: list[str] = []

if _find_spec("sklearn") is None:
    raise MissingDependencyError("scikit-learn", extra="sklearn", purpose="DigitClassifier")
