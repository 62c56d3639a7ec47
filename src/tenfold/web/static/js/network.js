/**
 * A trained network in plain JavaScript: what `tenfold export --to web` writes, loaded and asked.
 *
 *     const model = await loadModel("model/");
 *     const { probs, none } = model.judge(images, n);
 */

import { leadOf, logMean, logSoftmax, memberSlope, softmax } from "./network/answers.js";
import { Chain, makeLayers } from "./network/layers.js";

const FORMAT = 2;
const STEPS = 4; // pictures between blank paper and the image that a saliency map is averaged over

/**
 * @param {string|URL} url the folder that holds card.json and weights.bin
 * @returns {Promise<Model>}
 */
export async function loadModel(url) {
  const folder = new URL(`${url}`.replace(/\/?$/, "/"), globalThis.document?.baseURI ?? globalThis.location?.href);
  const card = await (await fetchGood(new URL("card.json", folder))).json();
  if (card.format !== FORMAT) throw new Error(`a model of format ${card.format}; expected ${FORMAT}`);
  const bytes = await (await fetchGood(new URL(card.weights.file, folder))).arrayBuffer();
  if (bytes.byteLength !== card.weights.bytes) {
    throw new Error(`the weights are ${bytes.byteLength} bytes; expected ${card.weights.bytes}`);
  }
  return new Model(card, readFloats(bytes));
}

async function fetchGood(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url} cannot be had (status ${answer.status})`);
  return answer;
}

/** Little-endian float32, whatever the machine is. */
function readFloats(bytes) {
  const view = new DataView(bytes);
  const numbers = new Float32Array(bytes.byteLength / 4);
  for (let i = 0; i < numbers.length; i++) numbers[i] = view.getFloat32(4 * i, true);
  return numbers;
}

export class Model {
  /** card: as in card.json. weights: all numbers of all its networks. */
  constructor(card, weights) {
    this.card = card;
    [this.height, this.width] = card.input.image_shape;
    this.classes = card.class_names.length;
    this.outputs = this.classes + (card.verdict.rejects ? 1 : 0);
    this.inputs = new Float32Array(this.height * this.width);
    const numbers = ([start, length]) => weights.subarray(start, start + length);
    const members = card.members.map((layers) => new Chain(makeLayers(layers, numbers)));
    /** Every network with every view: their probabilities are averaged. */
    this.voices = members.flatMap((network) => card.views.map((move) => ({ network, move })));
    this.judge = this.judge.bind(this); // handed on as a function of its own
  }

  /**
   * @param {Uint8Array} images n x height x width, one after another
   * @param {number} n
   * @returns {{probs: Float32Array, none: Float32Array}} n x classes, of each class; and n, of none of them
   */
  judge(images, n) {
    const size = this.height * this.width, { temperature } = this.card;
    const probs = new Float32Array(n * this.classes), none = new Float32Array(n);
    for (let i = 0; i < n; i++) {
      const outputs = this.#combine(this.#ask(images.subarray(i * size, (i + 1) * size)));
      probs.set(softmax(outputs.subarray(0, this.classes), temperature), i * this.classes);
      if (this.outputs > this.classes) none[i] = softmax(outputs, temperature)[this.classes];
    }
    return { probs, none };
  }

  /**
   * Which ink the answer rests on: the slope of the answer's lead over the runner-up, averaged on the way
   * from blank paper to the image, times the ink (integrated gradients, Sundararajan et al. 2017; as
   * `tenfold.explain`). Together the pixels make up the lead that the ink brought about.
   *
   * @param {Uint8Array} image height x width
   * @param {number} column a class, or the number of classes for "none of them"
   * @returns {Float32Array} height x width: above 0 the ink speaks for the answer, below 0 against it
   */
  saliency(image, column) {
    const paper = this.card.input.background === "light" ? 255 : 0;
    const lead = leadOf(this.#combine(this.#ask(image)), column);
    const total = new Float32Array(image.length);
    for (let step = 0; step < STEPS; step++) {
      const share = (step + 0.5) / STEPS;
      this.#addSlopes(Float32Array.from(image, (pixel) => paper + share * (pixel - paper)), lead, total);
    }
    return total.map((slope, i) => (slope * (image[i] - paper)) / (STEPS * 255 * this.card.input.std));
  }

  /** What each voice says of an image: Float64Arrays, columns as the classes are. */
  #ask(image) {
    return this.voices.map((voice) => this.#answer(voice, image));
  }

  #answer({ network, move }, image) {
    return shifted(network.forward(this.#scale(image, move)), this.card.label_shift);
  }

  #combine(answers) {
    return answers.length > 1 ? logMean(answers.map(logSoftmax)) : answers[0];
  }

  /** Adds to `total` how a weighted sum of the outputs changes with each scaled pixel. */
  #addSlopes(image, weights, total) {
    const answers = this.#ask(image), outputs = this.#combine(answers);
    this.voices.forEach((voice, i) => {
      if (answers.length > 1) this.#answer(voice, image); // another view overwrote what its network kept
      const own = answers.length > 1 ? memberSlope(weights, answers[i], outputs, answers.length) : weights;
      const back = voice.network.backward(Float32Array.from(shifted(own, -this.card.label_shift)));
      this.#eachPixel(voice.move, (to, from) => { total[from] += back[to]; });
    });
  }

  /** Pixels 0..255, moved, as the network takes them; black comes in at the edge. */
  #scale(image, move) {
    const { mean, std } = this.card.input;
    this.inputs.fill(-mean / std);
    this.#eachPixel(move, (to, from) => { this.inputs[to] = (image[from] / 255 - mean) / std; });
    return this.inputs;
  }

  /** visit(to, from) for every pixel that is still in the picture when it is moved down and right. */
  #eachPixel([down, right], visit) {
    const { height, width } = this;
    for (let y = Math.max(0, down); y < height + Math.min(0, down); y++) {
      for (let x = Math.max(0, right); x < width + Math.min(0, right); x++) {
        visit(y * width + x, (y - down) * width + x - right);
      }
    }
  }
}

/** Column c from column c + shift, round the end. */
function shifted(columns, shift) {
  const count = columns.length;
  return Float64Array.from(columns, (_, c) => columns[(((c + shift) % count) + count) % count]);
}
