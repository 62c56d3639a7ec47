// What makes an answer doubtful, in plain words, each with what to do about it: as in reader/troubles.py.

import { strokeWidth } from "./frame.js";
import { median, quantile, roundEven } from "./numbers.js";
import { crop } from "./plane.js";
import { BOX, resize, toGrey } from "./resize.js";
import { largest } from "./strength.js";

const ONE_COLOUR = 8; // levels of 0..255: a picture that spans no more shows nothing at all
const FAINT = 0.13; // contrast: a third of a grey pencil's on white paper
const SMALL = 12; // pixels of the original: a digit less tall has too little shape left
const BLUR = 0.12; // of a digit's size: softer edges close its loops
const LOOK = 80; // pixels: a digit is looked at for blur no larger than this
const FULL = 0.5; // strength: half ink or more
const MEETS = 0.7; // of the stroke's width: a round end that just touches the edge is not cut off

/** What makes the answer on a whole picture doubtful, and its remedy; [] for a good picture. */
export function findTroubles(picture, ink, digits) {
  if (!digits.length) return [whyNothing(picture, ink)];
  // Blur takes contrast away, too.
  const blurred = median(digits.map((digit) => softness(picture, ink, digit))) > BLUR;
  return [
    blurred ? "blurred: hold the camera still and let it focus" : faint(ink),
    small(picture, digits),
    cutOff(picture, ink, digits),
    refused(digits),
  ].filter(Boolean);
}

function whyNothing({ data, width }, ink) {
  if (!ink.blank) return "nothing found: only lines or edges; leave free room around the digits";
  const [low, high] = [[255, 255, 255], [0, 0, 0]];
  for (let i = 0; i < data.length; i++) {
    const [x, y, c] = [(i >> 2) % width, Math.floor((i >> 2) / width), i % 4];
    if (x % 2 || y % 2 || c === 3) continue;
    low[c] = Math.min(low[c], data[i]);
    high[c] = Math.max(high[c], data[i]);
  }
  const blank = high.every((value, c) => value - low[c] <= ONE_COLOUR);
  if (blank) return "nothing found: the picture is blank";
  return "nothing found: the paper is blank or its ink too pale; use a darker pen or more light";
}

function faint({ contrast }) {
  if (contrast >= FAINT) return "";
  return `faint ink (${roundEven(100 * contrast)} % of full contrast): use a darker pen or more light`;
}

function small({ size }, digits) {
  const tallest = Math.max(...digits.map(sizeOf));
  if (tallest >= SMALL) return "";
  const remedy = Math.max(...size) > 60 ? "take the picture from nearer" : "draw it larger";
  return `very small writing (${tallest} pixels tall): ${remedy}`;
}

function cutOff(picture, ink, digits) {
  const sides = [...new Set(digits.flatMap((digit) => cutSides(picture, ink, digit)))].sort();
  if (!sides.length) return "";
  return `ink runs into the ${sides.join(" and ")} edge: if it is cut off, leave room around it`;
}

function refused(digits) {
  const count = digits.filter(({ verdict }) => verdict === "not a digit").length;
  if (digits.length < 3 || 2 * count < digits.length) return "";
  return `${count} of ${digits.length} marks are no digits: cut the picture to the digits`;
}

/** The longer side, in pixels of the original: a lying stroke is not small. */
function sizeOf({ box }) {
  return Math.max(box[3] - box[1], box[2] - box[0]);
}

/** The digit's box in the ink. */
function cropBox({ scale }, { strength }, { box }) {
  const [x0, y0, x1, y1] = box.map((edge) => roundEven(edge / scale));
  return [Math.max(0, x0), Math.max(0, y0), Math.min(strength.width, x1), Math.min(strength.height, y1)];
}

/**
 * The sides of the picture that a stroke of the digit meets in (nearly) its whole width. None where ink
 * touches three sides or more: that picture was trimmed to its ink.
 */
function cutSides(picture, { strength }, digit) {
  const { width, height } = strength;
  const edges = (x0, y0, x1, y1) => ({
    bottom: y1 === height && line(strength, x0, height - 1, x1, height),
    left: x0 === 0 && line(strength, 0, y0, 1, y1),
    right: x1 === width && line(strength, width - 1, y0, width, y1),
    top: y0 === 0 && line(strength, x0, 0, x1, 1),
  });
  const isInked = ([, values]) => values && largest(values) > FULL;
  const inked = (...box) => Object.entries(edges(...box)).filter(isInked);
  const box = cropBox(picture, { strength }, digit);
  const met = inked(...box);
  if (!met.length || inked(0, 0, width, height).length > 2) return [];
  const least = MEETS * strokeWidth(crop(strength, ...box));
  return met.filter(([, values]) => total(values) >= least).map(([side]) => side);
}

const line = (strength, ...box) => crop(strength, ...box).data;
const total = (values) => values.reduce((a, b) => a + b, 0);

/**
 * How wide the edges in the picture are around a digit, as a share of the digit's size: an edge that is
 * climbed at this steepness from dark to light is span / gradient pixels wide.
 */
function softness(picture, ink, digit) {
  const [x0, y0, x1, y1] = cropBox(picture, ink, digit);
  const size = Math.max(y1 - y0, x1 - x0);
  const room = Math.floor(size / 8);
  const [right, bottom] = [Math.min(picture.width, x1 + room), Math.min(picture.height, y1 + room)];
  const around = crop(picture, Math.max(0, x0 - room), Math.max(0, y0 - room), right, bottom);
  if (Math.min(around.width, around.height) < 3) return 0;
  const grey = thumbnail(toGrey(around), LOOK); // grain is no edge
  if (Math.min(grey.width, grey.height) < 3) return 0;
  const steep = steepness(grey).sort();
  const steepest = steep.subarray(-Math.max(1, Math.floor(steep.length / 100)));
  const levels = Float32Array.from(grey.data).sort();
  const reach = quantile(levels, 0.98) - quantile(levels, 0.02);
  const enlarged = Math.max(around.width, around.height) / Math.max(grey.width, grey.height);
  return ((reach / Math.max(total(steepest) / steepest.length, 1e-6)) * enlarged) / size;
}

/** No larger than `side` each way, the proportions kept: Pillow's. */
function thumbnail(picture, side) {
  const { width, height } = picture;
  if (side >= width && side >= height) return picture;
  const aspect = width / height;
  const nearest = (size, error) => {
    const [low, high] = [Math.floor(size), Math.ceil(size)];
    return Math.max(error(high) < error(low) ? high : low, 1);
  };
  const across = aspect > 1 ? side : nearest(side * aspect, (n) => Math.abs(aspect - n / side));
  const down = aspect > 1 ? nearest(side / aspect, (n) => (n ? Math.abs(aspect - side / n) : 0)) : side;
  return resize(picture, across, down, BOX, 2);
}

/** Size of the gradient at each pixel: central differences, one-sided at the edges. */
function steepness({ data, width, height }) {
  const slope = (i, step, place, count) => {
    const [before, after] = [place > 0 ? step : 0, place + 1 < count ? step : 0];
    return ((data[i + after] - data[i - before]) * step) / (before + after);
  };
  const steep = new Float32Array(width * height);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      steep[i] = Math.hypot(slope(i, width, y, height), slope(i, 1, x, width));
    }
  }
  return steep;
}
