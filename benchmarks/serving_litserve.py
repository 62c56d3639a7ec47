"""LitServe on tenfold's classifier. Its workers import this file, so its classes stand by themselves."""

from __future__ import annotations

import base64
from typing import Any

import litserve
import numpy as np

from tenfold import load_reader, read_picture

__all__ = ["serve_litserve"]

_BATCH, _BATCH_WAIT = 64, 0.002  # images, seconds


class Predict(litserve.LitAPI):
    def setup(self, device: str) -> None:  # noqa: ARG002
        self.classifier = load_reader()

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
    def setup(self, device: str) -> None:  # noqa: ARG002
        self.classifier = load_reader()

    def decode_request(self, request):  # type: ignore[no-untyped-def]
        return [base64.b64decode(text) for text in request["pictures"]]

    def predict(self, pictures: list[bytes]) -> list[dict[str, Any]]:
        return [read_picture(self.classifier, picture).to_dict() for picture in pictures]

    def encode_response(self, output: list[dict[str, Any]]) -> dict[str, Any]:
        return {"pictures": output}


def serve_litserve(route: str, port: int, workers: int | None) -> None:
    """workers: tuned to as many, with batches; None: LitServe's defaults."""
    api: litserve.LitAPI
    if route == "read":
        api = Read(api_path="/read")
    elif workers is None:
        api = Predict(api_path="/predict")
    else:
        api = PredictInBatches(max_batch_size=_BATCH, batch_timeout=_BATCH_WAIT, api_path="/predict")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=workers or 1)
    server.run(host="127.0.0.1", port=port, log_level="warning", generate_client_file=False)
