// What both ways of lifting end in: how strong the ink is at each pixel, along its own colour.

import { valueAt } from "./numbers.js";

const { fround } = Math;
const LEAST_CONTRAST = 0.05; // ink paler than this share of the paper is none
const LEAST_SNR = 6; // ink must stand out of the paper's grain by this many standard deviations

/** strength: a plane, 0 paper to 1 full ink. contrast: 0..1. light: on dark. flat: one colour of paper. */
export function makeInk(strength, contrast, light, flat) {
  return { strength, contrast, light, flat, blank: !strength.data.some(Boolean) };
}

/** Three Float32Arrays -> {part: Float32Array along the colour of the strongest departure, contrast}. */
export function alongInkColour(departure, noise) {
  const size = sizes(departure);
  let top = findTop(size);
  if (top < Math.max(LEAST_CONTRAST, LEAST_SNR * noise)) {
    top = largest(size);
    if (top < Math.max(2 * LEAST_CONTRAST, 2 * LEAST_SNR * noise)) {
      return { part: new Float32Array(size.length), contrast: 0 };
    }
  }
  const colour = meanColour(departure, size, fround(0.8 * top));
  const square = fround(fround(fround(colour[0] ** 2) + fround(colour[1] ** 2)) + fround(colour[2] ** 2));
  const [a, b, c] = colour.map((value) => fround(value / square));
  const part = new Float32Array(size.length);
  const [red, green, blue] = departure;
  for (let i = 0; i < part.length; i++) {
    part[i] = fround(fround(a * red[i]) + fround(b * green[i])) + fround(c * blue[i]);
  }
  return { part, contrast: fround(Math.sqrt(fround(square / 3))) };
}

function sizes([red, green, blue]) {
  const size = new Float32Array(red.length);
  for (let i = 0; i < size.length; i++) {
    const two = fround(fround(red[i] * red[i]) + fround(green[i] * green[i]));
    size[i] = Math.sqrt(fround(two + fround(blue[i] * blue[i])));
  }
  return size;
}

function meanColour(departure, size, least) {
  const totals = [0, 0, 0];
  let count = 0;
  for (let i = 0; i < size.length; i++) {
    if (size[i] < least) continue;
    for (let c = 0; c < 3; c++) totals[c] = fround(totals[c] + departure[c][i]);
    count++;
  }
  return totals.map((total) => fround(total / count));
}

/** What the strongest half a per cent departs by; of a small picture, its four strongest pixels. */
function findTop(size) {
  if (size.length < 4000) {
    const strongest = Float32Array.from(size).sort().slice(-4);
    return fround(strongest.reduce((a, b) => fround(a + b), 0) / strongest.length);
  }
  const step = 1 + Math.floor(size.length / 60000);
  const values = new Float32Array(Math.ceil(size.length / step));
  for (let i = 0; i < values.length; i++) values[i] = size[i * step];
  const place = values.length - Math.trunc(0.995 * values.length); // from the end
  const quarter = fround(0.25 * largest(values));
  const strong = values.filter((value) => value > quarter); // most are paper, and need no sorting
  const chosen = strong.length < place ? values : strong;
  return valueAt(chosen, chosen.length - place);
}

export function largest(values) {
  let most = -Infinity;
  for (let i = 0; i < values.length; i++) if (values[i] > most) most = values[i];
  return most;
}
