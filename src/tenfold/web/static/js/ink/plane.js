// Numbers of pixels, row by row: {data, width, height, channels}. A plane has one Float32 per pixel.

export function makePlane(width, height, data = new Float32Array(width * height)) {
  return { data, width, height, channels: 1 };
}

/** Columns x0 to x1 and rows y0 to y1, the last ones outside. */
export function crop({ data, width, channels }, x0, y0, x1, y1) {
  const row = (x1 - x0) * channels;
  const cut = new data.constructor(row * (y1 - y0));
  for (let y = y0; y < y1; y++) {
    const from = (y * width + x0) * channels;
    cut.set(data.subarray(from, from + row), (y - y0) * row);
  }
  return { data: cut, width: x1 - x0, height: y1 - y0, channels };
}

/** With `margin` pixels of 0 on each side. */
export function pad({ data, width, height }, margin) {
  const padded = makePlane(width + 2 * margin, height + 2 * margin);
  for (let y = 0; y < height; y++) {
    padded.data.set(data.subarray(y * width, (y + 1) * width), (y + margin) * padded.width + margin);
  }
  return padded;
}

/** [x0, y0, x1, y1] around all that is above `least`; null where nothing is. */
export function boxAbove({ data, width, height }, least) {
  let [x0, y0, x1, y1] = [width, height, 0, 0];
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (!(data[i] > least)) continue;
      if (x < x0) x0 = x;
      if (x >= x1) x1 = x + 1;
      if (y < y0) y0 = y;
      y1 = y + 1;
    }
  }
  return x1 ? [x0, y0, x1, y1] : null;
}
