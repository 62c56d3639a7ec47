"""What the numbers of X mean: scaled rightly and said, or refused."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tenfold import DigitClassifier
from tenfold.errors import TenfoldWarning

X, Y = load_digits(return_X_y=True)
ORDER = np.random.default_rng(0).permutation(len(X))
TRAIN, TEST = ORDER[:1200], ORDER[1200:]


def test_after_a_standard_scaler_little_is_lost() -> None:
    plain = DigitClassifier(random_state=0).fit(X[TRAIN], Y[TRAIN]).score(X[TEST], Y[TEST])
    with pytest.warns(TenfoldWarning, match="far from the others"):
        scaled = make_pipeline(StandardScaler(), DigitClassifier(random_state=0)).fit(X[TRAIN], Y[TRAIN])
    assert scaled.score(X[TEST], Y[TEST]) > plain - 0.03 and plain > 0.96


def test_bytes_of_sixteen_shades() -> None:
    shades = X.astype(np.uint8)
    with pytest.warns(TenfoldWarning, match="bytes from 0 to 16"):
        fitted = DigitClassifier(random_state=0, epochs=1).fit(shades[TRAIN], Y[TRAIN])
    assert fitted.value_range_ == (0, 16) and fitted.classifier_.card.value_range == (0, 16)
    floats = DigitClassifier(random_state=0, epochs=1).fit(X[TRAIN], Y[TRAIN])
    np.testing.assert_array_equal(fitted.predict(shades[TEST]), floats.predict(X[TEST]))


def test_bytes_that_wrapped_around_are_refused() -> None:
    with pytest.raises(ValueError, match="wrapped around"):
        DigitClassifier(epochs=1).fit((X * 16).astype(int).astype(np.uint8), Y)


def test_other_units_than_those_fitted_are_refused() -> None:
    images = np.rint(X * 15.9375).astype(np.uint8)
    fitted = DigitClassifier(random_state=0, epochs=1).fit(images, Y)
    with pytest.raises(ValueError, match="X has values from 0 to 1; expected the units of fit"):
        fitted.predict(X / 16)
    fitted = DigitClassifier(random_state=0, epochs=1).fit(X, Y)
    with pytest.raises(ValueError, match="X has values from 0 to 255; expected the units of fit"):
        fitted.predict(images)
