// Pillow's ways to make pictures smaller and larger, with its rounding: reduce, and resize by a filter.

import { makePlane } from "./plane.js";

const triangle = (x) => (Math.abs(x) < 1 ? 1 - Math.abs(x) : 0);

function cubic(distance) {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

export const BOX = { reach: 0.5, at: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) };
export const BILINEAR = { reach: 1, at: triangle };
export const BICUBIC = { reach: 2, at: cubic };

/** Which of `size` pixels, of which `used` are stretched over `count`, make each, and with what weights. */
function mix(size, used, count, filter) {
  const scale = Math.fround(used) / count;
  const spread = Math.max(scale, 1);
  const reach = filter.reach * spread;
  const most = 2 * Math.ceil(reach) + 1;
  const mixed = { most, starts: new Int32Array(count), ends: new Int32Array(count) };
  mixed.weights = new Float64Array(count * most);
  for (let place = 0; place < count; place++) {
    const centre = (place + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - reach + 0.5));
    const end = Math.min(size, Math.trunc(centre + reach + 0.5));
    let total = 0;
    for (let i = start; i < end; i++) {
      const weight = filter.at((i - centre + 0.5) * (1 / spread));
      mixed.weights[place * most + i - start] = weight;
      total += weight;
    }
    if (total) for (let i = 0; i < end - start; i++) mixed.weights[place * most + i] /= total;
    [mixed.starts[place], mixed.ends[place]] = [start, end];
  }
  return mixed;
}

/** A plane at another size. */
export function resizePlane(plane, width, height, filter) {
  const across = width === plane.width ? plane : resizeRows(plane, width, filter);
  return height === plane.height ? across : resizeColumns(across, height, filter);
}

function resizeRows({ data, width, height }, count, filter) {
  const { most, starts, ends, weights } = mix(width, width, count, filter);
  const made = makePlane(count, height);
  for (let y = 0; y < height; y++) {
    for (let place = 0; place < count; place++) {
      let total = 0;
      let weight = place * most;
      for (let x = starts[place]; x < ends[place]; x++) total += data[y * width + x] * weights[weight++];
      made.data[y * count + place] = total;
    }
  }
  return made;
}

function resizeColumns({ data, width, height }, count, filter) {
  const { most, starts, ends, weights } = mix(height, height, count, filter);
  const made = makePlane(width, count);
  const row = new Float64Array(width);
  for (let place = 0; place < count; place++) {
    row.fill(0);
    for (let y = starts[place]; y < ends[place]; y++) {
      const weight = weights[place * most + y - starts[place]];
      for (let x = 0; x < width; x++) row[x] += data[y * width + x] * weight;
    }
    made.data.set(row, place * width);
  }
  return made;
}

/** Bytes, `channels` a pixel. gap: reduced first, to no less than `gap` times the size. */
export function resizeBytes(picture, width, height, filter, gap = 0) {
  const whole = { ...picture, used: [picture.width, picture.height] };
  const factor = (used, count) => (gap ? Math.trunc(used / count / gap) || 1 : 1);
  const factors = [factor(picture.width, width), factor(picture.height, height)];
  const start = factors[0] * factors[1] > 1 ? reduceBytes(picture, ...factors) : whole;
  const used = [picture.width / factors[0], picture.height / factors[1]];
  const across = mixBytes(start, width, used[0], filter, false);
  return mixBytes(across, height, used[1], filter, true);
}

const ONE = 1 << 22; // weights are counted in these parts

function mixBytes(picture, count, used, filter, down) {
  const { data, width, height, channels } = picture;
  const size = down ? height : width;
  if (size === count && used === size) return picture;
  const mixed = mix(size, used, count, filter);
  mixed.parts = Int32Array.from(mixed.weights, (w) => Math.trunc(w * ONE + (w < 0 ? -0.5 : 0.5)));
  const made = { width: down ? width : count, height: down ? count : height, channels };
  made.data = new Uint8Array(made.width * made.height * channels);
  for (let y = 0; y < made.height; y++) {
    const from = down ? 0 : y * width * channels;
    const step = down ? width * channels : channels;
    for (let x = 0; x < made.width; x++) {
      const base = down ? from + x * channels : from;
      mixPixel(data, base, step, mixed, down ? y : x, made.data, (y * made.width + x) * channels, channels);
    }
  }
  return made;
}

function mixPixel(data, base, step, { most, starts, ends, parts }, place, made, target, channels) {
  for (let channel = 0; channel < channels; channel++) {
    let total = ONE >> 1;
    let part = place * most;
    let from = base + starts[place] * step + channel;
    for (let i = starts[place]; i < ends[place]; i++, from += step) total += data[from] * parts[part++];
    const value = total >> 22;
    made[target + channel] = value < 0 ? 0 : value > 255 ? 255 : value;
  }
}

/** Each block of so many pixels becomes one; blocks at the right and lower edges may be cut. */
export function reduceBytes({ data, width, height, channels }, across, down = across) {
  if (across * down === 1) return { data, width, height, channels };
  const made = { width: Math.ceil(width / across), height: Math.ceil(height / down), channels };
  made.data = new Uint8Array(made.width * made.height * channels);
  for (let y = 0, target = 0; y < made.height; y++) {
    const bottom = Math.min(height, (y + 1) * down);
    for (let x = 0; x < made.width; x++) {
      const box = [x * across, y * down, Math.min(width, (x + 1) * across), bottom];
      const count = (box[2] - box[0]) * (bottom - box[1]);
      const factor = Math.floor(2 ** 24 / count); // Pillow multiplies by a rounded inverse
      for (let channel = 0; channel < channels; channel++) {
        const total = sumBlock(data, width, channels, channel, box) + (count >> 1);
        made.data[target++] = Math.floor((total * factor) / 2 ** 24);
      }
    }
  }
  return made;
}

function sumBlock(data, width, channels, channel, [x0, y0, x1, y1]) {
  let total = 0;
  for (let y = y0; y < y1; y++) {
    const end = (y * width + x1) * channels;
    for (let i = (y * width + x0) * channels + channel; i < end; i += channels) total += data[i];
  }
  return total;
}

/** RGB or RGBA bytes -> grey ones: ITU-R 601 luma, as Pillow rounds it. */
export function toGrey({ data, width, height, channels }) {
  const grey = new Uint8Array(width * height);
  for (let i = 0, from = 0; i < grey.length; i++, from += channels) {
    grey[i] = (data[from] * 19595 + data[from + 1] * 38470 + data[from + 2] * 7471 + 0x8000) >> 16;
  }
  return { data: grey, width, height, channels: 1 };
}
