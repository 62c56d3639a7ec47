// Reads pictures beside the page, so that drawing never waits.

import { loadModel } from "./network.js";
import { remembering } from "./memory.js";
import { read } from "./reading.js";

let model;

self.addEventListener("message", async ({ data }) => {
  try {
    self.postMessage({ id: data.id, ...(await answer(data)) });
  } catch (error) {
    self.postMessage({ id: data.id, error: String(error?.message ?? error) });
  }
});

async function load(address) {
  model = await loadModel(address);
  model.judge = remembering(model.judge, model.height * model.width);
  return { card: model.card };
}

function answer(asked) {
  if (asked.load) return load(asked.load);
  return asked.explain ? explain(asked.explain) : readPixels(asked);
}

function readPixels({ read: buffer, width, height }) {
  const started = performance.now();
  const reading = read(new Uint8ClampedArray(buffer), width, height, model);
  return { ...reading, milliseconds: performance.now() - started };
}

/** Of its verdict: a class, or the column after the last for "none of them". */
function explain({ image, probs, verdict }) {
  const column = verdict === "not a digit" ? probs.length : probs.indexOf(Math.max(...probs));
  return { saliency: model.saliency(image, column) };
}
