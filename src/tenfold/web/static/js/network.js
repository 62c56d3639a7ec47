/**
 * A trained network in plain JavaScript: what `tenfold export --to web` writes, loaded and asked.
 *
 *     const model = await loadModel("model/");
 *     const { probs, none } = model.judge(images, n);
 */

import { PAPER } from "./ink/strip.js";
import { leadOf, logMean, logSoftmax, memberSlope, softmax } from "./network/answers.js";
import { Chain, makeLayers, prepareLayers } from "./network/layers.js";

const FORMAT = 3;

/**
 * @param {string|URL} url the folder that holds card.json and weights.bin
 * @returns {Promise<Model|LineModel>} a LineModel of a line reader
 */
export async function loadModel(url) {
  const folder = new URL(`${url}`.replace(/\/?$/, "/"), globalThis.document?.baseURI ?? globalThis.location?.href);
  const card = await (await fetchGood(new URL("card.json", folder))).json();
  if (card.format !== FORMAT) throw new Error(`a model of format ${card.format}; expected ${FORMAT}`);
  const bytes = await (await fetchGood(new URL(card.weights.file, folder))).arrayBuffer();
  if (bytes.byteLength !== card.weights.bytes) {
    throw new Error(`the weights are ${bytes.byteLength} bytes; expected ${card.weights.bytes}`);
  }
  const weights = readFloats(bytes);
  if (!weights.every(Number.isFinite)) throw new Error("the weights hold NaN or infinite numbers; expected finite ones");
  await prepareLayers(card.members[0]);
  return new (card.characters ? LineModel : Model)(card, weights);
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

class Network {
  /** card: as in card.json. weights: all numbers of all its networks. */
  constructor(card, weights) {
    this.card = card;
    const numbers = ([start, length]) => weights.subarray(start, start + length);
    this.numbers = numbers;
    this.members = card.members.map((layers) => new Chain(makeLayers(layers, numbers)));
  }

  /** The weight of a layer of the first network. */
  numbersOf(layer) {
    return { weight: this.numbers(this.card.members[0][layer].weight) };
  }

  /** Pixels 0..255 as the network takes them. */
  scale(pixels, width) {
    const { mean, std } = this.card.input;
    const data = new Float32Array(pixels).map((pixel) => (pixel / 255 - mean) / std);
    return { data, width, height: data.length / width, channels: 1 };
  }
}

/** Reads the strip of a line, {data: bytes, width, height}, of any width that is a multiple of 8. */
export class LineModel extends Network {
  /** Log-probabilities of each column of the strip: Float32Arrays of a number per character, the blank's last. */
  logs(strip) {
    const { data, channels } = this.members[0].forward(this.scale(strip.data, strip.width));
    return this.toLogs(data, channels);
  }

  /** Of the logits, row by row. */
  toLogs(data, channels) {
    const { temperature } = this.card;
    return Array.from({ length: data.length / channels }, (_, place) => {
      const row = data.subarray(place * channels, (place + 1) * channels);
      return logSoftmax(row.map((logit) => logit / temperature));
    });
  }

  /** What each layer gives for a strip: [{kind, data, height, width, channels}], the logits last. */
  layersOf(strip) {
    let values = this.scale(strip.data, strip.width);
    return this.members[0].layers.map((layer, i) => {
      values = layer.forward(values);
      return { ...values, kind: this.card.members[0][i].kind };
    });
  }

  /** The gradient of a weighted sum of a layer's outputs with respect to the strip's pixels, after `layersOf`. */
  slopeOf(layer, weights) {
    const before = this.members[0].layers.slice(0, layer + 1);
    const back = before.reduceRight((gradient, each) => each.backward(gradient), weights);
    return back.map((gradient) => gradient / (255 * this.card.input.std));
  }

  /**
   * What each pixel adds to the lead of an output, `column`, over the next likeliest at a place of the strip, to
   * first order: the gradient times how far the pixel is from paper. Float32Array, as the strip.
   */
  saliency(strip, place, column) {
    const [network] = this.members;
    const { data, channels } = network.forward(this.scale(strip.data, strip.width));
    const wanted = new Float32Array(data.length), start = place * channels;
    wanted.set(leadOf(data.subarray(start, start + channels - 1), column), start); // all but the blank
    const gradients = network.backward(wanted);
    return gradients.map((gradient, i) => (gradient * (strip.data[i] - PAPER)) / (255 * this.card.input.std));
  }
}

/** Classifies images. */
export class Model extends Network {
  constructor(card, weights) {
    super(card, weights);
    [this.height, this.width] = card.input.image_shape;
    this.classes = card.class_names.length;
    this.rejects = card.verdict.rejects;
    /** Every network with every view: their probabilities are averaged. */
    this.voices = this.members.flatMap((network) => card.views.map((move) => ({ network, move })));
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
      if (this.rejects) none[i] = softmax(outputs, temperature)[this.classes];
    }
    return { probs, none };
  }

  /**
   * What each pixel's ink adds to the lead of an answer over the runner-up, to first order: the gradient times the
   * ink, as Python's `gradient_saliency`.
   *
   * @param {Uint8Array} image height x width
   * @param {number} column a class, or the number of classes for "none of them"
   * @returns {Float32Array} height x width: above 0 the ink supports the answer, below 0 it contradicts it
   */
  saliency(image, column) {
    const { input, label_shift: shift } = this.card;
    const paper = input.background === "light" ? 255 : 0;
    const answers = this.#ask(image), outputs = this.#combine(answers), lead = leadOf(outputs, column);
    const total = new Float32Array(image.length);
    this.voices.forEach((voice, i) => {
      if (answers.length > 1) this.#answer(voice, image); // another view overwrote what its network kept
      const own = answers.length > 1 ? memberSlope(lead, answers[i], outputs, answers.length) : lead;
      const back = voice.network.backward(Float32Array.from(shifted(own, -shift)));
      this.#eachPixel(voice.move, (to, from) => { total[from] += back[to]; });
    });
    return total.map((gradient, i) => (gradient * (image[i] - paper)) / (255 * input.std));
  }

  /** What each voice says of an image: Float64Arrays, columns as the classes are. */
  #ask(image) {
    return this.voices.map((voice) => this.#answer(voice, image));
  }

  /** Of the image moved; black comes in at the edge. */
  #answer({ network, move }, image) {
    const seen = new Uint8Array(image.length);
    this.#eachPixel(move, (to, from) => { seen[to] = image[from]; });
    return shifted(network.forward(this.scale(seen, this.width)).data, this.card.label_shift);
  }

  #combine(answers) {
    return answers.length > 1 ? logMean(answers.map(logSoftmax)) : answers[0];
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
