"""scikit-learn's MNIST example: one hidden layer of 40, plain gradient descent, eight passes.

    python benchmarks/peers/sklearn_mlp.py DATA_DIR OUT.json

https://scikit-learn.org/stable/auto_examples/neural_networks/plot_mnist_filters.html with its settings,
on all 60,000 training images.
"""

# mypy: disable-error-code="import-not-found"
from __future__ import annotations

import os
import warnings

from stopwatch import Trial, parse_arguments, read_mnist

options = parse_arguments(__doc__, epochs=8)
trial = Trial(options, ["scikit-learn", "numpy"])

import numpy as np  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402
from sklearn.neural_network import MLPClassifier  # noqa: E402

BATCH = 200  # scikit-learn's own choice for a set of this size


def load(part: str, images: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    pixels, labels = read_mnist(options.data_dir, part, images)
    return pixels.reshape(-1, 784) / 255, labels


def main() -> None:
    inputs, labels = load("train", trial.images_of(BATCH))
    model = MLPClassifier(
        hidden_layer_sizes=(40,),
        max_iter=options.epochs,
        alpha=1e-4,
        solver="sgd",
        random_state=options.seed,
        learning_rate_init=0.2,
    )
    trial.begin_training()
    with warnings.catch_warnings():
        # The example does so too: eight passes are what it wants.
        warnings.filterwarnings("ignore", category=ConvergenceWarning, module="sklearn")
        model.fit(inputs, labels)
    weights = {f"{name}_{i}": value for name in ("coefs", "intercepts")
               for i, value in enumerate(getattr(model, f"{name}_"))}  # fmt: skip
    trial.end_epoch(lambda path: np.savez(path, **weights), ".npz", lambda: float(model.score(*load("t10k"))))
    trial.finish(threads=int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1))


if __name__ == "__main__":
    main()
