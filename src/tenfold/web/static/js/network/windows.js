/**
 * Layers that slide a window over a picture: convolution and pooling.
 *
 * A picture is a Float32Array of height x width x channels; specs give shapes as [channels, height, width].
 * `backward` takes the slope of something by the layer's outputs and gives that by its inputs.
 */

import { Product, transpose } from "./product.js";

/** Every window becomes a row, and all rows are multiplied by the weights at once. */
export class Convolution {
  /** weights: channels out x (kernel rows x kernel columns x channels in). */
  constructor(spec, weights, bias) {
    const [channels, height, width] = spec.input;
    const [outputs, high, wide] = spec.output;
    const [rows, columns] = spec.kernel, [down, along] = spec.stride, [above, beside] = spec.padding;
    this.height = height;
    this.span = columns * channels; // numbers of a window that lie side by side
    this.line = width * channels;
    this.paddedLine = (width + 2 * beside) * channels;
    this.edge = above * this.paddedLine + beside * channels; // before the first pixel
    this.padded = new Float32Array((height + 2 * above) * this.paddedLine);
    this.places = high * wide;
    this.starts = new Int32Array(this.places * rows);
    for (let place = 0, i = 0; place < this.places; place++) {
      const top = Math.floor(place / wide) * down, left = (place % wide) * along * channels;
      for (let y = 0; y < rows; y++) this.starts[i++] = (top + y) * this.paddedLine + left;
    }
    this.rows = new Float32Array(this.starts.length * this.span);
    this.weights = weights;
    this.product = new Product(weights, bias, outputs);
    this.outputs = new Float32Array(this.places * outputs);
  }

  forward(inputs) {
    for (let y = 0; y < this.height; y++) {
      this.padded.set(inputs.subarray(y * this.line, (y + 1) * this.line), this.#inside(y));
    }
    const { padded, rows, starts, span } = this;
    for (let i = 0, row = 0; i < starts.length; i++) {
      for (let from = starts[i], end = from + span; from < end; from++) rows[row++] = padded[from];
    }
    this.product.run(rows, this.places, this.outputs);
    return this.outputs;
  }

  backward(slope) {
    const { padded, rows, starts, span } = this;
    const outputs = this.product.outputs;
    this.turned ??= new Product(transpose(this.weights, outputs), [], this.weights.length / outputs);
    this.back ??= new Float32Array(this.height * this.line);
    this.turned.run(slope, this.places, rows);
    padded.fill(0);
    for (let i = 0, row = 0; i < starts.length; i++) {
      for (let to = starts[i], end = to + span; to < end; to++) padded[to] += rows[row++];
    }
    for (let y = 0; y < this.height; y++) {
      const start = this.#inside(y);
      this.back.set(padded.subarray(start, start + this.line), y * this.line);
    }
    padded.fill(0); // its edge is expected to be so
    return this.back;
  }

  /** Where row y of the picture starts in the padded one. */
  #inside(y) {
    return this.edge + y * this.paddedLine;
  }
}

class Pooling {
  constructor(spec) {
    const [channels, height, width] = spec.input;
    const [, high, wide] = spec.output;
    const [rows, columns] = spec.kernel, [down, along] = spec.stride;
    this.channels = channels;
    this.size = channels * height * width;
    this.starts = Int32Array.from({ length: high * wide }, (_, place) =>
      (Math.floor(place / wide) * down * width + (place % wide) * along) * channels);
    this.taps = Int32Array.from({ length: rows * columns }, (_, tap) =>
      (Math.floor(tap / columns) * width + (tap % columns)) * channels);
    this.outputs = new Float32Array(this.starts.length * channels);
  }

  /** The slopes of inputs, all 0. */
  blank() {
    this.back ??= new Float32Array(this.size);
    return this.back.fill(0);
  }
}

/** The largest of each window; its slope goes to the first largest. */
export class MaxPooling extends Pooling {
  constructor(spec) {
    super(spec);
    this.chosen = new Int32Array(this.outputs.length);
  }

  forward(inputs) {
    const { starts, taps, channels, outputs, chosen } = this;
    for (let place = 0, out = 0; place < starts.length; place++) {
      for (let channel = 0; channel < channels; channel++, out++) {
        const start = starts[place] + channel;
        let best = start;
        for (let tap = 1; tap < taps.length; tap++) {
          if (inputs[start + taps[tap]] > inputs[best]) best = start + taps[tap];
        }
        outputs[out] = inputs[best];
        chosen[out] = best;
      }
    }
    return outputs;
  }

  backward(slope) {
    const back = this.blank();
    for (let out = 0; out < slope.length; out++) back[this.chosen[out]] += slope[out];
    return back;
  }
}

/** The mean of each window; its slope is spread evenly. */
export class AveragePooling extends Pooling {
  forward(inputs) {
    const { starts, taps, channels, outputs } = this;
    for (let place = 0, out = 0; place < starts.length; place++) {
      for (let channel = 0; channel < channels; channel++, out++) {
        let sum = 0;
        for (let tap = 0; tap < taps.length; tap++) sum += inputs[starts[place] + channel + taps[tap]];
        outputs[out] = sum / taps.length;
      }
    }
    return outputs;
  }

  backward(slope) {
    const { starts, taps, channels } = this;
    const back = this.blank();
    for (let place = 0, out = 0; place < starts.length; place++) {
      for (let channel = 0; channel < channels; channel++, out++) {
        const share = slope[out] / taps.length;
        for (let tap = 0; tap < taps.length; tap++) back[starts[place] + channel + taps[tap]] += share;
      }
    }
    return back;
  }
}
