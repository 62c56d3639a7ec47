/** Layers that slide a window over a picture: convolution and pooling. */

import { Product, transpose } from "./product.js";

class Windowed {
  constructor({ kernel, stride, padding }) {
    Object.assign(this, { kernel, stride, padding });
  }

  /** Notes the sizes for this picture. */
  measure({ height, width, channels }) {
    const { kernel: [rows, columns], stride: [down, along], padding: [above, beside] } = this;
    Object.assign(this, { height, width, channels });
    this.framedWidth = width + 2 * beside;
    this.framedHeight = height + 2 * above;
    this.high = Math.floor((this.framedHeight - rows) / down) + 1;
    this.wide = Math.floor((this.framedWidth - columns) / along) + 1;
  }

  /** The picture with the padding around, of zeros; itself where there is none. */
  frame({ data }) {
    if (this.framedWidth === this.width && this.framedHeight === this.height) return data;
    const framed = this.blankFrame(), line = this.width * this.channels;
    for (let y = 0; y < this.height; y++) framed.set(data.subarray(y * line, (y + 1) * line), this.#inside(y));
    return framed;
  }

  /** The picture's part of a frame. */
  unframe(framed) {
    const line = this.width * this.channels;
    const data = new Float32Array(this.height * line);
    for (let y = 0; y < this.height; y++) data.set(framed.subarray(this.#inside(y), this.#inside(y) + line), y * line);
    return data;
  }

  blankFrame() {
    return new Float32Array(this.framedHeight * this.framedWidth * this.channels);
  }

  /** Where row y of the picture starts in the frame. */
  #inside(y) {
    return ((y + this.padding[0]) * this.framedWidth + this.padding[1]) * this.channels;
  }

  /** Where the window of a place starts in the frame. */
  start(y, x) {
    return (y * this.stride[0] * this.framedWidth + x * this.stride[1]) * this.channels;
  }
}

/** The windows of a line become rows, and all of these are multiplied by the weights at once. */
export class Convolution extends Windowed {
  /** weights: outputs x (kernel rows x kernel columns x channels). */
  constructor(spec, weights, bias) {
    super(spec);
    Object.assign(this, { weights, bias, outputs: spec.outputs });
  }

  forward(picture) {
    this.measure(picture);
    this.product ??= new Product(this.weights, this.bias, this.outputs);
    const { product, high, wide, outputs } = this, framed = this.frame(picture);
    const windows = new Float32Array(wide * product.inputs);
    const data = new Float32Array(high * wide * outputs);
    for (let y = 0; y < high; y++) {
      this.#eachSpan(y, (from, to, span) => {
        for (let i = 0; i < span; i++) windows[to + i] = framed[from + i];
      });
      product.run(windows, wide, data.subarray(y * wide * outputs, (y + 1) * wide * outputs));
    }
    return { data, height: high, width: wide, channels: outputs };
  }

  backward(gradient) {
    const { weights, high, wide, outputs } = this;
    const inputs = weights.length / outputs;
    this.turned ??= new Product(transpose(weights, outputs), [], inputs);
    const framed = this.blankFrame(), windows = new Float32Array(wide * inputs);
    for (let y = 0; y < high; y++) {
      this.turned.run(gradient.subarray(y * wide * outputs, (y + 1) * wide * outputs), wide, windows);
      this.#eachSpan(y, (to, from, span) => {
        for (let i = 0; i < span; i++) framed[to + i] += windows[from + i];
      });
    }
    return this.unframe(framed);
  }

  /** visit(place in the frame, place among the windows, how many numbers) for each line of a row's windows. */
  #eachSpan(y, visit) {
    const { kernel: [rows, columns], framedWidth, channels, wide } = this;
    const span = columns * channels;
    for (let x = 0, to = 0; x < wide; x++) {
      for (let row = 0; row < rows; row++, to += span) visit(this.start(y, x) + row * framedWidth * channels, to, span);
    }
  }
}

export class Pooling extends Windowed {
  forward(picture) {
    this.measure(picture);
    const { kernel: [rows, columns], framedWidth, channels, high, wide } = this;
    this.taps = Int32Array.from({ length: rows * columns }, (_, tap) =>
      (Math.floor(tap / columns) * framedWidth + (tap % columns)) * channels);
    const data = new Float32Array(high * wide * channels);
    this.pool(this.frame(picture), data);
    return { data, height: high, width: wide, channels };
  }

  /** visit(place in the picture, place in the outputs) for each window's first pixel, of each channel. */
  eachWindow(visit) {
    const { high, wide, channels } = this;
    for (let y = 0, out = 0; y < high; y++) {
      for (let x = 0; x < wide; x++) {
        for (let start = this.start(y, x), end = start + channels; start < end; start++, out++) visit(start, out);
      }
    }
  }
}

/** The largest of each window; its gradient goes to the first largest. */
export class MaxPooling extends Pooling {
  pool(values, data) {
    const { taps } = this;
    this.chosen = new Int32Array(data.length);
    this.eachWindow((start, out) => {
      let best = start;
      for (let tap = 1; tap < taps.length; tap++) if (values[start + taps[tap]] > values[best]) best = start + taps[tap];
      data[out] = values[best];
      this.chosen[out] = best;
    });
  }

  backward(gradient) {
    const back = this.blankFrame();
    for (let out = 0; out < gradient.length; out++) back[this.chosen[out]] += gradient[out];
    return back;
  }
}

/** The mean of each window; its gradient is spread evenly. */
export class AveragePooling extends Pooling {
  pool(values, data) {
    this.eachWindow((start, out) => {
      data[out] = this.taps.reduce((sum, tap) => sum + values[start + tap], 0) / this.taps.length;
    });
  }

  backward(gradient) {
    const back = this.blankFrame();
    this.eachWindow((start, out) => {
      for (const tap of this.taps) back[start + tap] += gradient[out] / this.taps.length;
    });
    return back;
  }
}
