"""The servers that tenfold's is measured beside, on the same model: run as a program, for one route.

    python serving_peers.py plain|litserve|litserve-tuned read|predict PORT WORKERS FOLDER

FOLDER holds a line reader for read, a classifier for predict. plain: FastAPI as its tutorial shows it, one
forward a request. litserve: with its defaults, one worker and no batches. litserve-tuned: WORKERS of them,
and dynamic batching for /predict.
"""

from __future__ import annotations

import base64
import sys
from typing import Any

import numpy as np

from tenfold.reader.line_reader import load_model


def serve_plain(route: str, port: int, folder: str) -> None:
    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel

    app = FastAPI()
    model: Any = load_model(folder)

    class Images(BaseModel):
        images: list[list[list[int]]]

    class Pictures(BaseModel):
        pictures: list[str]

    def predict(given: Images) -> dict[str, Any]:
        probs = model.predict_proba(np.array(given.images, np.uint8))
        return {"labels": [model.class_names[i] for i in probs.argmax(axis=1)], "probs": probs.tolist()}

    def read(given: Pictures) -> dict[str, Any]:
        return {"pictures": [model.read(base64.b64decode(text)).to_dict() for text in given.pictures]}

    # The types are local names, which FastAPI cannot look up by their names.
    predict.__annotations__["given"], read.__annotations__["given"] = Images, Pictures
    app.post(f"/{route}", response_model=None)(predict if route == "predict" else read)
    uvicorn.run(app, port=port, log_level="warning")


if __name__ == "__main__":
    kind, route, folder = sys.argv[1], sys.argv[2], sys.argv[5]
    port, workers = int(sys.argv[3]), int(sys.argv[4])
    if kind == "plain":
        serve_plain(route, port, folder)
    else:
        from serving_litserve import serve_litserve

        serve_litserve(route, port, workers if kind == "litserve-tuned" else None, folder)
