/**
 * What happens inside the line reader: every layer's outputs, what a unit of one looks at, the scores before and
 * after the softmax, and the smallest change of ink that turns a character into another.
 */

import { decode } from "./decode.js";
import { HEIGHT } from "./ink/strip.js";
import { softmax } from "./network/answers.js";

const UNIT = 8; // a strip's width is a multiple of it
const ROUNDS = 30; // steps of a change at most
const STEP = 0.6; // of what would turn the character to first order: a strip is far from flat
const MARGIN = 1; // logits by which the wanted character shall lead
const NEAR = 3; // columns on each side in which the old character must vanish, too

/** {text, places, layers: [{kind, height, width, channels}]} of a strip {data, width}. */
export function look(strip, model) {
  const layers = model.layersOf(strip).map(({ kind, height, width, channels }) => ({ kind, height, width, channels }));
  const { text, places } = decode(model.logs(strip), model.card.characters);
  return { text, places, layers, characters: model.card.characters };
}

/** The outputs of one layer, channel by channel: {height, width, maps: [Float32Array]}. */
export function mapsOf(strip, model, layer) {
  const { data, height, width, channels } = model.layersOf(strip)[layer];
  const maps = Array.from({ length: channels }, (_, channel) => {
    return Float32Array.from({ length: height * width }, (__, i) => data[i * channels + channel]);
  });
  return { height, width, maps };
}

/**
 * Where a unit, one channel of a layer, answers most, and how each pixel of the strip moves that answer:
 * {row, column, value, slope: Float32Array as the strip, weights: {height, width, values} or null}.
 */
export function unitOf(strip, model, layer, channel) {
  const { data, width, channels } = model.layersOf(strip)[layer], wanted = new Float32Array(data.length);
  let best = channel;
  for (let i = channel; i < data.length; i += channels) if (data[i] > data[best]) best = i;
  wanted[best] = 1;
  const slope = model.slopeOf(layer, wanted), place = Math.floor(best / channels);
  return { row: Math.floor(place / width), column: place % width, value: data[best], slope, weights: kernelOf(model, layer, channel) };
}

/** A unit's weights as pixels, of the first convolution alone: further ones weigh channels, not pixels. */
function kernelOf(model, layer, channel) {
  const specs = model.card.members[0], first = specs.findIndex(({ kind }) => kind === "conv");
  if (layer !== first && !(layer === first + 1 && specs[layer].kind === "relu")) return null;
  const { kernel: [rows, columns], outputs } = specs[first], block = specs[0].kind === "pixel-unshuffle" ? specs[0].kernel[0] : 1;
  const values = model.numbersOf(first).weight, size = values.length / outputs, inputs = size / (rows * columns);
  const [height, width] = [rows * block, columns * block], picture = new Float32Array(height * width);
  for (let i = 0; i < size; i++) {
    const input = i % inputs, at = Math.floor(i / inputs), [row, column] = [Math.floor(at / columns), at % columns];
    picture[(row * block + Math.floor(input / block)) * width + column * block + (input % block)] = values[channel * size + i];
  }
  return { height, width, values: picture };
}

/** Logits and probabilities of the characters in a column: [{character, logit, probability}], the likeliest first. */
export function scoresAt(strip, model, column) {
  const { data, channels } = model.layersOf(strip).at(-1), { characters, temperature } = model.card;
  const row = Array.from(data.subarray(column * channels, (column + 1) * channels));
  const probs = softmax(row.map((logit) => logit / temperature));
  const names = [...characters, "blank"];
  return names.map((character, i) => ({ character, logit: row[i], probability: probs[i] })).sort((one, other) => other.probability - one.probability);
}

/**
 * The smallest change, to first order and in Euclidean norm, that turns a character of a line into another:
 * small steps along the gradient of the lead (as DeepFool, Moosavi-Dezfooli et al. 2016), until the line is read so.
 * number: of the character in the text. Gives {data: the strip's new pixels, text, reached, change: mean grey levels}.
 */
export function turn(strip, model, number, wanted) {
  const { characters } = model.card, blank = characters.length, to = characters.indexOf(wanted);
  const { text, places } = decode(model.logs(strip), characters);
  const place = places[number];
  const aim = text.slice(0, number) + wanted + text.slice(number + 1), from = characters.indexOf(text[number]);
  const pixels = Float32Array.from(strip.data), changed = { ...strip, data: pixels };
  let found = { text };
  for (let round = 0; round < ROUNDS; round++) {
    const { data, channels } = model.layersOf(changed).at(-1), weights = new Float32Array(data.length);
    found = decode(model.toLogs(data, channels), characters);
    if (found.text === aim) break;
    const at = (column, character) => column * channels + character;
    let rival = blank;
    for (let i = 0; i < channels; i++) if (i !== to && data[at(place, i)] > data[at(place, rival)]) rival = i;
    let lead = Math.max(data[at(place, rival)] - data[at(place, to)] + MARGIN, MARGIN / 2);
    weights[at(place, to)] += 1;
    weights[at(place, rival)] -= 1;
    for (let column = Math.max(0, place - NEAR); column <= Math.min(place + NEAR, data.length / channels - 1); column++) {
      const over = data[at(column, from)] - data[at(column, blank)];
      if (column === place || from === to || over <= 0) continue;
      weights[at(column, blank)] += 1;
      weights[at(column, from)] -= 1;
      lead += over;
    }
    const slope = model.slopeOf(model.members[0].layers.length - 1, weights);
    const length = slope.reduce((sum, value) => sum + value * value, 1e-12);
    for (let i = 0; i < pixels.length; i++) pixels[i] = Math.min(255, Math.max(0, pixels[i] + (STEP * lead * slope[i]) / length));
  }
  const change = pixels.reduce((sum, value, i) => sum + Math.abs(value - strip.data[i]), 0) / (HEIGHT * UNIT);
  return { data: pixels, text: found.text, reached: found.text === aim, change };
}
