// The ink of one digit -> the 28x28 image that a network was trained on, as in pictures/normalize.py.

import { clip, largest, roundEven, sum32 } from "./numbers.js";
import { boxAbove, crop, makePlane, pad } from "./plane.js";
import { distanceToOutside } from "./regions.js";
import { BICUBIC, BOX as AVERAGE, resize } from "./resize.js";

const { fround } = Math;
const BOX = 20; // pixels: MNIST's box for the digit
export const SIDE = 28; // and its picture
const STROKE = [1.9, 3]; // pixels of 28: strokes are brought into this range
const CENTRE = 14.5; // pixels from the border: MNIST's centres of mass lie on the middle of pixel 14
const FINE = 4; // the work is done on pixels this many times finer
const EDGE = 0.5; // strength at which ink begins

/** Mean width in pixels of the strokes in a plane of 0..1; 0 without ink. */
function strokeWidth({ data, width, height }) {
  const steep = new Float32Array((width + 1) * (height + 1));
  for (let y = 0, i = 0; y <= height; y++) {
    const at = y * width;
    for (let x = 0; x <= width; x++, i++) {
      const left = x > 0;
      // With 0 around: the steps down to, and right to, each pixel from those before it.
      const corner = y > 0 && left ? data[at - width + x - 1] : 0;
      const below = y < height && left ? data[at + x - 1] : 0;
      const right = y > 0 && x < width ? data[at - width + x] : 0;
      if (corner === below && corner === right) continue;
      const [down, across] = [fround(below - corner), fround(right - corner)];
      steep[i] = Math.sqrt(fround(fround(down * down) + fround(across * across)));
    }
  }
  const outline = sum32(steep);
  return outline ? (2 * sum32(data)) / outline : 0;
}

/** A plane of 0..1, the ink of one digit -> Uint8Array of 28x28, light ink on black. */
export function frameInk(strength) {
  const cut = cutOut(strength, EDGE / 2);
  if (!cut) return new Uint8Array(SIDE * SIDE);
  const soft = evenOut(pad(fit(cut, BOX * FINE), 3 * FINE)); // a margin of one stroke
  return layCentred(fit(cutOut(soft, fround(0.01)) ?? cut, BOX * FINE));
}

function cutOut(strength, least) {
  const box = boxAbove(strength, least);
  return box && crop(strength, ...box);
}

/** Resized, anti-aliased, so that the longer side is `side` pixels; the shorter at least one. */
function fit(ink, side) {
  const ratio = side / Math.max(ink.width, ink.height);
  const size = [ink.width, ink.height].map((length) => Math.max(1, roundEven(length * ratio)));
  return resize(ink, ...size, ratio < 0.5 ? AVERAGE : BICUBIC);
}

/** Strokes brought into the range, with an edge as soft as one pixel of 28. */
function evenOut({ data, width, height }) {
  const inside = data.map((value) => (value >= EDGE ? 1 : 0));
  const wider = widenBy(makePlane(width, height, inside));
  const reach = 0.5 + FINE / 2; // of the soft edge: farther pixels are full or empty
  const inner = distanceToOutside(inside, width, height, Math.ceil(reach - wider));
  const outer = distanceToOutside(inside.map((value) => 1 - value), width, height, Math.ceil(reach + wider));
  for (let i = 0; i < inner.length; i++) {
    const distance = inside[i] ? inner[i] - 0.5 : 0.5 - outer[i];
    inner[i] = clip(fround(0.5 + fround(fround(distance + wider) / FINE)), 0, 1);
  }
  return makePlane(width, height, inner);
}

/** Fine pixels by which each edge moves out, so that strokes come into the range. */
function widenBy(inside) {
  const now = strokeWidth(inside) / FINE;
  return fround(((clip(now, ...STROKE) - now) * FINE) / 2);
}

/** Into 28x28 with the centre of mass at MNIST's centre, as far as it stays inside. */
function layCentred(fine) {
  const side = SIDE * FINE;
  const left = place(columnMass(fine), side);
  const top = place(rowMass(fine), side);
  const canvas = makePlane(side, side);
  for (let y = 0; y < fine.height; y++) {
    const row = fine.data.subarray(y * fine.width, (y + 1) * fine.width);
    canvas.data.set(row, (top + y) * side + left);
  }
  const small = shrink(canvas);
  const most = Math.max(largest(small), fround(1e-6));
  return Uint8Array.from(small, (value) => roundEven(fround(clip(fround(value / most), 0, 1) * 255)));
}

function place(mass, side) {
  const moments = Float64Array.from(mass, (value, i) => value * (i + 0.5));
  const centre = moments.reduce((a, b) => a + b, 0) / sum32(mass);
  return clip(roundEven(CENTRE * FINE - centre), 0, side - mass.length);
}

function rowMass({ data, width, height }) {
  return Float32Array.from({ length: height }, (_, y) => sum32(data, y * width, width));
}

function columnMass({ data, width }) {
  const mass = new Float32Array(width);
  for (let i = 0; i < data.length; i++) mass[i % width] += data[i];
  return mass;
}

/** Means of blocks of FINE x FINE. */
function shrink({ data, width }) {
  const small = new Float32Array(SIDE * SIDE);
  for (let i = 0; i < small.length; i++) {
    const corner = Math.floor(i / SIDE) * FINE * width + (i % SIDE) * FINE;
    let total = 0;
    for (let row = 0; row < FINE; row++) total = fround(total + sum32(data, corner + row * width, FINE));
    small[i] = total / (FINE * FINE);
  }
  return small;
}
