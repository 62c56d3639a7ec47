/** The loss, the optimisers, the learning rate and the network that puts the layers together. */

import { makeHeap } from "./matrix.js";
import { initialise, planLayers } from "./layers.js";
import { uniform } from "./random.js";

/**
 * Losses: (logits (n, k), labels, settings, gradient to fill) -> the mean loss. The gradient is that of the mean,
 * or of the sum where the settings say so.
 */
const LOSSES = {
  /** -log of the label's softmax probability p; its gradient is p less the target (1 at the label). */
  "cross-entropy"(logits, labels, k, settings, gradient) {
    const n = labels.length, smoothing = settings.label_smoothing ?? 0, floor = settings.probability_floor ?? 0;
    let total = 0;
    for (let i = 0; i < n; i++) {
      const row = logits.subarray(i * k, (i + 1) * k), largest = row.reduce((a, b) => Math.max(a, b), -Infinity);
      let sum = 0, mean = 0;
      for (let j = 0; j < k; j++) [sum, mean] = [sum + Math.exp(row[j] - largest), mean + (row[j] - largest) / k];
      const logs = (j) => {
        const log = row[j] - largest - Math.log(sum);
        return floor ? Math.log(Math.min(Math.max(Math.exp(log), floor), 1 - floor)) : log;
      };
      let spread = 0;
      if (smoothing) for (let j = 0; j < k; j++) spread += logs(j) / k;
      total -= (1 - smoothing) * logs(labels[i]) + smoothing * spread;
      for (let j = 0; j < k; j++) {
        const target = (j === labels[i] ? 1 - smoothing : 0) + smoothing / k;
        gradient[i * k + j] = Math.exp(row[j] - largest) / sum - target;
      }
    }
    return total / n;
  },

  /** With p = sigmoid(z): the mean of 1 - p where the target is 1, else p; its gradient is -+p (1 - p) / k. */
  "sigmoid-distance"(logits, labels, k, settings, gradient) {
    let total = 0;
    for (let i = 0; i < labels.length * k; i++) {
      const side = i % k === labels[Math.floor(i / k)] ? 1 : -1;
      const distance = 1 / (1 + Math.exp(side * logits[i]));
      total += distance / k;
      gradient[i] = (-side * distance * (1 - distance)) / k;
    }
    return total / labels.length;
  },

  /** The mean of (z - target)^2; its gradient is 2 (z - target) / k. */
  "mean-squared-error"(logits, labels, k, settings, gradient) {
    let total = 0;
    for (let i = 0; i < labels.length * k; i++) {
      const difference = logits[i] - (i % k === labels[Math.floor(i / k)] ? 1 : 0);
      total += difference ** 2 / k;
      gradient[i] = (2 * difference) / k;
    }
    return total / labels.length;
  },
};
export const LOSS_NAMES = Object.keys(LOSSES);

export function measureLoss(logits, labels, k, settings, gradient) {
  const n = labels.length, shift = settings.label_shift ?? 0;
  const columns = shift ? labels.map((label) => (label + shift + k) % k) : labels;
  const loss = LOSSES[settings.name ?? "cross-entropy"](logits, columns, k, settings, gradient);
  if (settings.reduction !== "sum") for (let i = 0; i < n * k; i++) gradient[i] /= n;
  return loss;
}

/** What the learning rate is multiplied by at step 0..total-1; the formulas of tenfold.settings. */
export function factorAt(step, total, schedule) {
  const cosine = (start, end, done) => end + ((start - end) * (1 + Math.cos(Math.PI * Math.min(Math.max(done, 0), 1)))) / 2;
  const { name = "constant", warm_up = 0, final_factor = 0, milestones = [], gamma = 0.1, rise = 0.3, start_factor = 0.04 } = schedule;
  if (name === "one-cycle") {
    const peak = rise * total - 1;
    if (step <= peak) return cosine(start_factor, 1, peak > 0 ? step / peak : 1);
    return cosine(1, final_factor, (step - peak) / Math.max(total - 1 - peak, 1e-9));
  }
  const warm = Math.round(warm_up * total);
  if (step < warm) return (step + 1) / warm;
  const done = (step - warm) / Math.max(total - warm - 1, 1);
  if (name === "cosine") return cosine(1, final_factor, done);
  if (name === "linear") return 1 + (final_factor - 1) * done;
  if (name === "step") return gamma ** milestones.filter((mark) => step >= (mark >= 1 ? mark : mark * total)).length;
  return 1;
}

/** Moves each parameter along its gradient, with PyTorch's formulas. */
export class Optimiser {
  constructor(parameters) {
    this.parameters = parameters.filter((parameter) => parameter.learned);
    this.steps = 0;
    for (const parameter of this.parameters) {
      parameter.first = new Float32Array(parameter.values.length);
      parameter.second = new Float32Array(parameter.values.length);
    }
  }

  step(rate, settings) {
    this.steps += 1;
    for (const parameter of this.parameters) {
      const group = (settings.groups ?? []).find(({ match }) => parameter.name.includes(match));
      const decays = settings.decay_all || parameter.role === "weight";
      const decay = decays ? settings.weight_decay ?? 0 : 0;
      MOVES[settings.name ?? "sgd"](parameter, rate * (group?.factor ?? 1), decay, settings, this.steps);
    }
  }
}

const MOVES = {
  sgd({ values, gradient, first }, rate, decay, { momentum = 0, nesterov = false }) {
    for (let i = 0; i < values.length; i++) {
      const g = gradient[i] + decay * values[i];
      first[i] = momentum * first[i] + g;
      values[i] -= rate * (nesterov ? g + momentum * first[i] : momentum ? first[i] : g);
    }
  },
  adam(parameter, rate, decay, settings, t) {
    const { values, gradient } = parameter;
    if (decay) for (let i = 0; i < values.length; i++) gradient[i] += decay * values[i];
    adapt(parameter, rate, settings, t);
  },
  adamw(parameter, rate, decay, settings, t) {
    if (decay) for (let i = 0; i < parameter.values.length; i++) parameter.values[i] *= 1 - rate * decay;
    adapt(parameter, rate, settings, t);
  },
};
export const OPTIMISERS = Object.keys(MOVES);

function adapt({ values, gradient, first, second }, rate, { betas: [a, b] = [0.9, 0.999], epsilon = 1e-8 }, t) {
  const lean = rate / (1 - a ** t), spread = 1 - b ** t;
  for (let i = 0; i < values.length; i++) {
    const g = gradient[i];
    first[i] = a * first[i] + (1 - a) * g;
    second[i] = b * second[i] + (1 - b) * g * g;
    values[i] -= (lean * first[i]) / (Math.sqrt(second[i] / spread) + epsilon);
  }
}

const HEAP = 2 ** 20; // bytes beyond what the layers say that they need

/** A network sized for batches of at most `batch` images. */
export class Network {
  /** layers: lines as in a recipe. shape: [height, width]. Throws an Error where they do not fit. */
  static async make(texts, shape, classes, batch, { initialisation = "kaiming", seed = 0, plain = false } = {}) {
    const layers = planLayers(texts, shape, classes);
    const size = 1 + layers.reduce((sum, layer) => sum + bytesOf(layer, batch), 0) + 4 * batch * classes;
    const heap = await makeHeap(size + HEAP, { plain });
    return new Network(layers, shape, classes, batch, heap, initialisation, seed);
  }

  constructor(layers, shape, classes, batch, heap, initialisation, seed) {
    Object.assign(this, { layers, shape, classes, batch, heap, steps: 0 });
    this.inputs = heap.floats(batch * shape[0] * shape[1]);
    for (const layer of layers) layer.reserve(heap, batch);
    this.gradient = heap.floats(batch * classes);
    this.parameters = layers.flatMap((layer) => layer.parameters);
    initialise(this.parameters, initialisation, seed);
    this.optimiser = new Optimiser(this.parameters);
    this.draw = uniform(seed + 7);
    this.firstLearned = layers.findIndex((layer) => layer.parameters.length);
  }

  get parameterCount() {
    return this.parameters.reduce((sum, { learned, values }) => sum + (learned ? values.length : 0), 0);
  }

  /** images: numbers as the network takes them, n of them. Returns logits (n, classes), until the next call. */
  forward(images, n, training = false) {
    this.inputs.set(images);
    let values = this.inputs;
    for (const layer of this.layers) values = layer.forward(values, n, { training, draw: this.draw });
    return values;
  }

  /** One step on n images: forward, loss, backward, update. Returns {loss, correct}. */
  step(images, labels, rate, recipe) {
    const n = labels.length, logits = this.forward(images, n, true);
    const loss = measureLoss(logits, labels, this.classes, recipe.loss, this.gradient);
    const correct = this.countRight(logits, labels, recipe.loss);
    this.backward(n);
    this.optimiser.step(rate, recipe.optimiser);
    this.steps += 1;
    return { loss, correct };
  }

  backward(n) {
    let gradient = this.gradient;
    for (let i = this.layers.length - 1; i >= Math.max(0, this.firstLearned); i--) {
      gradient = this.layers[i].backward(gradient, n, i > this.firstLearned);
    }
  }

  countRight(logits, labels, settings) {
    return labels.reduce((sum, label, i) => sum + (this.answer(logits, i, settings) === label ? 1 : 0), 0);
  }

  /** The class with the largest logit of image i. */
  answer(logits, i, settings) {
    const k = this.classes, row = logits.subarray(i * k, (i + 1) * k);
    let best = 0;
    for (let j = 1; j < k; j++) if (row[j] > row[best]) best = j;
    return (best - (settings.label_shift ?? 0) + k) % k;
  }
}

/** An upper bound of what a layer reserves. */
function bytesOf(layer, batch) {
  const size = (shape) => shape.reduce((product, side) => product * side, 1);
  const { kernel = [1, 1], units = 1, kind } = layer.spec;
  let floats = batch * (size(layer.output) + 3 * size(layer.input)) + 64;
  if (kind === "linear") floats += 3 * size(layer.input) * units + 2 * units;
  if (kind === "conv") {
    const patch = kernel[0] * kernel[1] * layer.input[2];
    floats += batch * layer.output[0] * layer.output[1] * patch + 3 * patch * units + 2 * units;
  }
  if (kind === "batch-norm") floats += 16 * layer.input.at(-1);
  return 4 * floats;
}
