// Numbers as NumPy and Python count them: rounding, sums, medians.

const { fround } = Math;
const FEW = 20000; // values that are sorted sooner than counted

/** To the nearest integer, halves to the even one: Python's round and NumPy's rint. */
export function roundEven(value) {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}

export const clip = (value, low, high) => (value < low ? low : value > high ? high : value);

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

/** The value that stands at `place` when a Float32Array is sorted; counted by halves of its bits. */
export function valueAt(values, place) {
  if (values.length <= FEW) return Float32Array.from(values).sort()[place];
  const keys = new Uint32Array(values.length); // in the order of the floats
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < keys.length; i++) keys[i] = bits[i] ^ ((bits[i] >> 31) | 0x80000000);
  const counts = new Int32Array(65536);
  for (let i = 0; i < keys.length; i++) counts[keys[i] >>> 16]++;
  const [high, before] = findCount(counts, place);
  counts.fill(0);
  for (let i = 0; i < keys.length; i++) if (keys[i] >>> 16 === high) counts[keys[i] & 0xffff]++;
  const key = ((high << 16) | findCount(counts, place - before)[0]) >>> 0;
  return new Float32Array(Int32Array.of(key >>> 31 ? key ^ 0x80000000 : ~key).buffer)[0];
}

function findCount(counts, place) {
  let before = 0;
  for (let digit = 0; digit < counts.length; digit++) {
    if (before + counts[digit] > place) return [digit, before];
    before += counts[digit];
  }
  return [counts.length - 1, before];
}

/** Of numbers of any kind. */
export function median(values) {
  const half = values.length >> 1;
  if (!(values instanceof Float32Array)) {
    const sorted = Float64Array.from(values).sort();
    return values.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  }
  const upper = valueAt(values, half);
  return values.length % 2 ? upper : fround(fround(valueAt(values, half - 1) + upper) / 2);
}

/** Linear between the two nearest of a sorted array. */
export function quantile(sorted, share) {
  const place = share * (sorted.length - 1);
  const low = Math.floor(place);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (place - low);
}
