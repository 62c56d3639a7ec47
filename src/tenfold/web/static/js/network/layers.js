/**
 * The layers of a recipe, for one picture at a time. Dropout does nothing when a network answers, and
 * batch norm behind a convolution or linear layer was worked into its weights when the model was written.
 */

import { Product, transpose } from "./product.js";
import { AveragePooling, Convolution, MaxPooling } from "./windows.js";

/** Layers one after another. */
export class Chain {
  constructor(layers) {
    this.layers = layers;
  }

  forward(inputs) {
    return this.layers.reduce((values, layer) => layer.forward(values), inputs);
  }

  backward(slope) {
    return this.layers.reduceRight((values, layer) => layer.backward(values), slope);
  }
}

/** Adds the inner layers' outputs to their inputs. */
class Residual extends Chain {
  forward(inputs) {
    this.outputs ??= new Float32Array(inputs.length);
    const change = super.forward(inputs);
    for (let i = 0; i < inputs.length; i++) this.outputs[i] = inputs[i] + change[i];
    return this.outputs;
  }

  backward(slope) {
    this.back ??= new Float32Array(slope.length);
    const through = super.backward(slope);
    for (let i = 0; i < slope.length; i++) this.back[i] = slope[i] + through[i];
    return this.back;
  }
}

class Linear {
  /** weights: outputs x inputs. */
  constructor(spec, weights, bias) {
    this.weights = weights;
    this.product = new Product(weights, bias, spec.output[0]);
    this.outputs = new Float32Array(spec.output[0]);
  }

  forward(inputs) {
    this.product.run(inputs, 1, this.outputs);
    return this.outputs;
  }

  backward(slope) {
    const { inputs, outputs } = this.product;
    this.turned ??= new Product(transpose(this.weights, outputs), [], inputs);
    this.back ??= new Float32Array(inputs);
    this.turned.run(slope, 1, this.back);
    return this.back;
  }
}

/** A function of each number by itself; its slope is told by its outputs. */
class Activation {
  constructor(spec, value, slope) {
    this.value = value;
    this.slope = slope;
    this.outputs = new Float32Array(sizeOf(spec.input));
  }

  forward(inputs) {
    const { outputs, value } = this;
    for (let i = 0; i < inputs.length; i++) outputs[i] = value(inputs[i]);
    return outputs;
  }

  backward(slope) {
    this.back ??= new Float32Array(slope.length);
    for (let i = 0; i < slope.length; i++) this.back[i] = slope[i] * this.slope(this.outputs[i]);
    return this.back;
  }
}

/** Batch norm by itself: scale x + shift, a pair of numbers a channel. */
class Norm {
  constructor(spec, scale, shift) {
    Object.assign(this, { scale, shift, channels: spec.input[0] });
    this.outputs = new Float32Array(sizeOf(spec.input));
  }

  forward(inputs) {
    const { outputs, scale, shift, channels } = this;
    for (let i = 0; i < inputs.length; i++) outputs[i] = inputs[i] * scale[i % channels] + shift[i % channels];
    return outputs;
  }

  backward(slope) {
    this.back ??= new Float32Array(slope.length);
    for (let i = 0; i < slope.length; i++) this.back[i] = slope[i] * this.scale[i % this.channels];
    return this.back;
  }
}

/** The same numbers in another order: number i comes from order[i]. */
class Order {
  constructor(order) {
    this.order = Int32Array.from(order);
    this.outputs = new Float32Array(order.length);
  }

  forward(inputs) {
    for (let i = 0; i < this.order.length; i++) this.outputs[i] = inputs[this.order[i]];
    return this.outputs;
  }

  backward(slope) {
    this.back ??= new Float32Array(slope.length);
    for (let i = 0; i < slope.length; i++) this.back[this.order[i]] = slope[i];
    return this.back;
  }
}

/** Channels first, as PyTorch has them. */
function flatten(spec) {
  const order = [];
  const [channels, height = 1, width = 1] = spec.input;
  for (let channel = 0; channel < channels; channel++) {
    for (let pixel = 0; pixel < height * width; pixel++) order.push(pixel * channels + channel);
  }
  return new Order(order);
}

/** Pixel (i, j) of a KxK block of channel c goes to channel c K K + i K + j. */
function pixelUnshuffle(spec) {
  const order = [];
  const [channels, , width] = spec.input;
  const [, high, wide] = spec.output;
  const [k] = spec.kernel;
  for (let y = 0; y < high; y++) {
    for (let x = 0; x < wide; x++) {
      for (let c = 0; c < channels; c++) {
        for (let i = 0; i < k; i++) {
          for (let j = 0; j < k; j++) order.push(((y * k + i) * width + x * k + j) * channels + c);
        }
      }
    }
  }
  return new Order(order);
}

const sizeOf = (shape) => shape.reduce((product, side) => product * side, 1);

const MAKERS = {
  flatten,
  "pixel-unshuffle": pixelUnshuffle,
  columns: () => new Chain([]), // with the channels last, a row of scores per column lies there already
  linear: (spec, numbers) => new Linear(spec, numbers(spec.weight), numbers(spec.bias)),
  conv: (spec, numbers) => new Convolution(spec, numbers(spec.weight), numbers(spec.bias)),
  "batch-norm": (spec, numbers) => new Norm(spec, numbers(spec.scale), numbers(spec.shift)),
  "max-pool": (spec) => new MaxPooling(spec),
  "average-pool": (spec) => new AveragePooling(spec),
  relu: (spec) => new Activation(spec, (x) => (x > 0 ? x : 0), (y) => (y > 0 ? 1 : 0)),
  sigmoid: (spec) => new Activation(spec, (x) => 1 / (1 + Math.exp(-x)), (y) => y * (1 - y)),
  tanh: (spec) => new Activation(spec, Math.tanh, (y) => 1 - y * y),
  residual: (spec, numbers) => new Residual(makeLayers(spec.layers, numbers)),
};

/** specs as in card.json; numbers([start, length]) gives a part of the weights. */
export function makeLayers(specs, numbers) {
  return specs.map((spec) => {
    if (!Object.hasOwn(MAKERS, spec.kind)) throw new Error(`a layer of unknown kind: ${spec.kind}`);
    return MAKERS[spec.kind](spec, numbers);
  });
}
