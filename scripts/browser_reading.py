"""Pictures read by a browser bundle in headless Chromium."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from browser import Page
from web_host import host

__all__ = ["BundleReader", "open_bundle"]

# As the page opens a picture, and as its worker reads it.
_READ = """(async (name) => {
  const blob = await (await fetch(name)).blob();
  const bitmap = await createImageBitmap(blob, {
    imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none",
  });
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const started = performance.now();
  const reading = self.read(data, width, height, self.model);
  const milliseconds = performance.now() - started;
  const told = (characters) => characters.map((each) => ({ ...each, image: [...each.image] }));
  const lines = reading.lines.map(({ text, confidence, box }) => ({ text, confidence, box }));
  return {
    ...reading, lines, milliseconds, digits: told(reading.digits), characters: told(reading.characters),
  };
})"""
_LOAD = """(async () => {
  const { loadModel } = await import("/site/js/network.js");
  self.read = (await import("/site/js/reading.js")).read;
  self.model = await loadModel("/site/model/");
})()"""


class BundleReader:
    """A page that has loaded a bundle's modules and model."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        page.show(f"{address}/site/icon.svg", width=400)  # any page of the host, without the reader's own
        page.evaluate(_LOAD)

    def read(self, name: str) -> dict[str, Any]:
        """As `Reading.to_dict`, with images and milliseconds; name: a path below the folder of pictures."""
        return self.page.evaluate(f"{_READ}({json.dumps(f'/pictures/{name}')})")


@contextmanager
def open_bundle(page: Page, bundle: Path, pictures: Path) -> Iterator[BundleReader]:
    """A bundle and a folder of pictures behind an address of this machine, and a page that reads them."""
    with host({"/site/": bundle, "/pictures/": pictures}) as address:
        yield BundleReader(page, address)
