// Ink from paper under uneven light: a photo. The paper is what remains when everything narrower than a
// window is taken away: a grey closing under dark ink; light ink is lifted from the negative.

import { closing, dilate, gaussian, uniform } from "./filters.js";
import { strokeWidth } from "./frame.js";
import { clip, median, quantile, roundEven } from "./numbers.js";
import { crop, makePlane } from "./plane.js";
import { labelRegions } from "./regions.js";
import { BILINEAR, reduceBytes, resize } from "./resize.js";
import { removeRuling } from "./ruling.js";
import { alongInkColour, makeInk } from "./strength.js";

const { fround } = Math;
const LOW = 0.3; // of full ink: what belongs to a mark
const HIGH = fround(0.6); // and what a mark must somewhere reach
const WINDOWS = [0.08, 0.2]; // of the picture's side: wider than a stroke; the second for markers
const THICK = 0.6; // of the window: strokes as thick as that may be taken for paper where they meet
const SURROUNDINGS = 0.3; // of the picture's side: what a pixel is compared with to tell light ink from dark
const LEAST_NEGATIVE = 100; // of 255: how dark a board must be for chalk to be measured against it
const PAPER_SIDE = 300; // pixels: the paper is found on a picture reduced to about this side
const FULL_OF_INK = 2.5; // times the usual grain: a tile that seems coarser is full of ink
const MARGIN = 0.12; // of a side: what lies beside the sheet reaches no deeper into the picture
const ALONG = 0.25; // of a side: and runs at least so far along its edge

const odd = (size) => Math.trunc(size) | 1;

/** What `openPicture` gives -> its ink; a wider window where a stroke may fill the narrow one. */
export function liftFromUneven(picture) {
  const side = Math.sqrt(picture.width * picture.height);
  const reduced = planes(reduceBytes(picture, Math.max(1, roundEven(side / PAPER_SIDE))));
  const light = isLightInk(reduced);
  const turn = (all) => (light ? all.map(negative) : all);
  const small = turn(reduced);
  const sigma = clip(side * 0.0015, 0.4, 1.5);
  const smooth = turn(planes(picture)).map((plane) => gaussian(plane, sigma));
  let ink;
  for (const window of WINDOWS) {
    ink = lift(smooth, small, window, light);
    if (!ink.blank && strokeWidth(ink.strength) < THICK * window * side) break;
  }
  return ink;
}

function planes({ data, width, height, channels }) {
  return [0, 1, 2].map((c) => {
    const plane = makePlane(width, height);
    for (let i = 0; i < plane.data.length; i++) plane.data[i] = data[i * channels + c];
    return plane;
  });
}

function negative({ data, width, height }) {
  return makePlane(width, height, data.map((value) => 255 - value));
}

/** Ink darker than its paper; `light`: these are negatives. */
function lift(smooth, small, window, light) {
  const darkest = light ? LEAST_NEGATIVE : 1;
  const paper = findPaper(small, window);
  const { width, height } = smooth[0];
  const departure = smooth.map((plane, c) => depart(plane, paper[c], darkest));
  const beside = findBeside(small, paper, darkest);
  if (beside) blank(departure, resize(beside, width, height, BILINEAR).data);
  const noise = grain(departure, width, height);
  const { part, contrast } = alongInkColour(departure, noise);
  const least = Math.max(LOW, (3 * noise) / Math.max(contrast, 1e-6));
  const strength = removeRuling(makePlane(width, height, part), least);
  return makeInk(hysteresis(strength, least), contrast, light, false);
}

function depart({ data, width, height }, paper, darkest) {
  const level = resize(paper, width, height, BILINEAR).data;
  const departure = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) {
    departure[i] = 1 - fround(data[i] / Math.max(level[i], darkest));
  }
  const middle = median(everyNth(departure, width, height, 3));
  for (let i = 0; i < departure.length; i++) departure[i] -= middle;
  return departure;
}

function everyNth(data, width, height, step) {
  const taken = new Float32Array(Math.ceil(width / step) * Math.ceil(height / step));
  for (let y = 0, i = 0; y < height; y += step) {
    for (let x = 0; x < width; x += step) taken[i++] = data[y * width + x];
  }
  return taken;
}

function blank(departure, where) {
  for (let i = 0; i < where.length; i++) if (where[i] > 0) for (const plane of departure) plane[i] = 0;
}

/** The skewness of grey against its surroundings tells: ink is the smaller part, and departs far. */
function isLightInk(small) {
  const { width, height } = small[0];
  const grey = makePlane(width, height);
  for (let i = 0; i < grey.data.length; i++) {
    grey.data[i] = (small[0].data[i] + small[1].data[i] + small[2].data[i]) / 3;
  }
  const around = uniform(grey, odd(SURROUNDINGS * Math.sqrt(width * height))).data;
  const [left, top] = [width >> 3, height >> 3]; // the outermost eighth may lie beside the sheet
  let skew = 0;
  for (let y = top; y < height - top; y++) {
    for (let i = y * width + left; i < (y + 1) * width - left; i++) skew += (grey.data[i] - around[i]) ** 3;
  }
  return skew > 0;
}

function findPaper(small, window) {
  const size = odd(Math.max(5, window * Math.sqrt(small[0].width * small[0].height)));
  return small.map((plane) => uniform(closing(plane, size), odd(Math.trunc(size / 3))));
}

/** Plane of 0 and 1, or null: dark strips and wedges along the picture's edges, where the sheet has ended. */
function findBeside(small, paper, least) {
  const { width, height } = small[0];
  const mask = new Uint8Array(width * height);
  small.forEach(({ data }, c) => {
    for (let i = 0; i < mask.length; i++) {
      const dark = fround(1 - fround(data[i] / Math.max(paper[c].data[i], least)));
      if (dark > fround(0.15)) mask[i] = 1;
    }
  });
  let beside = new Uint8Array(mask.length);
  addStrip(mask, beside, height, width, (depth, along) => depth * width + along);
  addStrip(mask, beside, height, width, (depth, along) => (height - 1 - depth) * width + along);
  addStrip(mask, beside, width, height, (depth, along) => along * width + depth);
  addStrip(mask, beside, width, height, (depth, along) => along * width + width - 1 - depth);
  if (!beside.includes(1)) return null;
  for (let times = 0; times < 2; times++) beside = dilate(beside, width, height, false);
  return makePlane(width, height, Float32Array.from(beside));
}

/** place(depth, along): where a pixel lies that is so deep below an edge, and so far along it. */
function addStrip(mask, beside, deepest, length, place) {
  const depth = Math.min(deepest, Math.max(2, roundEven(MARGIN * deepest)));
  const edge = makePlane(length, depth);
  for (let i = 0; i < edge.data.length; i++) edge.data[i] = mask[place(Math.floor(i / length), i % length)];
  const { labels, count } = labelRegions(edge, 0, false);
  const along = new Int32Array(count + 1);
  const deeper = new Int32Array(count + 1);
  for (let i = 0; i < length; i++) {
    along[labels[i]]++;
    deeper[labels[(depth - 1) * length + i]]++;
  }
  labels.forEach((label, i) => {
    if (!label || along[label] < ALONG * length || deeper[label] > 0.3 * along[label]) return;
    beside[place(Math.floor(i / length), i % length)] = 1;
  });
}

/** Standard deviation of the paper's grain, from the median deviation, where it is coarsest. */
function grain(departure, width, height) {
  const [columns, rows] = [(width + 1) >> 1, (height + 1) >> 1];
  const size = (data) => everyNth(data, width, height, 2).map(Math.abs);
  const planes = departure.map((data) => makePlane(columns, rows, size(data)));
  const grains = [];
  for (let tile = 0; tile < 36; tile++) {
    const [top, bottom] = sixth(rows, Math.floor(tile / 6));
    const [left, right] = sixth(columns, tile % 6);
    const parts = planes.map((plane) => crop(plane, left, top, right, bottom).data);
    const all = new Float32Array(3 * parts[0].length);
    parts.forEach((part, c) => all.set(part, c * part.length));
    if (all.length) grains.push(median(all));
  }
  const sorted = Float32Array.from(grains).sort();
  return 1.4826 * Math.min(fround(quantile(sorted, 0.9)), fround(FULL_OF_INK * median(sorted)));
}

/** [start, end] of one of six parts, the first ones longer by one where they cannot be equal. */
function sixth(length, part) {
  const start = (number) => number * Math.floor(length / 6) + Math.min(number, length % 6);
  return [start(part), start(part + 1)];
}

/** Marks stronger than `least` that somewhere reach HIGH; soft edges kept. */
function hysteresis({ data, width, height }, least) {
  const { labels, count } = labelRegions({ data, width, height }, fround(least));
  const kept = new Uint8Array(count + 1);
  for (let i = 0; i < data.length; i++) if (data[i] >= HIGH) kept[labels[i]] = 1;
  kept[0] = 0;
  for (let i = 0; i < data.length; i++) labels[i] = kept[labels[i]];
  const near = dilate(labels, width, height, true);
  const soft = makePlane(width, height);
  for (let i = 0; i < data.length; i++) {
    if (near[i]) soft.data[i] = clip(fround(data[i] - fround(0.2)) / fround(0.6), 0, 1);
  }
  return soft;
}
