// Reads pictures beside the page, so that drawing never waits.

import { loadModel } from "./network.js";
import { explain, read } from "./reading.js";

let model;

self.addEventListener("message", async ({ data }) => {
  try {
    self.postMessage({ id: data.id, ...(await answer(data)) });
  } catch (error) {
    self.postMessage({ id: data.id, error: String(error?.message ?? error) });
  }
});

async function answer(asked) {
  if (asked.explain) return { saliency: explain(asked.explain, asked.strip, model) };
  if (asked.read) return readPixels(asked);
  model = await loadModel(asked.load);
  return { card: model.card };
}

function readPixels({ read: buffer, width, height }) {
  const started = performance.now();
  const reading = read(new Uint8ClampedArray(buffer), width, height, model);
  return { ...reading, milliseconds: performance.now() - started };
}
