// Lifted ink -> marks: pieces of ink that hang together, in rows, left to right, and cuts through them.
// A mark is {box: [x0, y0, x1, y1] in the ink's pixels, strength: a plane of its size, weight: its ink}.

import { strokeWidth } from "./frame.js";
import { roundEven, sum32 } from "./numbers.js";
import { boxAbove, crop, makePlane } from "./plane.js";
import { findBoxes, growLabels, labelRegions } from "./regions.js";

const { fround } = Math;
const EDGE = fround(0.35); // strength at which ink begins
const SPECK = 0.16; // of the largest mark's longer side: smaller marks are specks
const SLICE = 0.125; // of a digit's height: how far apart cuts are tried
const CROSSED = 2.5; // strokes that a cut may cross
const LINE = 1.5; // strokes that a column of a line holds on average; of digits it holds two or more
const MOST_MARKS = 400;

const makeMark = (box, strength) => ({ box, strength, weight: sum32(strength.data) });
export const widthOf = ({ box }) => box[2] - box[0];
export const heightOf = ({ box }) => box[3] - box[1];
const longer = (mark) => Math.max(widthOf(mark), heightOf(mark));

const shift = ([x0, y0, x1, y1], left, top) => [left + x0, top + y0, left + x1, top + y1];

/** The marks of a picture, specks and borders left out: rows from the top, each left to right. */
export function findRows(ink) {
  const marks = dropSpecks(components(ink)).sort((a, b) => heightOf(b) - heightOf(a));
  const rows = [];
  for (const mark of marks) {
    const row = rows.find(([tallest]) => isBeside(mark, tallest));
    if (row) row.push(mark);
    else rows.push([mark]);
  }
  rows.sort(([a], [b]) => a.box[1] + a.box[3] - b.box[1] - b.box[3]);
  return rows.map((row) => row.sort((a, b) => a.box[0] + a.box[2] - b.box[0] - b.box[2]));
}

function components(ink) {
  const [left, top, strength] = inkedPart(ink.strength);
  const { width, height } = strength;
  const { labels, count } = labelRegions(strength, EDGE);
  const grown = growLabels(labels, width, height); // the soft edge belongs to the mark
  const found = findBoxes(grown, width, height, count).map((box, i) => ({ box, label: i + 1 }));
  const largest = found.filter(({ box }) => box).reverse().sort((a, b) => longer(b) - longer(a));
  const marks = largest.slice(0, MOST_MARKS).map(({ box, label }) => {
    const own = keep(crop(strength, ...box), grown, width, box, label);
    return makeMark(shift(box, left, top), own);
  });
  return marks.filter((mark) => ink.flat || !isBorder(mark, ink.strength));
}

/** [first column, first row, the part that holds all ink, one pixel around it]. */
function inkedPart(strength) {
  const box = boxAbove(strength, EDGE);
  if (!box) return [0, 0, makePlane(0, 0)];
  const [left, top] = [Math.max(0, box[0] - 1), Math.max(0, box[1] - 1)];
  const [right, bottom] = [Math.min(strength.width, box[2] + 1), Math.min(strength.height, box[3] + 1)];
  return [left, top, crop(strength, left, top, right, bottom)];
}

/** Other marks' ink is blanked. */
function keep(own, labels, width, [x0, y0], label) {
  for (let y = 0, i = 0; y < own.height; y++) {
    for (let x = 0; x < own.width; x++, i++) if (labels[(y0 + y) * width + x0 + x] !== label) own.data[i] = 0;
  }
  return own;
}

/** The edge of the sheet, or a ruled line right across a photo. */
function isBorder(mark, { width, height }) {
  const [x0, y0, x1, y1] = mark.box;
  const touched = (x0 <= 1) + (y0 <= 1) + (x1 >= width - 1) + (y1 >= height - 1);
  const [across, down] = [widthOf(mark), heightOf(mark)];
  const [long, short] = [Math.max(across, down), Math.min(across, down)];
  if (touched && (long > 6 * short || long > 0.9 * (across > down ? width : height))) return true;
  return touched >= 2 && mark.weight / (across * down) < 0.1;
}

function dropSpecks(marks) {
  const scale = Math.max(...marks.map(longer));
  return marks.filter((mark) => longer(mark) > SPECK * scale);
}

/** Whether the mark's middle lies in the row of the tallest one, a third of it added on each side. */
function isBeside(mark, tallest) {
  const middle = (mark.box[1] + mark.box[3]) / 2;
  const room = 0.33 * heightOf(tallest);
  return tallest.box[1] - room <= middle && middle <= tallest.box[3] + room;
}

/** One mark with the ink of all. */
export function joinMarks(marks) {
  if (marks.length === 1) return marks[0];
  const edge = (best, i) => best(...marks.map(({ box }) => box[i]));
  const box = [edge(Math.min, 0), edge(Math.min, 1), edge(Math.max, 2), edge(Math.max, 3)];
  const whole = makePlane(box[2] - box[0], box[3] - box[1]);
  for (const { box: [x0, y0], strength } of marks) {
    for (let y = 0, i = 0; y < strength.height; y++) {
      const at = (y0 - box[1] + y) * whole.width + x0 - box[0];
      for (let x = 0; x < strength.width; x++, i++) {
        if (strength.data[i] > whole.data[at + x]) whole.data[at + x] = strength.data[i];
      }
    }
  }
  return makeMark(box, whole);
}

/**
 * A wide mark in slices, left to right, wherever a cut would cross little ink; [mark] where nowhere.
 * height: of a digit in this row. The cuts are paths of least ink, an eighth of that apart.
 */
export function cutMark(mark, height) {
  const stroke = Math.max(strokeWidth(mark.strength), 1);
  if (mark.weight < LINE * stroke * widthOf(mark)) return [mark];
  const step = Math.max(2, roundEven(SLICE * height));
  const paths = [];
  for (let column = step; column <= widthOf(mark) - step; column += step) {
    const { path, crossed } = leastPath(mark.strength, column, step);
    if (crossed <= CROSSED * stroke) paths.push(path);
  }
  return pieces(mark, paths);
}

/** The column of each row of the path that crosses least ink, and the ink it crosses. */
function leastPath({ data, width, height }, column, reach) {
  const [left, right] = [Math.max(0, column - reach), Math.min(width, column + reach + 1)];
  const wide = right - left + 2; // walled in on both sides
  const total = new Float32Array(height * wide).fill(Infinity);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < right - left; x++) {
      const cost = data[y * width + left + x] + 0.002 * Math.abs(left + x - column);
      const above = (y - 1) * wide + x;
      total[y * wide + x + 1] = y ? cost + Math.min(total[above], total[above + 1], total[above + 2]) : cost;
    }
  }
  const path = trace(total, wide, height);
  const inks = Float32Array.from(path, (x, y) => data[y * width + x + left]);
  return { path: path.map((x) => x + left), crossed: sum32(inks) };
}

function trace(total, wide, height) {
  const path = new Int32Array(height);
  path[height - 1] = leastPlace(total, (height - 1) * wide, wide) - 1;
  for (let y = height - 2; y >= 0; y--) {
    path[y] = path[y + 1] - 1 + leastPlace(total, y * wide + path[y + 1], 3);
  }
  return path;
}

function leastPlace(values, start, count) {
  let least = 0;
  for (let i = 1; i < count; i++) if (values[start + i] < values[start + least]) least = i;
  return least;
}

function pieces(mark, paths) {
  const { data, width, height } = mark.strength;
  const owned = Array.from({ length: paths.length + 1 }, () => makePlane(width, height));
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const owner = paths.reduce((count, path) => count + (x >= path[y]), 0);
      owned[owner].data[i] = data[i];
    }
  }
  return owned.flatMap((own) => {
    const box = boxAbove(own, EDGE);
    return box ? [makeMark(shift(box, ...mark.box), crop(own, ...box))] : [];
  });
}
