// SciPy's filters over the lines of a plane, each line by itself: first down, then across.

import { makePlane, transpose } from "./plane.js";

const nearest = (place, size) => Math.min(Math.max(place, 0), size - 1);

/** ... c b a | a b c | c b a ... */
function mirrored(place, size) {
  const turn = ((place % (2 * size)) + 2 * size) % (2 * size);
  return turn < size ? turn : 2 * size - 1 - turn;
}

/** filter(line, made, size): `line` has `room` values more on either side, as `edge` continues it. */
function overLines(plane, room, edge, filter) {
  const down = overRows(transpose(plane), room, edge, filter);
  return overRows(transpose(down), room, edge, filter);
}

function overRows({ data, width, height }, room, edge, filter) {
  const line = new Float64Array(width + 2 * room);
  const made = makePlane(width, height);
  for (let y = 0; y < height; y++) {
    const row = data.subarray(y * width, (y + 1) * width);
    line.set(row, room);
    for (let i = 1; i <= room; i++) {
      line[room - i] = row[edge(-i, width)];
      line[room + width - 1 + i] = row[edge(width - 1 + i, width)];
    }
    filter(line, made.data.subarray(y * width, (y + 1) * width));
  }
  return made;
}

/** scipy.ndimage.gaussian_filter, mode "reflect". sigma: pixels. */
export function gaussian(plane, sigma) {
  const room = Math.trunc(4 * sigma + 0.5);
  const bell = Float64Array.from({ length: room + 1 }, (_, i) => Math.exp((-0.5 / (sigma * sigma)) * i * i));
  const total = bell.reduce((a, b) => a + 2 * b, -1);
  const weights = bell.map((value) => value / total);
  return overLines(plane, room, mirrored, (line, made) => {
    for (let i = 0; i < made.length; i++) {
      let sum = line[i + room] * weights[0];
      for (let j = room; j > 0; j--) sum += (line[i + room - j] + line[i + room + j]) * weights[j];
      made[i] = sum;
    }
  });
}

/** scipy.ndimage.uniform_filter of an odd size, mode "nearest". */
export function uniform(plane, size) {
  return overLines(plane, size >> 1, nearest, (line, made) => {
    let sum = 0;
    for (let i = 0; i < size; i++) sum += line[i];
    sum /= size;
    made[0] = sum;
    for (let i = 1; i < made.length; i++) {
      sum += (line[i + size - 1] - line[i - 1]) / size;
      made[i] = sum;
    }
  });
}

/** scipy.ndimage.grey_closing by a square of an odd size, mode "nearest". */
export function closing(plane, size) {
  const spread = (from) => overLines(from, size >> 1, nearest, (line, made) => slideMost(line, made, size));
  return negative(spread(negative(spread(plane))));
}

function negative({ data, width, height }) {
  return makePlane(width, height, data.map((value) => -value));
}

/** The largest of each `size` neighbours, by running maxima of blocks (van Herk 1992). */
function slideMost(line, made, size) {
  const [before, after] = [line.slice(), line.slice()];
  for (let i = 1; i < line.length; i++) {
    if (i % size) before[i] = Math.max(before[i], before[i - 1]);
    const j = line.length - 1 - i;
    if ((j + 1) % size) after[j] = Math.max(after[j], after[j + 1]);
  }
  for (let i = 0; i < made.length; i++) made[i] = Math.max(after[i], before[i + size - 1]);
}

/** A mask of bytes with its neighbours, those at corners too or not. */
export function dilate(mask, width, height, corners) {
  const grown = mask.slice();
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (!mask[i]) continue;
      for (let dy = y > 0 ? -1 : 0; dy <= (y + 1 < height ? 1 : 0); dy++) {
        for (let dx = x > 0 ? -1 : 0; dx <= (x + 1 < width ? 1 : 0); dx++) {
          if (corners || !dx || !dy) grown[i + dy * width + dx] = 1;
        }
      }
    }
  }
  return grown;
}
