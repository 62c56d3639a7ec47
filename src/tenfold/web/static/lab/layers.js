/**
 * The layers of the lab's network: each forward next to its backward, for a batch of images.
 *
 * Values are (n, features), or (n, height, width, channels) row by row. `forward` keeps what `backward` needs.
 * `backward` takes the gradient of the loss with respect to the outputs, g, puts that of its parameters into
 * their `gradient`, and returns that with respect to its inputs; it returns null where nobody wants that.
 */

import { transpose } from "./matrix.js";
import { normal, uniform } from "./random.js";

/** An array that is learned, or kept. turned: its shape and order differ from PyTorch's, which toTorch has. */
export class Parameter {
  constructor(heap, name, role, count, fans, order = null) {
    Object.assign(this, { name, role, fans, order });
    this.values = heap.floats(count);
    this.gradient = heap.floats(count);
  }

  get learned() {
    return !this.role.startsWith("running");
  }

  /** The numbers (values or gradient) in PyTorch's order. */
  toTorch(numbers = this.values) {
    return this.order ? Float32Array.from(this.order, (place) => numbers[place]) : Float32Array.from(numbers);
  }

  fromTorch(numbers) {
    if (numbers.length !== this.values.length) {
      throw new Error(`${this.name} has ${numbers.length} numbers; expected ${this.values.length}`);
    }
    numbers.forEach((value, i) => { this.values[this.order ? this.order[i] : i] = value; });
  }
}

const CONSTANT = { scale: 1, shift: 0, "running-mean": 0, "running-variance": 1 };
const STARTS = {
  normal: (parameter, seed) => normal(seed),
  xavier: ({ fans: [fanIn, fanOut], role }, seed) => between(role === "weight" ? Math.sqrt(6 / (fanIn + fanOut)) : 0, seed),
  kaiming: ({ fans: [fanIn], role }, seed) => {
    const draw = normal(seed), deviation = role === "weight" ? Math.sqrt(2 / fanIn) : 0;
    return () => deviation * draw();
  },
  torch: ({ fans: [fanIn] }, seed) => between(1 / Math.sqrt(fanIn), seed),
};
export const INITIALISATIONS = Object.keys(STARTS);

function between(bound, seed) {
  const draw = uniform(seed);
  return () => bound * (2 * draw() - 1);
}

export function initialise(parameters, scheme, seed) {
  parameters.forEach((parameter, i) => {
    const draw = parameter.role in CONSTANT ? () => CONSTANT[parameter.role] : STARTS[scheme](parameter, seed + 1000003 * (i + 1));
    for (let j = 0; j < parameter.values.length; j++) parameter.values[j] = draw();
  });
}

const count = (shape) => shape.reduce((product, size) => product * size, 1);

class Layer {
  constructor(spec, input, output) {
    Object.assign(this, { spec, input, output, parameters: [] });
  }

  get name() {
    return this.spec.name;
  }

  /** Memory for the outputs and the gradient of the inputs. */
  reserve(heap, batch) {
    this.outputs = heap.floats(batch * count(this.output));
    this.back = heap.floats(batch * count(this.input));
  }
}

/** y = x W + b, so dW = x' g, db = the sum of g over the batch, dx = g W'. W is kept as (inputs, outputs). */
class Linear extends Layer {
  constructor(spec, input) {
    super(spec, input, [spec.units]);
  }

  reserve(heap, batch) {
    super.reserve(heap, batch);
    const [inputs] = this.input, outputs = this.spec.units, fans = [inputs, outputs];
    const order = Uint32Array.from({ length: inputs * outputs }, (_, i) => (i % inputs) * outputs + Math.floor(i / inputs));
    this.weight = new Parameter(heap, `${this.name}.weight`, "weight", inputs * outputs, fans, order);
    this.weight.shape = [outputs, inputs];
    this.parameters = [this.weight];
    if (this.spec.bias) this.parameters.push((this.bias = new Parameter(heap, `${this.name}.bias`, "bias", outputs, fans)));
    this.turned = heap.floats(inputs * outputs);
    this.heap = heap;
  }

  forward(x, n) {
    const [inputs] = this.input, [outputs] = this.output;
    this.x = x;
    this.heap.product(x, this.weight.values, this.outputs, n, outputs, inputs);
    if (this.bias) addRow(this.outputs, this.bias.values, n);
    return this.outputs;
  }

  backward(g, n, wanted) {
    const [inputs] = this.input, [outputs] = this.output;
    this.heap.product(this.x, g, this.weight.gradient, inputs, outputs, n, true);
    if (this.bias) sumRows(g, this.bias.gradient, n);
    if (!wanted) return null;
    transpose(this.weight.values, this.turned, inputs, outputs);
    this.heap.product(g, this.turned, this.back, n, inputs, outputs);
    return this.back;
  }
}

function addRow(values, row, n) {
  for (let i = 0, place = 0; i < n; i++) for (let j = 0; j < row.length; j++) values[place++] += row[j];
}

function sumRows(values, row, n) {
  row.fill(0);
  for (let i = 0, place = 0; i < n; i++) for (let j = 0; j < row.length; j++) row[j] += values[place++];
}

/**
 * A window of kh x kw moves over the image; at each place its pixels make one row of a matrix ("im2col"), and the
 * convolution is that matrix times the weights: then it is a linear layer of the places. backward adds each row
 * of g W' up where its pixels came from.
 */
class Convolution extends Layer {
  constructor(spec, input) {
    const [height, width] = input, [kh, kw] = spec.kernel, [ph, pw] = spec.padding;
    super(spec, input, [height + 2 * ph - kh + 1, width + 2 * pw - kw + 1, spec.units]);
  }

  reserve(heap, batch) {
    super.reserve(heap, batch);
    const [kh, kw] = this.spec.kernel, [, , channels] = this.input, [height, width, outputs] = this.output;
    const patch = kh * kw * channels, fans = [patch, outputs * kh * kw];
    const order = new Uint32Array(patch * outputs); // PyTorch's (o, c, i, j) -> ours ((i, j, c), o)
    let place = 0;
    for (let o = 0; o < outputs; o++) {
      for (let c = 0; c < channels; c++) {
        for (let i = 0; i < kh * kw; i++) order[place++] = (i * channels + c) * outputs + o;
      }
    }
    this.weight = new Parameter(heap, `${this.name}.weight`, "weight", patch * outputs, fans, order);
    this.weight.shape = [outputs, channels, kh, kw];
    this.parameters = [this.weight];
    if (this.spec.bias) this.parameters.push((this.bias = new Parameter(heap, `${this.name}.bias`, "bias", outputs, fans)));
    this.patches = heap.floats(batch * height * width * patch);
    this.turned = heap.floats(patch * outputs);
    Object.assign(this, { heap, patch });
  }

  /** visit(place in the row, pixel of the image or -1 outside) for the windows of one image, row by row. */
  places() {
    if (this.table) return this.table;
    const [h, w, channels] = this.input, [height, width] = this.output;
    const [kh, kw] = this.spec.kernel, [ph, pw] = this.spec.padding;
    const table = new Int32Array(height * width * this.patch);
    let at = 0;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        for (let i = 0; i < kh; i++) {
          for (let j = 0; j < kw; j++) {
            const row = y + i - ph, column = x + j - pw;
            const inside = row >= 0 && row < h && column >= 0 && column < w;
            for (let c = 0; c < channels; c++) table[at++] = inside ? (row * w + column) * channels + c : -1;
          }
        }
      }
    }
    return (this.table = table);
  }

  forward(x, n) {
    const table = this.places(), size = count(this.input), [height, width, outputs] = this.output;
    for (let k = 0, to = 0; k < n; k++) {
      const start = k * size;
      for (let i = 0; i < table.length; i++) this.patches[to++] = table[i] < 0 ? 0 : x[start + table[i]];
    }
    this.heap.product(this.patches, this.weight.values, this.outputs, n * height * width, outputs, this.patch);
    if (this.bias) addRow(this.outputs, this.bias.values, n * height * width);
    return this.outputs;
  }

  backward(g, n, wanted) {
    const [height, width, outputs] = this.output, places = n * height * width;
    this.heap.product(this.patches, g, this.weight.gradient, this.patch, outputs, places, true);
    if (this.bias) sumRows(g, this.bias.gradient, places);
    if (!wanted) return null;
    transpose(this.weight.values, this.turned, this.patch, outputs);
    this.heap.product(g, this.turned, this.patches, places, this.patch, outputs);
    const table = this.places(), size = count(this.input);
    this.back.fill(0, 0, n * size);
    for (let k = 0, from = 0; k < n; k++) {
      const start = k * size;
      for (let i = 0; i < table.length; i++, from++) if (table[i] >= 0) this.back[start + table[i]] += this.patches[from];
    }
    return this.back;
  }
}

/** The largest of each window; the gradient goes to the pixel that was it, the first one of several. */
class MaxPooling extends Layer {
  constructor(spec, [height, width, channels]) {
    const [kh, kw] = spec.kernel;
    super(spec, [height, width, channels], [Math.floor(height / kh), Math.floor(width / kw), channels]);
  }

  reserve(heap, batch) {
    super.reserve(heap, batch);
    this.from = new Uint32Array(batch * count(this.output));
  }

  forward(x, n) {
    const [h, w, channels] = this.input, [height, width] = this.output, [kh, kw] = this.spec.kernel;
    let to = 0;
    for (let k = 0; k < n; k++) {
      for (let row = 0; row < height; row++) {
        for (let column = 0; column < width; column++) {
          for (let c = 0; c < channels; c++, to++) {
            let best = -Infinity, place = 0;
            for (let i = 0; i < kh; i++) {
              for (let j = 0; j < kw; j++) {
                const at = ((k * h + row * kh + i) * w + column * kw + j) * channels + c;
                if (x[at] > best) [best, place] = [x[at], at];
              }
            }
            this.outputs[to] = best;
            this.from[to] = place;
          }
        }
      }
    }
    return this.outputs;
  }

  backward(g, n) {
    this.back.fill(0, 0, n * count(this.input));
    for (let i = 0; i < n * count(this.output); i++) this.back[this.from[i]] += g[i];
    return this.back;
  }
}

/** A function of each number by itself; its derivative is computed from its outputs. */
class Activation extends Layer {
  constructor(spec, input, value, derivative) {
    super(spec, input, input);
    Object.assign(this, { value, derivative });
  }

  forward(x, n) {
    const { value, outputs } = this, size = n * count(this.input);
    for (let i = 0; i < size; i++) outputs[i] = value(x[i]);
    return outputs;
  }

  backward(g, n) {
    const { derivative, outputs, back } = this, size = n * count(this.input);
    for (let i = 0; i < size; i++) back[i] = g[i] * derivative(outputs[i]);
    return back;
  }
}

/** In training each number is 0 with probability p, and the others grow by 1 / (1 - p) (Srivastava et al. 2014). */
class Dropout extends Layer {
  constructor(spec, input) {
    super(spec, input, input);
  }

  reserve(heap, batch) {
    super.reserve(heap, batch);
    this.kept = heap.floats(batch * count(this.input));
  }

  forward(x, n, { training, draw }) {
    const size = n * count(this.input), share = this.spec.share;
    this.kept.fill(1, 0, size);
    if (training) for (let i = 0; i < size; i++) this.kept[i] = draw() < share ? 0 : 1 / (1 - share);
    for (let i = 0; i < size; i++) this.outputs[i] = x[i] * this.kept[i];
    return this.outputs;
  }

  backward(g, n) {
    for (let i = 0; i < n * count(this.input); i++) this.back[i] = g[i] * this.kept[i];
    return this.back;
  }
}

const EPSILON = 1e-5, MOMENTUM = 0.1;

/**
 * Each channel less its mean over the batch, divided by its deviation, times a scale plus a shift that are learned
 * (Ioffe & Szegedy 2015). With z = (x - mean) / deviation over m numbers:
 * dscale = sum of g z, dshift = sum of g, dx = scale / deviation (g - dshift / m - z dscale / m).
 */
class BatchNorm extends Layer {
  constructor(spec, input) {
    super(spec, input, input);
  }

  reserve(heap, batch) {
    super.reserve(heap, batch);
    const channels = this.input.at(-1);
    const make = (name, role) => new Parameter(heap, `${this.name}.${name}`, role, channels, [1, 1]);
    this.scale = make("weight", "scale");
    this.shift = make("bias", "shift");
    this.mean = make("running_mean", "running-mean");
    this.variance = make("running_var", "running-variance");
    this.parameters = [this.scale, this.shift, this.mean, this.variance];
    this.z = heap.floats(batch * count(this.input));
    this.deviation = heap.floats(channels);
  }

  forward(x, n, { training }) {
    const channels = this.input.at(-1), size = n * count(this.input), m = size / channels;
    let { values: mean } = this.mean, { values: variance } = this.variance;
    if (training) {
      [mean, variance] = [new Float64Array(channels), new Float64Array(channels)];
      for (let i = 0; i < size; i++) mean[i % channels] += x[i] / m;
      for (let i = 0; i < size; i++) variance[i % channels] += (x[i] - mean[i % channels]) ** 2 / m;
      for (let c = 0; c < channels; c++) {
        this.mean.values[c] += MOMENTUM * (mean[c] - this.mean.values[c]);
        this.variance.values[c] += MOMENTUM * ((variance[c] * m) / Math.max(1, m - 1) - this.variance.values[c]);
      }
    }
    for (let c = 0; c < channels; c++) this.deviation[c] = Math.sqrt(variance[c] + EPSILON);
    for (let i = 0; i < size; i++) {
      const c = i % channels;
      this.z[i] = (x[i] - mean[c]) / this.deviation[c];
      this.outputs[i] = this.z[i] * this.scale.values[c] + this.shift.values[c];
    }
    return this.outputs;
  }

  backward(g, n) {
    const channels = this.input.at(-1), size = n * count(this.input), m = size / channels;
    const byScale = new Float64Array(channels), byShift = new Float64Array(channels);
    for (let i = 0; i < size; i++) {
      byScale[i % channels] += g[i] * this.z[i];
      byShift[i % channels] += g[i];
    }
    this.scale.gradient.set(byScale);
    this.shift.gradient.set(byShift);
    for (let i = 0; i < size; i++) {
      const c = i % channels;
      this.back[i] = (this.scale.values[c] / this.deviation[c]) * (g[i] - byShift[c] / m - (this.z[i] * byScale[c]) / m);
    }
    return this.back;
  }
}

/** The same numbers of an image in another order: number i comes from order[i]. */
class Order extends Layer {
  constructor(spec, input, output, order) {
    super(spec, input, output);
    this.order = order;
  }

  forward(x, n) {
    const { order, outputs } = this;
    for (let k = 0, to = 0; k < n; k++) {
      for (let i = 0, start = k * order.length; i < order.length; i++) outputs[to++] = x[start + order[i]];
    }
    return outputs;
  }

  backward(g, n) {
    const { order, back } = this;
    for (let k = 0, from = 0; k < n; k++) {
      for (let i = 0, start = k * order.length; i < order.length; i++) back[start + order[i]] = g[from++];
    }
    return back;
  }
}

/** Channels first, as PyTorch has them. */
function flatten(spec, [height, width, channels]) {
  const order = Uint32Array.from({ length: height * width * channels }, (_, i) => {
    const pixels = height * width;
    return (i % pixels) * channels + Math.floor(i / pixels);
  });
  return new Order(spec, [height, width, channels], [order.length], order);
}

/** Pixel (i, j) of a KxK block of channel c goes to channel c K K + i K + j. */
function unshuffle(spec, [height, width, channels]) {
  const [k] = spec.kernel, order = [];
  for (let y = 0; y < height; y += k) {
    for (let x = 0; x < width; x += k) {
      for (let c = 0; c < channels; c++) {
        for (let i = 0; i < k; i++) for (let j = 0; j < k; j++) order.push(((y + i) * width + x + j) * channels + c);
      }
    }
  }
  return new Order(spec, [height, width, channels], [height / k, width / k, channels * k * k], order);
}

const MAKERS = {
  linear: (spec, input) => new Linear(spec, input),
  conv: (spec, input) => new Convolution(spec, input),
  "max-pool": (spec, input) => new MaxPooling(spec, input),
  "batch-norm": (spec, input) => new BatchNorm(spec, input),
  dropout: (spec, input) => new Dropout(spec, input),
  relu: (spec, input) => new Activation(spec, input, (x) => (x > 0 ? x : 0), (y) => (y > 0 ? 1 : 0)),
  sigmoid: (spec, input) => new Activation(spec, input, (x) => 1 / (1 + Math.exp(-x)), (y) => y * (1 - y)),
  tanh: (spec, input) => new Activation(spec, input, Math.tanh, (y) => 1 - y * y),
  flatten,
  "pixel-unshuffle": unshuffle,
};
export const KINDS = Object.keys(MAKERS);
const NAMES = { "max-pool": "maxpool", "batch-norm": "norm", "pixel-unshuffle": "unshuffle" }; // as in a run's file
const FLAT = ["linear"], PICTURES = ["conv", "max-pool", "flatten", "pixel-unshuffle"];

/**
 * "conv 32 3x3 padding same no-bias" -> a spec. classes: what "linear classes" has. number: its place, from 1;
 * nth: its number among the layers of its kind, which names its parameters.
 * Throws an Error that says what was found and what was expected.
 */
export function parseLayer(text, classes, number, nth = number) {
  const words = text.trim().split(/\s+/), kind = words[0];
  if (!KINDS.includes(kind)) throw new Error(`layer ${number}: "${text}" is not a layer of the lab; expected one of ${KINDS.join(", ")}`);
  const spec = { kind, name: `${NAMES[kind] ?? kind}${nth}`, bias: !words.includes("no-bias"), text: text.trim() };
  const rest = words.slice(1).filter((word) => word !== "no-bias");
  const wrong = (expected) => new Error(`layer ${number}: "${text}"; expected ${expected}`);
  const whole = (word) => (/^[1-9]\d{0,4}$/.test(word ?? "") ? Number(word) : NaN);
  const pair = (word) => (/^\d+x\d+$/.test(word ?? "") ? word.split("x").map(Number) : [whole(word), whole(word)]);
  if (kind === "linear" || kind === "conv") {
    spec.units = rest[0] === "classes" ? classes : whole(rest[0]);
    if (!spec.units) throw wrong(`a number of units, such as "${kind} 32${kind === "conv" ? " 3x3" : ""}"`);
  }
  if (["conv", "max-pool", "pixel-unshuffle"].includes(kind)) {
    spec.kernel = pair(kind === "conv" ? rest[1] : rest[0]);
    if (!spec.kernel.every((size) => size >= 1 && size <= 28)) throw wrong(`a window, such as ${kind === "conv" ? "3x3" : "2"}`);
    spec.padding = rest.includes("padding") ? padding(rest, spec.kernel) : [0, 0];
    if (!spec.padding.every(Number.isInteger)) throw wrong('"padding same", or a number of pixels');
  }
  if (kind === "dropout") {
    spec.share = Number(rest[0]);
    if (!(spec.share >= 0 && spec.share < 1)) throw wrong("a share from 0 to below 1");
  }
  return spec;
}

function padding(words, kernel) {
  const given = words[words.indexOf("padding") + 1];
  return given === "same" ? kernel.map((size) => (size - 1) / 2) : [Number(given), Number(given)];
}

/** The layers with their shapes. Throws an Error where one does not fit what comes before it. */
export function planLayers(texts, [height, width], classes) {
  let shape = [height, width, 1];
  const seen = {};
  const layers = texts.filter((text) => text.trim()).map((text, i) => {
    const kind = text.trim().split(/\s+/)[0];
    seen[kind] = (seen[kind] ?? 0) + 1;
    const spec = parseLayer(text, classes, i + 1, seen[kind]);
    if (FLAT.includes(spec.kind) && shape.length > 1) throw new Error(`layer ${i + 1}: "${text}" meets pictures; put flatten before it`);
    if (PICTURES.includes(spec.kind) && shape.length === 1) throw new Error(`layer ${i + 1}: "${text}" meets a row of numbers; put it before flatten`);
    if (spec.kind === "pixel-unshuffle" && (shape[0] % spec.kernel[0] || shape[1] % spec.kernel[0])) {
      throw new Error(`layer ${i + 1}: "${text}" meets ${shape[0]}x${shape[1]}; expected sides divisible by ${spec.kernel[0]}`);
    }
    const layer = MAKERS[spec.kind](spec, shape);
    if (layer.output.some((size) => size < 1)) throw new Error(`layer ${i + 1}: the window of "${text}" does not fit into ${shape[0]}x${shape[1]} pixels`);
    shape = layer.output;
    return layer;
  });
  if (shape.length !== 1 || shape[0] !== classes) {
    throw new Error(`the network ends with ${shape.join(" x ")} numbers; expected ${classes}: end with "linear classes"`);
  }
  return layers;
}
