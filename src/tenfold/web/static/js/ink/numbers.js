// Numbers as NumPy and Python count them: rounding, sums, ranks.

const { fround } = Math;

/** To the nearest integer, halves to the even one: Python's round and NumPy's rint. */
export function roundEven(value) {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}

export const clip = (value, low, high) => (value < low ? low : value > high ? high : value);

export function largest(values) {
  let most = -Infinity;
  for (let i = 0; i < values.length; i++) if (values[i] > most) most = values[i];
  return most;
}

/** How often each of the whole numbers 0 to `most` occurs. */
export function countValues(values, most = 255) {
  const counts = new Int32Array(most + 1);
  for (let i = 0; i < values.length; i++) counts[values[i]]++;
  return counts;
}

/** The value at a place, from 0, of the sorted values that `counts` counts; their number if there is none. */
export function valueAt(counts, place) {
  let before = 0;
  for (let value = 0; value < counts.length; value++) {
    before += counts[value];
    if (before > place) return value;
  }
  return counts.length;
}

/** Of numbers, the mean of the two middle ones where they are even in number. */
export function median(values) {
  const sorted = Float64Array.from(values).sort();
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

/** Sum in single precision of `count` values from `start`, in NumPy's order, so that ties fall alike. */
export function sum32(values, start = 0, count = values.length) {
  if (count > 128) {
    const half = (count >> 1) - ((count >> 1) % 8);
    return fround(sum32(values, start, half) + sum32(values, start + half, count - half));
  }
  const whole = count < 8 ? 0 : count - (count % 8);
  let total = whole ? sumEights(values, start, whole) : 0;
  for (let i = start + whole; i < start + count; i++) total = fround(total + values[i]);
  return total;
}

const lanes = new Float32Array(8);

function sumEights(values, start, count) {
  for (let lane = 0; lane < 8; lane++) lanes[lane] = values[start + lane];
  for (let i = start + 8; i < start + count; i++) lanes[(i - start) & 7] += values[i];
  const [a, b, c, d, e, f, g, h] = lanes;
  const first = fround(fround(a + b) + fround(c + d));
  return fround(first + fround(fround(e + f) + fround(g + h)));
}
