/**
 * Convolutions of 3x3 with a quarter of the multiplications (Winograd 1980; Lavin & Gray 2016, F(4x4, 3x3)).
 *
 * A tile of 4 x 4 outputs takes 16 sums of 9 products. Here it takes 36 products per channel: along each axis,
 * with d six pixels and g the kernel's numbers, the outputs are A [(G g) * (B d)]. The results differ from those
 * of `Convolution` by rounding.
 */

import { Product } from "./product.js";
import { Convolution } from "./windows.js";

const TILE = 4; // outputs, from SIDE pixels
const SIDE = 6;
const LEAST_CHANNELS = 16; // with fewer, the transforms cost what the products save

// Each takes numbers `step` apart from `from[at]` on, and puts what comes out `gap` apart into `to[put]` on.

/** G g: three numbers of a kernel -> six. */
function spreadKernel(from, at, step, to, put, gap) {
  const a = from[at], b = from[at + step], c = from[at + 2 * step];
  const values = [a / 4, -(a + b + c) / 6, -(a - b + c) / 6, a / 24 + b / 12 + c / 6, a / 24 - b / 12 + c / 6, c];
  values.forEach((value, i) => { to[put + i * gap] = value; });
}

/** B d: six pixels -> six. */
function spreadPixels(from, at, step, to, put, gap) {
  const a = from[at], b = from[at + step], c = from[at + 2 * step];
  const d = from[at + 3 * step], e = from[at + 4 * step], f = from[at + 5 * step];
  to[put] = 4 * a - 5 * c + e;
  to[put + gap] = d + e - 4 * (b + c);
  to[put + 2 * gap] = e - d + 4 * (b - c);
  to[put + 3 * gap] = e - c + 2 * (d - b);
  to[put + 4 * gap] = e - c - 2 * (d - b);
  to[put + 5 * gap] = 4 * b - 5 * d + f;
}

/** A m: six products -> four outputs. */
function gather(from, at, step, to, put, gap) {
  const b = from[at + step], c = from[at + 2 * step], d = from[at + 3 * step], e = from[at + 4 * step];
  to[put] = from[at] + b + c + d + e;
  to[put + gap] = b - c + 2 * (d - e);
  to[put + 2 * gap] = b + c + 4 * (d + e);
  to[put + 3 * gap] = b - c + 8 * (d - e) + from[at + 5 * step];
}

const half = new Float64Array(SIDE * SIDE); // a tile with one axis done

export class QuickConvolution extends Convolution {
  static suits({ kernel, stride, padding, outputs, weight }) {
    return `${[kernel, stride, padding]}` === "3,3,1,1,1,1" && Math.min(weight[1] / 9 / outputs, outputs) >= LEAST_CHANNELS;
  }

  constructor(spec, weights, bias) {
    super(spec, weights, bias);
    const channels = weights.length / 9 / spec.outputs, size = channels * spec.outputs;
    const kernels = new Float32Array(SIDE * SIDE * size), whole = new Float64Array(SIDE * SIDE);
    for (let i = 0; i < size; i++) {
      const at = Math.floor(i / channels) * 9 * channels + (i % channels);
      for (let x = 0; x < 3; x++) spreadKernel(weights, at + x * channels, 3 * channels, half, x, SIDE);
      for (let y = 0; y < SIDE; y++) spreadKernel(half, y * SIDE, 1, whole, y * SIDE, 1);
      whole.forEach((value, k) => { kernels[k * size + i] = value; });
    }
    this.products = Array.from(whole, (_, k) => new Product(kernels.subarray(k * size, (k + 1) * size), [], spec.outputs));
  }

  forward(picture) {
    this.measure(picture);
    const { high, wide, outputs, channels } = this;
    const tiles = Math.ceil(high / TILE) * Math.ceil(wide / TILE);
    const pixels = this.#spread(picture.data, tiles * channels);
    const products = new Float32Array(SIDE * SIDE * tiles * outputs);
    this.products.forEach((product, k) => {
      product.run(pixels.subarray(k * tiles * channels, (k + 1) * tiles * channels), tiles,
        products.subarray(k * tiles * outputs, (k + 1) * tiles * outputs));
    });
    return { data: this.#gathered(products, tiles * outputs), height: high, width: wide, channels: outputs };
  }

  /** B d B of every tile: 36 x tiles x channels; `size` numbers of each kind. */
  #spread(data, size) {
    const { height, width, channels } = this, line = width * channels;
    const [down, along] = [Math.ceil(height / TILE), Math.ceil(width / TILE)];
    const framedLine = (along * TILE + 2) * channels; // the frame reaches as far as whole tiles do
    const framed = new Float32Array((down * TILE + 2) * framedLine), spread = new Float32Array(SIDE * SIDE * size);
    for (let y = 0; y < height; y++) framed.set(data.subarray(y * line, (y + 1) * line), (y + 1) * framedLine + channels);
    for (let tile = 0, to = 0; tile < along * down; tile++) {
      const corner = TILE * (Math.floor(tile / along) * framedLine + (tile % along) * channels);
      for (let start = corner; start < corner + channels; start++, to++) {
        for (let x = 0; x < SIDE; x++) spreadPixels(framed, start + x * channels, framedLine, half, x, SIDE);
        for (let y = 0; y < SIDE; y++) spreadPixels(half, y * SIDE, 1, spread, y * SIDE * size + to, size);
      }
    }
    return spread;
  }

  /** The products of all tiles -> the outputs, without what lies beyond the picture. */
  #gathered(products, size) {
    const { high, wide, outputs, bias } = this, along = Math.ceil(wide / TILE);
    const data = new Float32Array(high * wide * outputs), tile = new Float64Array(TILE * TILE);
    for (let from = 0; from < size; from++) {
      const place = Math.floor(from / outputs), channel = from % outputs;
      for (let x = 0; x < SIDE; x++) gather(products, x * size + from, SIDE * size, half, x, SIDE);
      for (let y = 0; y < TILE; y++) gather(half, y * SIDE, 1, tile, y * TILE, 1);
      const top = Math.floor(place / along) * TILE, left = (place % along) * TILE;
      for (let y = top; y < Math.min(high, top + TILE); y++) {
        for (let x = left; x < Math.min(wide, left + TILE); x++) {
          data[(y * wide + x) * outputs + channel] = tile[(y - top) * TILE + x - left] + (bias.length ? bias[channel] : 0);
        }
      }
    }
    return data;
  }
}
