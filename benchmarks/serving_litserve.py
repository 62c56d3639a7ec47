"""LitServe on a model of tenfold's. Its workers import this file, so its classes stand by themselves."""

from __future__ import annotations

import base64
from typing import Any

import litserve
import numpy as np

from tenfold import Classifier, load_reader

__all__ = ["serve_litserve"]

_BATCH, _BATCH_WAIT = 64, 0.002  # images, seconds


class Predict(litserve.LitAPI):
    folder: str  # of the saved model

    def setup(self, device: str) -> None:  # noqa: ARG002
        self.classifier = Classifier.load(self.folder)

    def decode_request(self, request):  # type: ignore[no-untyped-def]  # LitServe takes a type for a form
        return np.array(request["images"], np.uint8)

    def predict(self, images: np.ndarray) -> np.ndarray:
        return self.classifier.predict_proba(images)

    def encode_response(self, output: np.ndarray) -> dict[str, Any]:
        names = self.classifier.class_names
        return {"labels": [names[i] for i in output.argmax(axis=1)], "probs": output.tolist()}


class PredictInBatches(Predict):
    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(inputs)  # a request holds one image here

    def unbatch(self, output: np.ndarray) -> list[np.ndarray]:
        return list(output[:, None])


class Read(litserve.LitAPI):
    folder: str

    def setup(self, device: str) -> None:  # noqa: ARG002
        self.reader = load_reader(self.folder)

    def decode_request(self, request):  # type: ignore[no-untyped-def]
        return [base64.b64decode(text) for text in request["pictures"]]

    def predict(self, pictures: list[bytes]) -> list[dict[str, Any]]:
        return [self.reader.read(picture).to_dict() for picture in pictures]

    def encode_response(self, output: list[dict[str, Any]]) -> dict[str, Any]:
        return {"pictures": output}


def serve_litserve(route: str, port: int, workers: int | None, folder: str) -> None:
    """workers: tuned to as many, with batches; None: LitServe's defaults. folder: of the saved model."""
    api: Predict | Read
    if route == "read":
        api = Read(api_path="/read")
    elif workers is None:
        api = Predict(api_path="/predict")
    else:
        api = PredictInBatches(max_batch_size=_BATCH, batch_timeout=_BATCH_WAIT, api_path="/predict")
    api.folder = folder
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=workers or 1)
    server.run(host="127.0.0.1", port=port, log_level="warning", generate_client_file=False)
