// Ruled lines, grids and the edges of hard shadows: straight, thin, and right across the picture. Found as in
// a Hough transform over lines within a few degrees of level and plumb, taken out where no stroke crosses.

import { median, roundEven } from "./numbers.js";
import { makePlane, transpose } from "./plane.js";

const SLOPES = Array.from({ length: 73 }, (_, i) => Math.tan((i * 0.25 - 9) * (Math.PI / 180)));
const CELL = 400; // lines are looked for on at most so many pixels each way
const SHORTEST = 0.4; // of the picture's width: what of a line must lie in the picture
const COVERED = 0.7; // of its columns: what a line covers at least
const ENDS = 0.4; // of the first and of the last fifth: what it covers there
const EDGE = 0.02; // of the width: a line comes as near as this to both edges
const MOST = 40; // lines each way
const REACH = 12; // pixels above and below a line within which its thickness is measured

/** A plane -> the same without the lines that are stronger than `least`. */
export function removeRuling(strength, least) {
  const level = takeOut(strength, findLines(strength, Math.fround(least)), least);
  const turned = transpose(level);
  const lines = findLines(turned, Math.fround(least));
  return lines.length ? transpose(takeOut(turned, lines, least)) : level;
}

/** [row at column 0, slope] of each nearly level line right across. */
function findLines(strength, least) {
  const { step, width, height, rows, columns } = findCells(strength, least);
  let cells = { rows, columns };
  const lines = [];
  for (let line = 0; line < MOST; line++) {
    const best = longest(cells, width, height);
    if (!best) break;
    const [row, slope] = best;
    lines.push([(row + 0.5) * step, slope]);
    cells = pick(cells, (y, x) => Math.abs(y - row - slope * x) > 2.5);
  }
  return lines;
}

function findCells({ data, width, height }, least) {
  const step = Math.max(1, Math.ceil(Math.max(width, height) / CELL));
  const [across, down] = [Math.floor(width / step), Math.floor(height / step)];
  const cells = new Uint8Array(across * down);
  for (let y = 0; y < down * step; y++) {
    const row = Math.floor(y / step) * across;
    for (let x = 0; x < across * step; x++) {
      if (data[y * width + x] > least) cells[row + Math.floor(x / step)] = 1;
    }
  }
  const [rows, columns] = [[], []];
  cells.forEach((inked, i) => {
    if (inked) rows.push(Math.floor(i / across)), columns.push(i % across);
  });
  return { step, width: across, height: down, rows, columns };
}

function pick({ rows, columns }, holds) {
  const wanted = (_, i) => holds(rows[i], columns[i]);
  return { rows: rows.filter(wanted), columns: columns.filter(wanted) };
}

/** The line that most columns lie on, if they are enough and at both ends; else null. */
function longest(cells, width, height) {
  if (cells.rows.length < SHORTEST * width) return null;
  const [place, slope] = mostVoted(cells, width, height);
  const on = new Uint8Array(width);
  const near = pick(cells, (y, x) => Math.abs(y - place - slope * x) <= 1.5);
  for (const column of near.columns) on[column] = 1;
  const inPicture = (_, x) => place + slope * x >= -1 && place + slope * x <= height;
  return coversEnough(on.filter(inPicture), width) ? [place, slope] : null;
}

function mostVoted({ rows, columns }, width, height) {
  const room = Math.trunc(width * SLOPES[SLOPES.length - 1]) + 1;
  const count = height + 2 * room;
  let [most, row, best] = [-1, 0, 0];
  for (const slope of SLOPES) {
    const votes = new Int32Array(count);
    for (let i = 0; i < rows.length; i++) votes[roundEven(rows[i] - slope * columns[i]) + room]++;
    for (let place = 0; place < count; place++) {
      if (votes[place] > most) [most, row, best] = [votes[place], place - room, slope];
    }
  }
  return [row, best];
}

const mean = (marks) => marks.reduce((a, b) => a + b, 0) / marks.length;

/** on: for each column in which the line lies in the picture, whether there is ink. */
function coversEnough(on, width) {
  if (on.length < SHORTEST * width) return false;
  const fifth = Math.max(1, Math.floor(on.length / 5));
  const edge = Math.max(2, roundEven(EDGE * width));
  const across = on.subarray(0, edge).includes(1) && on.subarray(-edge).includes(1); // a bar ends before
  if (!across || mean(on) < COVERED) return false;
  return Math.min(mean(on.subarray(0, fifth)), mean(on.subarray(-fifth))) >= ENDS;
}

function takeOut(strength, lines, least) {
  if (!lines.length) return strength;
  const { width, height } = strength;
  const cleaned = strength.data.slice();
  for (const [row, slope] of lines) {
    const middle = (x) => roundEven(row + slope * x);
    const columns = Array.from({ length: width }, (_, x) => measure(strength, x, middle(x), least));
    const lined = columns.filter((column) => column.lined);
    const usual = lined.length ? median(lined.map((column) => column.thickness)) : Infinity;
    if (usual >= 0.75 * REACH) continue;
    for (const { x, top, thickness } of lined) {
      if (thickness > 1.5 * usual + 1) continue;
      for (let y = Math.max(0, top); y < Math.min(height, top + thickness); y++) cleaned[y * width + x] = 0;
    }
  }
  return makePlane(width, height, cleaned);
}

/** What of column x lies on a line about row `middle`: whether it is there, from where, how thick. */
function measure({ data, width, height }, x, middle, least) {
  const at = (away) => {
    const y = middle + away;
    return y >= 0 && y < height && Math.abs(away) <= REACH ? data[y * width + x] : 0;
  };
  let centre = -4;
  for (let away = -3; away <= 4; away++) if (at(away) > at(centre)) centre = away;
  const inked = (away) => at(away) > Math.fround(0.5 * least);
  const [top, bottom] = [brokenFrom(centre, -1, inked), brokenFrom(centre, 1, inked)];
  const lined = at(centre) > Math.fround(least);
  return { x, lined, top: middle + top + 1, thickness: bottom - top - 1 };
}

/** The first place from `centre` in one direction that is not inked; far off where there is none in reach. */
function brokenFrom(centre, direction, inked) {
  for (let away = centre + direction; Math.abs(away) <= REACH; away += direction) {
    if (!inked(away)) return away;
  }
  return centre + direction * (2 * REACH + 1);
}
