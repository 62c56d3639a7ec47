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
  if (asked.inside) return INSIDE[asked.inside](await import("./inside.js"), asked);
  model = await loadModel(asked.load);
  return { card: model.card };
}

/** What the view of the network's inside asks for, of a strip. */
const INSIDE = {
  look: ({ look }, { strip }) => look(strip, model),
  maps: ({ mapsOf }, { strip, layer }) => mapsOf(strip, model, layer),
  unit: ({ unitOf }, { strip, layer, channel }) => unitOf(strip, model, layer, channel),
  scores: ({ scoresAt }, { strip, column }) => ({ scores: scoresAt(strip, model, column) }),
  turn: ({ turn }, { strip, number, wanted }) => turn(strip, model, number, wanted),
};

function readPixels({ read: buffer, width, height }) {
  const started = performance.now();
  const reading = read(new Uint8ClampedArray(buffer), width, height, model);
  return { ...reading, milliseconds: performance.now() - started };
}
