// Pillow's ways to make pictures smaller and larger, with its rounding: reduce, and resize by a filter.

import { clip } from "./numbers.js";

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

/** Bytes or floats at another size. gap: reduced first, to no less than `gap` times that size. */
export function resize(picture, width, height, filter, gap = Infinity) {
  const factor = (ratio) => Math.trunc(ratio / gap) || 1;
  const [across, down] = [factor(picture.width / width), factor(picture.height / height)];
  const reduced = reduceBytes(picture, across, down);
  const wide = mixLines(reduced, width, picture.width / across, filter, false);
  return mixLines(wide, height, picture.height / down, filter, true);
}

const ONE = 1 << 22; // weights of bytes are counted in these parts

function mixLines(picture, count, used, filter, down) {
  const { data, width, height, channels } = picture;
  const size = down ? height : width;
  if (size === count && used === size) return picture;
  const { most, starts, ends, weights } = mix(size, used, count, filter);
  const bytes = !(data instanceof Float32Array);
  if (bytes) for (let i = 0; i < weights.length; i++) weights[i] = roundAway(weights[i] * ONE);
  const made = { width: down ? width : count, height: down ? count : height, channels };
  made.data = new (bytes ? Uint8Array : Float32Array)(made.width * made.height * channels);
  const [row, step] = [width * channels, (down ? width : 1) * channels];
  for (let y = 0, target = 0; y < made.height; y++) {
    for (let x = 0; x < made.width; x++) {
      const place = down ? y : x;
      const first = starts[place] * step + (down ? x * channels : y * row);
      const last = first + (ends[place] - starts[place]) * step;
      for (let channel = 0; channel < channels; channel++) {
        let total = 0;
        let weight = place * most;
        for (let from = first + channel; from < last; from += step) total += data[from] * weights[weight++];
        made.data[target++] = bytes ? clip((total + ONE / 2) >> 22, 0, 255) : total;
      }
    }
  }
  return made;
}

const roundAway = (value) => Math.trunc(value < 0 ? value - 0.5 : value + 0.5);

/** Each block of so many pixels becomes one; blocks at the right and lower edges may be cut. */
export function reduceBytes(picture, across, down = across) {
  if (across * down === 1) return picture;
  const { width, height, channels } = picture;
  const made = { width: Math.ceil(width / across), height: Math.ceil(height / down), channels };
  made.data = new Uint8Array(made.width * made.height * channels);
  for (let y = 0, target = 0; y < made.height; y++) {
    const [top, bottom] = [y * down, Math.min(height, (y + 1) * down)];
    for (let x = 0; x < made.width; x++) {
      const [left, right] = [x * across, Math.min(width, (x + 1) * across)];
      const count = (right - left) * (bottom - top);
      const factor = Math.floor(2 ** 24 / count); // Pillow multiplies by a rounded inverse
      for (let channel = 0; channel < channels; channel++) {
        const total = sumBlock(picture, channel, left, top, right, bottom) + (count >> 1);
        made.data[target++] = Math.floor((total * factor) / 2 ** 24);
      }
    }
  }
  return made;
}

function sumBlock({ data, width, channels }, channel, left, top, right, bottom) {
  let total = 0;
  for (let y = top; y < bottom; y++) {
    const end = (y * width + right) * channels;
    for (let i = (y * width + left) * channels + channel; i < end; i += channels) total += data[i];
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
