// Reads pictures beside the page, so that drawing never waits.

import { loadModel } from "./network.js";
import { remembering } from "./memory.js";
import { read } from "./reading.js";

let model;

self.addEventListener("message", async ({ data }) => {
  try {
    self.postMessage({ id: data.id, ...(data.load ? await load(data.load) : answer(data)) });
  } catch (error) {
    self.postMessage({ id: data.id, error: String(error?.message ?? error) });
  }
});

async function load(address) {
  model = await loadModel(address);
  model.judge = remembering(model.judge, model.height * model.width);
  return { card: model.card };
}

function answer({ read: buffer, width, height, explain }) {
  const started = performance.now();
  const reading = read(new Uint8ClampedArray(buffer), width, height, model);
  const milliseconds = performance.now() - started;
  if (explain) for (const digit of reading.digits) digit.saliency = model.saliency(digit.image, winner(digit));
  return { ...reading, milliseconds };
}

/** The column of the answer: a class, or the one after the last for "none of them". */
function winner(digit) {
  return digit.verdict === "not a digit" ? digit.probs.length : digit.probs.indexOf(Math.max(...digit.probs));
}
