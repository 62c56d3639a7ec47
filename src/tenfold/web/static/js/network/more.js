/** The rarer kinds of layers, loaded when a model has one of them. */

import { Activation, sigmoid } from "./layers.js";
import { Pooling } from "./windows.js";

/** The share of a normal distribution below x (Abramowitz & Stegun 7.1.26: right to 1e-7). */
function normalShare(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x) * Math.SQRT1_2);
  const polynomial = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  const tail = polynomial * Math.exp(-x * x / 2) / 2;
  return x < 0 ? tail : 1 - tail;
}

const normalDensity = (x) => Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
/** The channels of each pixel to mean 0 and variance 1, then scale x + shift, a pair of numbers per channel. */
class LayerNorm {
  constructor(scale, shift) {
    Object.assign(this, { scale, shift });
  }

  forward(picture) {
    const { scale, shift } = this, channels = scale.length;
    this.normal = new Float32Array(picture.data.length);
    this.inverse = new Float32Array(picture.data.length / channels);
    for (let pixel = 0; pixel < this.inverse.length; pixel++) {
      const values = picture.data.subarray(pixel * channels, (pixel + 1) * channels);
      const mean = values.reduce((sum, value) => sum + value, 0) / channels;
      const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / channels;
      this.inverse[pixel] = 1 / Math.sqrt(variance + 1e-5);
      values.forEach((value, c) => { this.normal[pixel * channels + c] = (value - mean) * this.inverse[pixel]; });
    }
    return { ...picture, data: this.normal.map((value, i) => value * scale[i % channels] + shift[i % channels]) };
  }

  backward(gradient) {
    const { scale, normal, inverse } = this, channels = scale.length;
    const back = gradient.map((value, i) => value * scale[i % channels]);
    for (let pixel = 0; pixel < inverse.length; pixel++) {
      const start = pixel * channels, part = back.subarray(start, start + channels);
      const mean = part.reduce((sum, value) => sum + value, 0) / channels;
      const along = part.reduce((sum, value, c) => sum + value * normal[start + c], 0) / channels;
      part.forEach((value, c) => { part[c] = (value - mean - normal[start + c] * along) * inverse[pixel]; });
    }
    return back;
  }
}

/** The mean of each channel. */
class GlobalAveragePooling {
  forward({ data, height, width, channels }) {
    const sums = new Float64Array(channels), pixels = height * width;
    data.forEach((value, i) => { sums[i % channels] += value; });
    Object.assign(this, { pixels });
    return { height: 1, width: 1, channels, data: Float32Array.from(sums, (sum) => sum / pixels) };
  }

  backward(gradient) {
    return Float32Array.from({ length: gradient.length * this.pixels }, (_, i) => gradient[i % gradient.length] / this.pixels);
  }
}

/** A convolution with one kernel per channel. weights: channels x (kernel rows x kernel columns). */
class DepthwiseConvolution extends Pooling {
  constructor(spec, weights, bias) {
    super(spec);
    Object.assign(this, { weights, bias });
  }

  pool(values, data) {
    const { taps, weights, bias, channels } = this;
    this.eachWindow((start, out) => {
      const channel = out % channels;
      data[out] = taps.reduce((sum, tap, i) => sum + values[start + tap] * weights[channel * taps.length + i], bias[channel] ?? 0);
    });
  }

  backward(gradient) {
    const { taps, weights, channels } = this, back = this.blankFrame();
    this.eachWindow((start, out) => {
      taps.forEach((tap, i) => { back[start + tap] += gradient[out] * weights[(out % channels) * taps.length + i]; });
    });
    return this.unframe(back);
  }
}

/** As MAKERS of layers.js. */
export const MORE = {
  depthwise: (spec, numbers) => new DepthwiseConvolution(spec, numbers(spec.weight), numbers(spec.bias)),
  "layer-norm": (spec, numbers) => new LayerNorm(numbers(spec.scale), numbers(spec.shift)),
  "global-average-pool": () => new GlobalAveragePooling(),
  gelu: () => new Activation((x) => x * normalShare(x), (_, x) => normalShare(x) + x * normalDensity(x)),
  silu: () => new Activation((x) => x * sigmoid(x), (y, x) => sigmoid(x) + y * (1 - sigmoid(x))),
  scale: ({ factor }) => new Activation((x) => factor * x, () => factor),
};
