"""Keras' "Simple MNIST convnet" on its PyTorch backend.

    python benchmarks/peers/keras_convnet.py DATA_DIR OUT.json [--until 0.99]

https://keras.io/examples/vision/mnist_convnet (F. Chollet): network, batch of 128, Adam, 15 epochs, a
tenth of the training images for validation. KERAS_BACKEND chooses another backend, where one is there.
"""

# mypy: disable-error-code="import-not-found, import-untyped"
from __future__ import annotations

import os

from stopwatch import Trial, parse_arguments, read_mnist

options = parse_arguments(__doc__, epochs=15)
trial = Trial(options, ["keras", "torch", "numpy"])

os.environ.setdefault("KERAS_BACKEND", "torch")
import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras import layers  # noqa: E402

CLASSES, SHAPE, BATCH, TEST_BATCH = 10, (28, 28, 1), 128, 1000


def load(part: str, images: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """float32 (N, 28, 28, 1) in 0..1, and one-hot labels (N, 10)."""
    pixels, labels = read_mnist(options.data_dir, part, images)
    return np.expand_dims(pixels.astype("float32") / 255, -1), keras.utils.to_categorical(labels, CLASSES)


def build() -> keras.Sequential:
    return keras.Sequential(
        [
            keras.Input(shape=SHAPE),
            layers.Conv2D(32, kernel_size=(3, 3), activation="relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Conv2D(64, kernel_size=(3, 3), activation="relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )


class Timed(keras.callbacks.Callback):
    """Saves after each epoch, and tests with the clock standing still."""

    def on_train_begin(self, logs: object = None) -> None:  # noqa: ARG002
        trial.begin_training()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002
        if trial.end_epoch(self.model.save_weights, ".weights.h5", self._test):
            self.model.stop_training = True

    def _test(self) -> float:
        """By itself, so that nothing of the training's own metrics is touched."""
        x_test, y_test = load("t10k")
        parts = [x_test[start : start + TEST_BATCH] for start in range(0, len(x_test), TEST_BATCH)]
        probs = np.concatenate([np.asarray(self.model.predict_on_batch(part)) for part in parts])
        return float((probs.argmax(axis=1) == y_test.argmax(axis=1)).mean())


def main() -> None:
    keras.utils.set_random_seed(options.seed)
    x_train, y_train = load("train", trial.images_of(BATCH))
    model = build()
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    model.fit(
        x_train,
        y_train,
        batch_size=BATCH,
        epochs=options.epochs,
        validation_split=0.1,
        verbose=2,
        callbacks=[Timed()],
    )
    trial.finish(threads=threads())


def threads() -> int:
    if keras.backend.backend() != "torch":
        return os.cpu_count() or 1
    import torch

    return torch.get_num_threads()


if __name__ == "__main__":
    main()
