// A picture read, as `tenfold read --json` and the server give it.

import { readInk } from "./ink/read.js";
import { alternatives } from "./ink/verdicts.js";

export { frameInk } from "./ink/frame.js";
export { liftInk } from "./ink/lift.js";
export { normalizeInk } from "./ink/normalize.js";
export { openPicture } from "./ink/open.js";
export { readInk };

/**
 * RGBA bytes, turned upright -> {text, digits: [{label, confidence, verdict, alternatives, probs, none,
 * box, image: Uint8Array of 28x28}], troubles}. model: {judge, card}, see `readInk`.
 */
export function read(rgba, width, height, { judge, card }) {
  const { text, digits, troubles } = readInk(rgba, width, height, judge, card);
  return { text, digits: digits.map((digit) => toDict(digit, card)), troubles };
}

function toDict({ label, confidence, verdict, probs, none, box, image }, card) {
  const best = alternatives(probs, card);
  return { label, confidence, verdict, alternatives: best, probs: Array.from(probs), none, box, image };
}
