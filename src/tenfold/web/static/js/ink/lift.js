// A picture of one digit -> the 28x28 image that a classifier takes, as in pictures/normalize.py.

import { SIDE, frameInk } from "./frame.js";
import { findWriting } from "./lines.js";
import { clip } from "./numbers.js";
import { makePlane } from "./plane.js";
import { growMask } from "./regions.js";

const [WEAKEST, STRONGEST] = [0.2, 0.8]; // of full ink: what becomes 0 and what becomes 1

/** Bytes {data, width, height}, ink of either polarity on any paper -> a plane, 0 paper to 1 full ink. */
export function liftInk(grey) {
  const { levels, full, labels, kept, width, height } = findWriting(grey);
  const writing = new Uint8Array(labels.reduce((most, label) => Math.max(most, label), 0) + 1);
  for (const label of kept) writing[label] = 1;
  const own = growMask(new Uint8Array(labels.map((label) => writing[label])), width, height);
  const strength = (level) => clip((level / full - WEAKEST) / (STRONGEST - WEAKEST), 0, 1);
  return makePlane(width, height, new Float32Array(levels).map((level, i) => (own[i] ? strength(level) : 0)));
}

/** Bytes {data, width, height} -> Uint8Array of 28x28, light ink on black. One of that size is only turned round. */
export function normalizeInk(grey) {
  if (grey.width !== SIDE || grey.height !== SIDE) return frameInk(liftInk(grey));
  return isLight(grey) ? grey.data.map((value) => 255 - value) : grey.data;
}

/** Whether no more than half of the border is dark. */
function isLight({ data }) {
  let dark = 0;
  for (let i = 0; i < SIDE; i++) {
    for (const place of [i, SIDE * (SIDE - 1) + i, SIDE * i, SIDE * i + SIDE - 1]) if (data[place] < 128) dark++;
  }
  return 2 * dark <= 4 * SIDE;
}
