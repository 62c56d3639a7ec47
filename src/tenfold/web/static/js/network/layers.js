/**
 * The layers of a recipe, for one picture at a time: {data: Float32Array, height, width, channels}, row by row,
 * the channels of a pixel side by side. A picture may be of another width at each call. `backward` takes the
 * gradient of something by the layer's outputs, as numbers, and gives that by its inputs of the last `forward`.
 *
 * Dropout does nothing when a network answers, and batch norm behind a convolution or linear layer was worked
 * into its weights when the model was written.
 */

import { Product, transpose } from "./product.js";
import { AveragePooling, Convolution, MaxPooling } from "./windows.js";
import { QuickConvolution } from "./winograd.js";

/** Layers one after another. */
export class Chain {
  constructor(layers) {
    this.layers = layers;
  }

  forward(picture) {
    return this.layers.reduce((values, layer) => layer.forward(values), picture);
  }

  backward(gradient) {
    return this.layers.reduceRight((values, layer) => layer.backward(values), gradient);
  }
}

/** Adds the inner layers' outputs to their inputs. */
class Residual extends Chain {
  forward(picture) {
    const change = super.forward(picture).data;
    return { ...picture, data: picture.data.map((value, i) => value + change[i]) };
  }

  backward(gradient) {
    const through = super.backward(gradient);
    return gradient.map((value, i) => value + through[i]);
  }
}

class Linear {
  /** weights: outputs x inputs. */
  constructor(weights, bias, outputs) {
    this.weights = weights;
    this.product = new Product(weights, bias, outputs);
  }

  forward(picture) {
    const channels = this.product.outputs;
    return { ...picture, channels, data: this.product.run(picture.data, 1, new Float32Array(channels)) };
  }

  backward(gradient) {
    const { inputs, outputs } = this.product;
    this.turned ??= new Product(transpose(this.weights, outputs), [], inputs);
    return this.turned.run(gradient, 1, new Float32Array(inputs));
  }
}

/** A function of each number by itself; derivative(output, input). */
export class Activation {
  constructor(value, derivative) {
    Object.assign(this, { value, derivative });
  }

  forward(picture) {
    const { value } = this;
    this.inputs = picture.data;
    this.outputs = new Float32Array(picture.data.length);
    for (let i = 0; i < this.outputs.length; i++) this.outputs[i] = value(picture.data[i]);
    return { ...picture, data: this.outputs };
  }

  backward(gradient) {
    return gradient.map((value, i) => value * this.derivative(this.outputs[i], this.inputs[i]));
  }
}

export const sigmoid = (x) => 1 / (1 + Math.exp(-x));

/** Batch norm by itself: scale x + shift, a pair of numbers per channel. */
class Norm {
  constructor(scale, shift) {
    Object.assign(this, { scale, shift });
  }

  forward(picture) {
    const { scale, shift } = this, channels = scale.length;
    return { ...picture, data: picture.data.map((value, i) => value * scale[i % channels] + shift[i % channels]) };
  }

  backward(gradient) {
    return gradient.map((value, i) => value * this.scale[i % this.scale.length]);
  }
}

/** The numbers, or some of them, in another order: number i comes from order[i]. */
class Order {
  /** plan(picture) -> {order, and height, width and channels of what comes out}. */
  constructor(plan) {
    this.plan = plan;
  }

  forward(picture) {
    const { order, ...shape } = this.plan(picture);
    Object.assign(this, { order, size: picture.data.length });
    const data = new Float32Array(order.length);
    order.forEach((from, i) => { data[i] = picture.data[from]; });
    return { ...shape, data };
  }

  backward(gradient) {
    const back = new Float32Array(this.size);
    this.order.forEach((from, i) => { back[from] = gradient[i]; });
    return back;
  }
}

/** Channels first, as PyTorch has them. */
function flat({ height, width, channels }) {
  const order = [];
  for (let channel = 0; channel < channels; channel++) {
    for (let pixel = 0; pixel < height * width; pixel++) order.push(pixel * channels + channel);
  }
  return { order, height: 1, width: 1, channels: order.length };
}

/** Pixel (i, j) of a KxK block of channel c goes to channel c K K + i K + j. */
function unshuffled({ height, width, channels }, k) {
  const order = [];
  for (let y = 0; y + k <= height; y += k) {
    for (let x = 0; x + k <= width; x += k) {
      for (let c = 0; c < channels; c++) {
        for (let i = 0; i < k; i++) for (let j = 0; j < k; j++) order.push(((y + i) * width + x + j) * channels + c);
      }
    }
  }
  return { order, height: Math.floor(height / k), width: Math.floor(width / k), channels: channels * k * k };
}

/** With the channels last, the rows of scores lie there already. */
function spread({ height, width, channels }, parts) {
  const order = Array.from({ length: height * width * channels }, (_, i) => i);
  return { order, height, width: width * parts, channels: channels / parts };
}

function convolution(spec, weights, bias) {
  return new (QuickConvolution.suits(spec) ? QuickConvolution : Convolution)(spec, weights, bias);
}

const MAKERS = {
  flatten: () => new Order(flat),
  "pixel-unshuffle": ({ kernel: [k] }) => new Order((picture) => unshuffled(picture, k)),
  columns: ({ parts }) => new Order((picture) => spread(picture, parts)),
  linear: (spec, numbers) => new Linear(numbers(spec.weight), numbers(spec.bias), spec.outputs),
  conv: (spec, numbers) => convolution(spec, numbers(spec.weight), numbers(spec.bias)),
  "batch-norm": (spec, numbers) => new Norm(numbers(spec.scale), numbers(spec.shift)),
  "max-pool": (spec) => new MaxPooling(spec),
  "average-pool": (spec) => new AveragePooling(spec),
  relu: () => new Activation((x) => (x > 0 ? x : 0), (y) => (y > 0 ? 1 : 0)),
  sigmoid: () => new Activation(sigmoid, (y) => y * (1 - y)),
  tanh: () => new Activation(Math.tanh, (y) => 1 - y * y),
  residual: (spec, numbers) => new Residual(makeLayers(spec.layers, numbers)),
};

const known = (specs) => specs.every(({ kind, layers = [] }) => Object.hasOwn(MAKERS, kind) && known(layers));

/** Loads what makes the rarer kinds of layers, where these specs have any. */
export async function prepareLayers(specs) {
  if (!known(specs)) Object.assign(MAKERS, (await import("./more.js")).MORE);
}

/** specs as in card.json, after prepareLayers; numbers([start, length]) gives a part of the weights. */
export function makeLayers(specs, numbers) {
  return specs.map((spec) => {
    if (!Object.hasOwn(MAKERS, spec.kind)) throw new Error(`a layer of unknown kind: ${spec.kind}`);
    return MAKERS[spec.kind](spec, numbers);
  });
}
