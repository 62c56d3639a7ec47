// One number a pixel: {data: Float32Array of width x height, row by row; width; height}.

import { span } from "./numbers.js";

export function makePlane(width, height, data = new Float32Array(width * height)) {
  return { data, width, height };
}

/** Columns x0 to x1 and rows y0 to y1, the last ones outside. */
export function crop({ data, width }, x0, y0, x1, y1) {
  const cut = makePlane(x1 - x0, y1 - y0);
  for (let y = y0; y < y1; y++) {
    cut.data.set(data.subarray(y * width + x0, y * width + x1), (y - y0) * cut.width);
  }
  return cut;
}

export function transpose({ data, width, height }) {
  const turned = makePlane(height, width);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) turned.data[x * height + y] = data[y * width + x];
  }
  return turned;
}

/** With `room` pixels of 0 on each side. */
export function pad({ data, width, height }, room) {
  const padded = makePlane(width + 2 * room, height + 2 * room);
  for (let y = 0; y < height; y++) {
    padded.data.set(data.subarray(y * width, (y + 1) * width), (y + room) * padded.width + room);
  }
  return padded;
}

/** [x0, y0, x1, y1] around all that is above `least`; null where nothing is. */
export function boxAbove({ data, width, height }, least) {
  const inRow = (y) => {
    for (let i = y * width; i < (y + 1) * width; i++) if (data[i] > least) return true;
    return false;
  };
  const rows = span(height, inRow);
  if (!rows) return null;
  const inColumn = (x) => {
    for (let i = rows[0] * width + x; i < rows[1] * width; i += width) if (data[i] > least) return true;
    return false;
  };
  const columns = span(width, inColumn);
  return [columns[0], rows[0], columns[1], rows[1]];
}
