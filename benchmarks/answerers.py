"""Programs that turn pixels into probabilities: tenfold's engines, ONNX Runtime, and peers with one MLP.

    python benchmarks/answerers.py KIND FOLDER serve     answers the questions that come line by line
    python benchmarks/answerers.py KIND FOLDER once      one image, then the end: what a cold start costs

FOLDER holds a saved model, `model.onnx`, `images.npy`, and for the peers `mlp.npz`: weights as PyTorch has
them, and the pixels' scale and shift. Nothing is imported that the program asked for does not need.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["ANSWERERS", "PEERS", "Answer", "cores"]

Answer = Callable[[np.ndarray], np.ndarray]  # uint8 (N, 28, 28) -> probabilities (N, K)

_WARM_UP = 50
# Of those that leave the size of a batch to whoever calls them, the fastest of these is taken.
_BATCHES = (100, 300, 1000, 3000, 10_000)


def cores() -> int:
    """Threads that every program may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return int(os.environ.get("OMP_NUM_THREADS") or (len(affinity(0)) if affinity else os.cpu_count() or 1))


def _engine(name: str, precision: str = "float32") -> Callable[[Path], Answer]:
    def load(folder: Path) -> Answer:
        from tenfold import Classifier

        return Classifier.load(folder, engine=name, precision=precision).predict_proba

    return load


def _onnx_runtime(folder: Path) -> Answer:
    onnxruntime: Any = import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores()
    session = onnxruntime.InferenceSession(
        str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
    )
    return lambda images: session.run(["probabilities"], {"images": images})[0]


def _plain_numpy(folder: Path) -> Answer:
    values = dict(np.load(folder / "mlp.npz"))
    scale, shift = np.float32(values["scale"]), np.float32(values["shift"])
    (w1, b1), (w2, b2), (w3, b3) = ((values[f"w{i}"].T, values[f"b{i}"]) for i in (1, 2, 3))

    def answer(images: np.ndarray) -> np.ndarray:
        hidden = np.maximum((images.reshape(len(images), -1) * scale - shift) @ w1 + b1, 0)
        logits = np.maximum(hidden @ w2 + b2, 0) @ w3 + b3
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        probs: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
        return probs

    return answer


def _scikit_learn(folder: Path) -> Answer:
    values = dict(np.load(folder / "mlp.npz"))
    scale, shift = np.float32(values["scale"]), np.float32(values["shift"])
    model = import_module("sklearn.neural_network").MLPClassifier(hidden_layer_sizes=(128, 64))
    # what `fit` leaves behind, as far as `predict_proba` reads it
    model.coefs_ = [values[f"w{i}"].T for i in (1, 2, 3)]
    model.intercepts_ = [values[f"b{i}"] for i in (1, 2, 3)]
    model.classes_, model.n_features_in_ = np.arange(10), 784
    model.n_layers_, model.n_outputs_, model.out_activation_ = 4, 10, "softmax"
    return lambda images: model.predict_proba(images.reshape(len(images), -1) * scale - shift)


def _keras_model(folder: Path) -> Any:
    """With the scaling as a layer, as Keras' documentation has it."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras: Any = import_module("keras")
    values = dict(np.load(folder / "mlp.npz"))
    dense, layers = keras.layers.Dense, keras.layers
    scaling = layers.Rescaling(float(values["scale"]), offset=-float(values["shift"]))
    stack = [dense(128, "relu"), dense(64, "relu"), dense(10, "softmax")]
    model = keras.Sequential([keras.Input((28, 28)), scaling, layers.Flatten(), *stack])
    model.set_weights([part for i in (1, 2, 3) for part in (values[f"w{i}"].T, values[f"b{i}"])])
    return model


def _keras_predict(folder: Path) -> Answer:
    model = _keras_model(folder)
    return lambda images: model.predict(images, verbose=0)


def _keras_call(folder: Path) -> Answer:
    model = _keras_model(folder)
    no_grad = import_module("torch").no_grad

    def answer(images: np.ndarray) -> np.ndarray:
        with no_grad():
            probs: np.ndarray = model(images, training=False).cpu().numpy()
        return probs

    return answer


ANSWERERS: dict[str, Callable[[Path], Answer]] = {
    "NumPy engine": _engine("numpy"),
    "PyTorch engine": _engine("torch"),
    "PyTorch engine, bfloat16": _engine("torch", "bfloat16"),
    "ONNX Runtime": _onnx_runtime,
    "plain NumPy": _plain_numpy,
    "scikit-learn": _scikit_learn,
    "Keras predict()": _keras_predict,
    "Keras model(...)": _keras_call,
}
PEERS = ("plain NumPy", "scikit-learn", "Keras predict()", "Keras model(...)")
_BATCHED_BY_CALLER = ("ONNX Runtime", "plain NumPy", "scikit-learn", "Keras model(...)")


def _in_batches(answer: Answer, size: int) -> Answer:
    def answer_all(images: np.ndarray) -> np.ndarray:
        return np.concatenate([answer(images[at : at + size]) for at in range(0, len(images), size)])

    return answer_all


def _fastest(answer: Answer, images: np.ndarray) -> Answer:
    """In batches of the size that is fastest here."""
    several = [_in_batches(answer, size) for size in _BATCHES if size <= len(images)]
    return min(several, key=lambda one: min(_seconds(one, images) for _ in range(2)))


def _seconds(answer: Answer, images: np.ndarray) -> float:
    started = time.perf_counter()
    answer(images)
    return time.perf_counter() - started


def _steady_seconds(answer: Answer, images: np.ndarray) -> float:
    """Median of as many passes as half a second holds, from 1 to 15."""
    first = _seconds(answer, images)
    passes = max(1, min(15, int(0.5 / first)))
    return statistics.median(_seconds(answer, images) for _ in range(passes))


def _one_by_one(answer: Answer, images: np.ndarray, count: int) -> float:
    """Median seconds of `count` questions of one image each."""
    ones = [images[index % len(images)][None] for index in range(count + _WARM_UP)]
    return statistics.median([_seconds(answer, one) for one in ones][_WARM_UP:])


def _serve(kind: str, folder: Path) -> None:
    """First saves its answers to all images beside the model. Then for each line with a number: 0 gives
    the seconds that all images take, N the median seconds of N single ones."""
    images = np.load(folder / "images.npy")
    answer = ANSWERERS[kind](folder)
    answer_all = _fastest(answer, images) if kind in _BATCHED_BY_CALLER else answer
    np.save(folder / "answers.npy", answer_all(images))
    print("ready", flush=True)
    for line in sys.stdin:
        count = int(line)
        print(
            _one_by_one(answer, images, count) if count else _steady_seconds(answer_all, images), flush=True
        )


def _once(kind: str, folder: Path) -> None:
    images = np.load(folder / "images.npy", mmap_mode="r")
    probs = ANSWERERS[kind](folder)(np.array(images[:1]))
    print(int(probs.argmax()), flush=True)
    os._exit(0)  # until the answer, without taking everything down again


if __name__ == "__main__":
    {"serve": _serve, "once": _once}[sys.argv[3]](sys.argv[1], Path(sys.argv[2]))
