// A grey picture -> the boxes of its lines of writing, from the top, as in pictures/lines.py.

import { countValues, valueAt } from "./numbers.js";
import { findBoxes, labelRegions } from "./regions.js";
import { reduceBytes } from "./resize.js";

const LONGEST = 800; // pixels: larger pictures are reduced before lines are looked for
const WINDOW = 4; // the closing's window is the picture's mean side divided by this: wider than a stroke
const SURROUNDINGS = 3; // likewise, the window that tells light ink from dark
const LEAST_DEPARTURE = 14; // grey levels of full ink: less is nothing
const LEAST_RATIO = 4; // full ink stands out from the median departure, the paper's grain, by this factor
const [EDGE_PART, EDGE_WHOLE] = [3, 10]; // ink begins at 3/10 of full ink
const MOST_REGIONS = 600;
const LONG = 8; // times as long as thick: a rule
const SPECK = 8; // a piece smaller than the largest one divided by this is a speck
const DOT = 70; // per cent of its box that a dot fills
const MARGIN = 4; // around a line, its height divided by this

/** Bytes {data, width, height} -> [x0, y0, x1, y1] of each line, with a margin; null where there are only dots. */
export function findLines(grey) {
  const { factor, labels, kept, pieces } = findWriting(grey);
  const counts = new Map(kept.map((label) => [label, 0]));
  for (const label of labels) if (counts.has(label)) counts.set(label, counts.get(label) + 1);
  if (pieces.length && pieces.every((box, i) => isDot(box, counts.get(kept[i])))) return null;
  const { width, height } = grey;
  return joinLines(pieces).map(([x0, y0, x1, y1]) => {
    const margin = Math.floor((y1 - y0) / MARGIN) + 2;
    const [left, top, right, bottom] = [x0 - margin, y0 - margin, x1 + margin, y1 + margin].map((edge) => edge * factor);
    return [Math.max(0, left), Math.max(0, top), Math.min(width, right), Math.min(height, bottom)];
  });
}

/**
 * levels: how far each pixel is from its paper, in a picture of width x height; full: of full ink; factor:
 * picture pixels per pixel here; labels of the regions in it; kept: the labels that are pieces of writing;
 * pieces: their boxes.
 */
export function findWriting(grey) {
  const departure = measureDeparture(grey);
  const { levels, full, width, height } = departure;
  const grain = valueAt(countValues(levels), levels.length >> 1);
  const least = full < Math.max(LEAST_DEPARTURE, LEAST_RATIO * grain) ? Infinity : Math.floor((full * EDGE_PART) / EDGE_WHOLE);
  const { labels, count } = labelRegions(departure.levels, width, height, least);
  const boxes = findBoxes(labels, width, height, count).map((box, i) => ({ box, label: i + 1 }));
  boxes.sort((one, other) => sizeOf(other.box) - sizeOf(one.box));
  let kept = boxes.slice(0, MOST_REGIONS).filter(({ box }) => !isRule(box, width, height));
  kept = kept.filter(({ box }) => sizeOf(box) * SPECK > sizeOf(kept[0].box));
  return { ...departure, levels, labels, kept: kept.map(({ label }) => label), pieces: kept.map(({ box }) => box) };
}

/** About as wide as high, and full: a disc fills 0.79 of the square around it. */
function isDot([x0, y0, x1, y1], count) {
  const wide = x1 - x0, high = y1 - y0;
  return 10 * Math.min(wide, high) >= 7 * Math.max(wide, high) && 100 * count >= DOT * wide * high;
}

function measureDeparture(grey) {
  const factor = Math.ceil(Math.max(grey.width, grey.height) / LONGEST);
  const { data, width, height } = reduceBytes(grey, factor);
  const sign = isLightInk(data, width, height) ? -1 : 1; // as if the ink were dark
  const window = odd(Math.max(5, Math.floor((width + height) / 2 / WINDOW)));
  const small = new Int16Array(data).map((value) => sign * value);
  const spread = largestAround(small, width, height, window).map((value) => -value);
  const closed = largestAround(spread, width, height, window); // the paper's levels, negative
  const levels = closed.map((value, i) => -value - small[i]);
  return { levels, full: fullInk(levels), width, height, factor };
}

const odd = (value) => value | 1;

/** Ink is the smaller part and departs far: the third moment of grey against its surroundings. */
function isLightInk(data, width, height) {
  const half = odd(Math.max(3, Math.floor((width + height) / 2 / SURROUNDINGS))) >> 1;
  const sums = sumsTo(data, width, height);
  const [left, top] = [width >> 3, height >> 3];
  let total = 0;
  for (let y = top; y < height - top; y++) {
    const [above, below] = [Math.max(y - half, 0), Math.min(y + half + 1, height)].map((row) => row * (width + 1));
    for (let x = left; x < width - left; x++) {
      const [low, high] = [Math.max(x - half, 0), Math.min(x + half + 1, width)];
      const sum = sums[below + high] - sums[below + low] - sums[above + high] + sums[above + low];
      const count = ((below - above) / (width + 1)) * (high - low);
      const away = data[y * width + x] - Math.floor(sum / count);
      total += away * away * away;
    }
  }
  return total > 0;
}

/** Sums of all above and left of each corner, (width + 1) x (height + 1). */
function sumsTo(data, width, height) {
  const sums = new Int32Array((width + 1) * (height + 1));
  for (let y = 1, i = width + 1; y <= height; y++) {
    let row = 0;
    i++;
    for (let x = 0; x < width; x++, i++) {
      row += data[(y - 1) * width + x];
      sums[i] = sums[i - width - 1] + row;
    }
  }
  return sums;
}

/** The maximum of an odd window around each pixel, cut at the edges: along the rows, then the columns. */
function largestAround(values, width, height, window) {
  const down = transposed(largestInColumns(values, width, height, window), width, height);
  return transposed(largestInColumns(down, height, width, window), height, width);
}

/** By running maxima of blocks of `window` rows (van Herk 1992). */
function largestInColumns(values, width, height, window) {
  const rows = height + window - 1;
  const before = new Int16Array(rows * width).fill(-32768);
  before.set(values, (window >> 1) * width);
  const after = before.slice();
  for (let row = 1; row < rows; row++) if (row % window) raise(before, row * width, -width, before, width);
  for (let row = rows - 2; row >= 0; row--) if ((row + 1) % window) raise(after, row * width, width, after, width);
  raise(after, 0, (window - 1) * width, before, values.length);
  return after.subarray(0, values.length);
}

/** `count` numbers from `start` become at least those of `others` that stand `away` from them. */
function raise(numbers, start, away, others, count) {
  for (let i = start; i < start + count; i++) if (others[i + away] > numbers[i]) numbers[i] = others[i + away];
}

function transposed(values, width, height) {
  const turned = new Int16Array(values.length);
  for (let y = 0, i = 0; y < height; y++) for (let x = 0; x < width; x++) turned[x * height + y] = values[i++];
  return turned;
}

/** What the strongest half a per cent departs by; of little ink, the strongest 16 pixels, or the strongest. */
function fullInk(levels) {
  const counts = countValues(levels).reverse();
  let full = 0;
  for (const wanted of [Math.floor(levels.length / 200), 16, 1]) {
    full = 255 - valueAt(counts, Math.min(Math.max(1, wanted), levels.length) - 1);
    if (full >= LEAST_DEPARTURE) break;
  }
  return full;
}

const sizeOf = ([x0, y0, x1, y1]) => Math.max(x1 - x0, y1 - y0);

/** A rule, a frame, or the edge of the sheet: it runs along or around the picture. */
function isRule([x0, y0, x1, y1], width, height) {
  const [wide, high] = [x1 - x0, y1 - y0];
  const [across, down] = [10 * wide >= 9 * width, 10 * high >= 9 * height];
  const touched = (x0 <= 1) + (y0 <= 1) + (x1 >= width - 1) + (y1 >= height - 1);
  if (touched && Math.max(wide, high) > LONG * Math.min(wide, high)) return true;
  return (across && LONG * high < wide) || (down && LONG * wide < high) || (touched >= 3 && across && down);
}

/** Pieces whose middles lie within the height of the tallest piece of a line are one line. */
function joinLines(pieces) {
  const lines = [];
  const order = (one, other) => one[1] - one[3] - other[1] + other[3] || one[1] - other[1] || one[0] - other[0];
  for (const piece of [...pieces].sort(order)) {
    const middle = piece[1] + piece[3];
    const line = lines.find(([tallest]) => 2 * tallest[1] <= middle && middle <= 2 * tallest[3]);
    if (line) line.push(piece);
    else lines.push([piece]);
  }
  const joined = mergeOverlapping(lines.map(around));
  const tallest = Math.max(...joined.map((box) => box[3] - box[1]));
  const tall = joined.filter((box) => 4 * (box[3] - box[1]) > tallest);
  return tall.sort((one, other) => one[1] + one[3] - other[1] - other[3]);
}

/** Lines of which one covers a third of the other's height are one: dots, commas, parts of a frame. */
function mergeOverlapping(boxes) {
  const merged = [];
  for (const box of boxes.sort((one, other) => one[1] - other[1] || one[0] - other[0])) {
    const last = merged.at(-1);
    const shared = last ? Math.min(last[3], box[3]) - Math.max(last[1], box[1]) : 0;
    if (last && 3 * shared > Math.min(last[3] - last[1], box[3] - box[1])) merged.push(around([merged.pop(), box]));
    else merged.push(box);
  }
  return merged;
}

function around(boxes) {
  const edge = (pick, i) => pick(...boxes.map((box) => box[i]));
  return [edge(Math.min, 0), edge(Math.min, 1), edge(Math.max, 2), edge(Math.max, 3)];
}
