/** A recipe, data and a network: training step by step, and what can be looked at on the way. */

import { augment } from "./augment.js";
import { holdOut, pixelMoments } from "./data.js";
import { findFaults } from "./findings.js";
import { permutation, uniform } from "./random.js";
import { softmax } from "../js/network/answers.js";
import { Network, factorAt, measureLoss } from "./training.js";

const PIECE = 500; // images that are answered at a time
const MISSES = 24;

export class Trainer {
  /**
   * recipe: as tenfold's, as an object. data: see data.js; seed: of weights, split, order and augmentation.
   * Throws an Error where the layers do not fit.
   */
  static async make(recipe, data, { seed = 0, plain = false, split = null } = {}) {
    const trainer = new Trainer(recipe, data, seed, split);
    const batch = Math.max(trainer.batchSize, PIECE);
    const options = { initialisation: recipe.network.initialise ?? "torch", seed, plain };
    const { height, width, names } = data;
    trainer.network = await Network.make(recipe.network.layers, [height, width], names.length, batch, options);
    trainer.inputs = new Float32Array(batch * height * width);
    return trainer;
  }

  constructor(recipe, data, seed, split) {
    Object.assign(this, { recipe, data, seed, step: 0, losses: [], epochs: [], startLoss: null });
    Object.assign(this, split ?? holdOut(data.labels, seed));
    this.draw = uniform(seed + 11);
    this.setScaling();
    this.sum = { loss: 0, correct: 0, images: 0 };
  }

  setScaling() {
    const { scaling = "unit", mean = 0.5, std = 0.5 } = this.recipe.input ?? {};
    this.scaling = { unit: { mean: 0, std: 1 }, none: { mean: 0, std: 1 / 255 }, fixed: { mean, std } }[scaling];
    this.scaling ??= pixelMoments(this.data, this.train);
  }

  get batchSize() {
    const wanted = this.recipe.training?.batch_size ?? 128;
    return wanted ? Math.min(wanted, this.train.length) : this.train.length;
  }

  get stepsPerEpoch() {
    return Math.max(1, Math.ceil(this.train.length / this.batchSize));
  }

  get totalSteps() {
    const { epochs = 10, min_steps = 0, steps = 0 } = this.recipe.training ?? {};
    return steps || Math.max(epochs, Math.ceil(min_steps / this.stepsPerEpoch)) * this.stepsPerEpoch;
  }

  get finished() {
    return this.step >= this.totalSteps;
  }

  get rate() {
    const { learning_rate: rate = 0.1 } = this.recipe.optimiser;
    return rate * factorAt(Math.min(this.step, this.totalSteps - 1), this.totalSteps, this.recipe.schedule ?? {});
  }

  /** The places of the next batch: every epoch in an order of its own, a function of seed and epoch alone. */
  nextBatch() {
    const epoch = Math.floor(this.step / this.stepsPerEpoch), place = this.step % this.stepsPerEpoch;
    if (this.ordered !== epoch) {
      const plain = this.recipe.training?.shuffle === false;
      const order = permutation(this.train.length, uniform(this.seed + 101 * (epoch + 1)));
      this.order = Array.from(order, (at, i) => this.train[plain ? i : at]);
      this.ordered = epoch;
    }
    return this.order.slice(place * this.batchSize, (place + 1) * this.batchSize);
  }

  /** Pixels 0..255 as the network takes them. */
  fill(places, changed) {
    const { images, height, width } = this.data, size = height * width, { mean, std } = this.scaling;
    const bytes = new Float32Array(size);
    places.forEach((place, i) => {
      let source = images, from = place * size;
      if (changed) {
        augment(images, from, bytes, height, width, this.recipe.augmentation ?? {}, this.draw);
        [source, from] = [bytes, 0];
      }
      for (let j = 0; j < size; j++) this.inputs[i * size + j] = (source[from + j] / 255 - mean) / std;
    });
    return this.inputs.subarray(0, places.length * size);
  }

  /** One batch. Returns {loss, accuracy} of it. */
  trainStep() {
    const places = this.nextBatch(), labels = places.map((place) => this.data.labels[place]), { rate } = this;
    const { loss, correct } = this.network.step(this.fill(places, true), labels, rate, this.recipe);
    this.startLoss ??= loss;
    this.step += 1;
    this.batch = { places, labels, loss, accuracy: correct / places.length, rate };
    this.sum.loss += loss * places.length;
    this.sum.correct += correct;
    this.sum.images += places.length;
    this.losses.push(loss);
    if (this.step % this.stepsPerEpoch === 0 || this.finished) this.endEpoch();
    return this.batch;
  }

  endEpoch() {
    const { loss, correct, images } = this.sum, test = this.evaluate();
    this.epochs.push({
      epoch: this.step / this.stepsPerEpoch, step: this.step, loss: loss / images, accuracy: correct / images,
      testLoss: test.loss, testAccuracy: test.accuracy,
    });
    this.sum = { loss: 0, correct: 0, images: 0 };
  }

  /** Loss, accuracy, confusion (rows: label, columns: answer) and the worst misses of the held-out images. */
  evaluate() {
    const { names, labels } = this.data, k = names.length, misses = [];
    const settings = { ...this.recipe.loss, label_smoothing: 0, reduction: "sum" };
    const confusion = Array.from({ length: k }, () => new Array(k).fill(0));
    let total = 0, correct = 0;
    for (let start = 0; start < this.test.length; start += PIECE) {
      const places = this.test.slice(start, start + PIECE), right = places.map((place) => labels[place]);
      const logits = this.network.forward(this.fill(places, false), places.length);
      const loss = measureLoss(logits, right, k, settings, new Float32Array(places.length * k));
      total += loss * places.length;
      places.forEach((place, i) => {
        const answer = this.network.answer(logits, i, settings);
        confusion[right[i]][answer] += 1;
        if (answer === right[i]) correct += 1;
        else misses.push({ place, label: right[i], answer, sure: Math.max(...softmax(logits.subarray(i * k, (i + 1) * k))) });
      });
    }
    misses.sort((one, other) => other.sure - one.sure);
    this.result = {
      loss: total / this.test.length, accuracy: correct / this.test.length, confusion,
      missed: misses.length, misses: misses.slice(0, MISSES), images: this.test.length,
    };
    return this.result;
  }

  /** Of each parameter that is learned: norm of its values and of its last gradient. */
  norms() {
    const norm = (numbers) => Math.sqrt(numbers.reduce((sum, value) => sum + value * value, 0));
    return this.network.parameters.filter(({ learned }) => learned).map(({ name, values, gradient }) => ({
      name, values: norm(values), gradient: norm(gradient),
    }));
  }

  /** What the units of the first layer with weights weigh: {height, width, units: [Float32Array]}. */
  weightPictures(most = 64) {
    const layer = this.network.layers.find(({ parameters }) => parameters.length);
    if (!layer?.weight) return null;
    const values = layer.weight.toTorch(), { shape } = layer.weight;
    const { height, width } = this.data;
    const [high, wide] = shape.length === 4 ? shape.slice(2) : [height, width];
    if (shape.length === 2 && shape[1] !== height * width) return null;
    const size = shape.length === 4 ? shape[1] * high * wide : high * wide;
    const units = Array.from({ length: Math.min(shape[0], most) }, (_, unit) => values.slice(unit * size, unit * size + high * wide));
    return { height: high, width: wide, units, of: shape[0], name: layer.name };
  }

  /** Each layer's outputs for one image (bytes), with the probabilities at the end. */
  activations(image) {
    const { mean, std } = this.scaling;
    this.network.forward(Float32Array.from(image, (pixel) => (pixel / 255 - mean) / std), 1);
    const layers = this.network.layers.map(({ name, spec, output, outputs }) => {
      const size = output.reduce((product, side) => product * side, 1);
      return { name, text: spec.text, shape: output, values: outputs.slice(0, size) };
    });
    const logits = layers.at(-1).values, shift = this.recipe.loss?.label_shift ?? 0, k = logits.length;
    const ordered = Array.from({ length: k }, (_, label) => logits[(label + shift + k) % k]);
    return { layers, logits: ordered, probs: softmax(ordered) };
  }

  /** One step, with the numbers of forward, loss, backward and update. */
  traceStep() {
    const learned = this.network.parameters.filter((parameter) => parameter.learned);
    const before = learned.map(({ values }) => values.slice());
    const batch = this.trainStep(), n = batch.places.length;
    const norm = (numbers) => Math.sqrt(numbers.reduce((sum, value) => sum + value * value, 0));
    const updates = learned.map(({ name, values, gradient }, i) => {
      const change = values.map((value, j) => value - before[i][j]);
      const place = gradient.reduce((best, g, j) => (Math.abs(g) > Math.abs(gradient[best]) ? j : best), 0);
      return {
        name, size: values.length, values: norm(before[i]), gradient: norm(gradient), change: norm(change),
        one: { before: before[i][place], gradient: gradient[place], after: values[place] },
      };
    });
    const layers = this.network.layers.map(({ name, spec, output, outputs }) => {
      const size = n * output.reduce((product, side) => product * side, 1), values = outputs.subarray(0, size);
      const mean = values.reduce((sum, value) => sum + value, 0) / size;
      const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / size);
      const zeros = values.reduce((sum, value) => sum + (value === 0 ? 1 : 0), 0) / size;
      return { name, text: spec.text, shape: output, mean, deviation, zeros };
    });
    const k = this.data.names.length, logits = Array.from(this.network.layers.at(-1).outputs.subarray(0, k));
    const first = { label: batch.labels[0], place: batch.places[0], logits, probs: softmax(logits) };
    return { step: this.step, rate: batch.rate, loss: batch.loss, images: n, layers, updates, first };
  }

  findings() {
    return findFaults(this);
  }

  /** A drawing of a class: to the training images or to the held-out ones. */
  addImage(image, label, test) {
    const { data } = this, images = new Uint8Array(data.images.length + image.length);
    images.set(data.images);
    images.set(image, data.images.length);
    this.data = { ...data, images, labels: [...data.labels, label] };
    (test ? this.test : this.train).push(data.labels.length);
    this.ordered = -1;
  }

  /** Weights of a run: name -> numbers in PyTorch's order. Throws an Error where they do not fit. */
  load(arrays) {
    for (const parameter of this.network.parameters) {
      const numbers = arrays[parameter.name];
      if (!numbers) throw new Error(`the model has no ${parameter.name}; expected a model of these layers`);
      parameter.fromTorch(numbers);
    }
  }
}
