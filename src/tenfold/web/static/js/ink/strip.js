// A grey picture of one line -> the strip that the line reader takes, as in pictures/lines.py.

import { clip, countValues, valueAt } from "./numbers.js";
import { BILINEAR, resize } from "./resize.js";

export const HEIGHT = 32; // pixels
export const PAPER = 128; // grey level of the paper in a strip
export const MARGIN = 8; // pixels of paper at either side
const COLUMN = 8; // pixels: the width of a strip is a multiple of it
const [NARROWEST, WIDEST] = [16, 1024]; // pixels
const SPAN = 63; // levels from the paper to its 98th percentile of departure
const FLOOR = 5; // levels: a paler departure than this is not raised to full contrast

/** Bytes {data, width, height, channels: 1} -> the same of height 32, its width a multiple of 8. */
export function makeStrip(grey) {
  const { width, height } = grey;
  const wide = clip(Math.floor((width * HEIGHT * 2 + height) / (2 * height)), NARROWEST, WIDEST);
  const small = resize(grey, wide, HEIGHT, BILINEAR).data;
  const paper = valueAt(countValues(small), small.length >> 1);
  const away = small.map((value) => Math.abs(value - paper));
  const span = valueAt(countValues(away), Math.floor((small.length * 98) / 100)) + FLOOR;
  const strip = { width: Math.ceil(wide / COLUMN) * COLUMN + 2 * MARGIN, height: HEIGHT, channels: 1 };
  strip.data = new Uint8Array(strip.width * HEIGHT).fill(PAPER);
  for (let y = 0, i = 0; y < HEIGHT; y++) {
    for (let x = 0; x < wide; x++) {
      const moved = Math.floor((2 * SPAN * (small[i++] - paper) + span) / (2 * span));
      strip.data[y * strip.width + MARGIN + x] = clip(PAPER + moved, 0, 255);
    }
  }
  return strip;
}
