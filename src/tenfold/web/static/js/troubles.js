// What makes an answer doubtful, in plain words, each with what to do about it: as in reader/reading.py.

import { countValues, median, roundEven, valueAt } from "./ink/numbers.js";
import { crop } from "./ink/plane.js";

const ONE_COLOUR = 8; // levels of 0..255: a picture that spans no more shows nothing at all
const FAINT = 33; // levels between paper and ink: a third of a grey pencil's
const SMALL = 10; // pixels of the original: a line less high has too little shape left
const BLUR = 0.25; // of a line's height: edges softer than this close loops
const MOST_STEEP = 8 * 255 * 255; // of four times the square of a gradient

/** Of a whole picture; [] for a good one. grey: {data, width, height}. picture: of openPicture. */
export function findTroubles(grey, picture, lines) {
  const written = lines.filter(({ characters }) => characters.length);
  if (!written.length) return [whyNothing(grey, lines)];
  return [contrast(grey, written, picture.scale), small(picture, written)].filter(Boolean);
}

function whyNothing({ data }, lines) {
  if (lines.some(({ textOnly }) => textOnly)) return "no number: text or a drawing";
  const counts = countValues(data);
  const span = valueAt(counts, data.length - 1) - valueAt(counts, 0);
  if (span <= ONE_COLOUR) return "nothing found: the picture is blank";
  return "nothing found: no number stands here, or its ink is too pale";
}

/** Blurred or faint, whichever the middle one of the lines is. */
function contrast(grey, lines, scale) {
  const edges = lines.map(({ box }) => edgesOf(cropLine(grey, box, scale)));
  if (median(edges.map(({ soft }) => soft)) > BLUR) return "blurred: hold the camera still and let it focus";
  const span = median(edges.map((edge) => edge.span));
  if (span >= FAINT) return "";
  return `faint ink (${roundEven((100 * span) / 255)} % of full contrast): use a darker pen or more light`;
}

function cropLine(grey, box, scale) {
  const [x0, y0, x1, y1] = box.map((edge) => roundEven(edge / scale));
  return crop(grey, x0, y0, Math.min(grey.width, Math.max(x1, x0 + 3)), Math.min(grey.height, Math.max(y1, y0 + 3)));
}

/**
 * span: levels from paper to ink. soft: how wide the edges between them are, as a share of the height: an
 * edge that is climbed at its steepest from dark to light is span / gradient pixels wide. The gradient is the
 * one that as many pixels exceed as the line is high: those of one stroke.
 */
function edgesOf({ data, width, height }) {
  if (Math.min(width, height) < 3) return { span: 255, soft: 0 };
  const span = quantile(countValues(data), data.length, 0.99) - quantile(countValues(data), data.length, 0.01);
  const steep = countValues(steepness(data, width, height), MOST_STEEP);
  const steepest = Math.sqrt(valueAt(steep, data.length - height)) / 2;
  return { span, soft: span / Math.max(steepest, 1e-6) / height };
}

/** Linear between the two nearest of the `count` values that are counted. */
function quantile(counts, count, share) {
  const place = share * (count - 1), low = Math.floor(place);
  const [below, above] = [low, Math.min(low + 1, count - 1)].map((at) => valueAt(counts, at));
  return below + (above - below) * (place - low);
}

/** Four times the squared gradient at each pixel: central differences, one-sided at the edges. */
function steepness(data, width, height) {
  const twice = (i, step, place, count) => {
    if (place === 0) return 2 * (data[i + step] - data[i]);
    return place + 1 === count ? 2 * (data[i] - data[i - step]) : data[i + step] - data[i - step];
  };
  const steep = new Int32Array(data.length);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) steep[i] = twice(i, width, y, height) ** 2 + twice(i, 1, x, width) ** 2;
  }
  return steep;
}

function small({ size }, lines) {
  const tallest = Math.max(...lines.map(({ box }) => box[3] - box[1]));
  if (tallest >= SMALL) return "";
  const remedy = Math.max(...size) > 60 ? "take the picture from nearer" : "draw it larger";
  return `very small writing (${tallest} pixels tall): ${remedy}`;
}
