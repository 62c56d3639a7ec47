// Marks -> digits: which marks belong together and which come apart, as the classifier judges best. All
// sensible runs of neighbouring pieces are judged in one batch; a shortest path (Viterbi 1967) picks.

import { frameInk } from "./frame.js";
import { cutMark, findRows, heightOf, joinMarks, widthOf } from "./marks.js";
import { median } from "./numbers.js";
import { largest } from "./strength.js";

const MOST_PIECES = 4; // marks that one digit may consist of
const MOST_SLICES = 12; // and slices of marks
const WIDEST = 1.9; // of the row's height: no digit is wider
const WIDEST_SLICED = 1.45; // or where it was cut
const GAP = 0.45; // of the row's height: pieces farther apart belong to two digits
const SURE = 0.9; // a mark judged better than this is not cut
const CUT = 0.8; // what a cut must be better by, in nats of a whole digit's ink
const OVER = 1.5; // what a mark that stands over its neighbour costs as a digit of its own, in nats
const STACK = 2; // how much likelier one digit is than a tight stack of several, in nats
const STACK_GAP = 0.2; // of the whole's height: marks farther apart are no single digit
const SHORT = 0.5; // of the row's height: shorter runs are seldom digits
const SHORT_COST = 3; // nats, of a whole digit's ink, that a short run costs
const NONE = 0.05; // how much being none of the classes counts for, against being one

/** The digits in reading order: {image: 28x28 bytes, box in the ink's pixels, row, probs, none}. */
export function segmentDigits(ink, judge) {
  const rows = findRows(ink);
  let read = rows.map((row) => readRow(row, judge));
  const whole = rows.length > 1 && readWhole(rows, judge);
  if (whole && tellsMore(whole, read)) read = [[whole]];
  return read.flatMap((runs, row) =>
    runs.map(({ image, mark, probs, none }) => ({ image, box: mark.box, row, probs, none })),
  );
}

/** All marks as one digit, whose bar or upper loop stands off, where they are few and near; else null. */
function readWhole(rows, judge) {
  const marks = rows.flat();
  const boxes = rows.map((row) => joinMarks(row).box);
  const apart = Math.max(...boxes.slice(1).map((box, i) => box[1] - boxes[i][3]));
  const whole = joinMarks(marks);
  if (marks.length > MOST_PIECES || apart > STACK_GAP * heightOf(whole)) return null;
  if (widthOf(whole) > WIDEST * heightOf(whole)) return null;
  return judged([makeRun(0, marks.length - 1, whole)], judge)[0];
}

/** Whether one digit is likelier than a stack of them, which people seldom write so tightly. */
function tellsMore(whole, read) {
  let [total, weight] = [0, 0];
  for (const run of read.flat()) {
    total += run.mark.weight * score(run);
    weight += run.mark.weight;
  }
  return score(whole) > total / weight - STACK;
}

function readRow(row, judge) {
  const tallest = Math.max(...row.map(heightOf));
  const height = median(row.map(heightOf).filter((value) => value >= 0.5 * tallest));
  const whole = row.map(() => false);
  const runs = judged(findRuns(row, whole, height), judge);
  const alone = row.map(() => -9);
  for (const run of runs) if (run.first === run.last) alone[run.first] = score(run);
  const parts = row.map((mark, i) => {
    const doubtful = alone[i] < Math.log(SURE) && mayBeSeveral(mark, height, row.length);
    return doubtful ? cutMark(mark, height) : [mark];
  });
  const pieces = parts.flat();
  if (pieces.length <= row.length) return bestPath(runs, row, whole, height);
  const cuts = parts.flatMap((part) => part.map((_, i) => i > 0));
  return bestPath(judged(findRuns(pieces, cuts, height), judge), pieces, cuts, height);
}

/** A lone mark must be wide to be cut: letters fall into ones and sevens all too easily. */
function mayBeSeveral(mark, height, count) {
  return widthOf(mark) > (count === 1 ? 1.5 : 0.75) * height && heightOf(mark) > 0.5 * height;
}

const makeRun = (first, last, mark) => ({ first, last, mark, image: frameInk(mark.strength) });

/** All neighbours that may be one digit. cuts: whether a piece was cut off the one before. */
function findRuns(pieces, cuts, height) {
  const runs = [];
  for (let first = 0; first < pieces.length; first++) {
    for (let last = first; last < pieces.length; last++) {
      const sliced = cuts.slice(first, last + 2).includes(true); // touching digits are no wider than high
      if (last - first >= (sliced ? MOST_SLICES : MOST_PIECES)) break;
      if (last > first && gap(pieces.slice(first, last), pieces[last]) > GAP * height) break;
      const mark = joinMarks(pieces.slice(first, last + 1));
      const widest = (sliced ? WIDEST_SLICED : WIDEST) * Math.max(height, heightOf(mark));
      if (last > first && widthOf(mark) > widest) break;
      runs.push(makeRun(first, last, mark));
    }
  }
  return runs;
}

function gap(before, mark) {
  return mark.box[0] - Math.max(...before.map(({ box }) => box[2]));
}

/** The runs with what the classifier says of them. */
function judged(runs, judge) {
  const images = new Uint8Array(runs.length * 784);
  runs.forEach((run, i) => images.set(run.image, i * 784));
  const { probs, none } = judge(images, runs.length);
  const classes = probs.length / runs.length;
  return runs.map((run, i) => ({
    ...run,
    probs: probs.slice(i * classes, (i + 1) * classes),
    none: none[i],
  }));
}

function score({ probs, none }) {
  return Math.log(Math.max((1 - none) * largest(probs), NONE * none, 1e-6));
}

/** What it costs that a run begins at this piece: cut off the one before, or standing over it. */
function partingCost(pieces, cuts, first, usual) {
  if (!first) return 0;
  if (cuts[first]) return CUT * usual;
  const [before, piece] = [pieces[first - 1], pieces[first]];
  const shared = Math.min(before.box[2], piece.box[2]) - Math.max(before.box[0], piece.box[0]);
  const over = shared > 0.5 * Math.min(widthOf(before), widthOf(piece));
  return over ? OVER * Math.min(before.weight, piece.weight) : 0;
}

/** Over all ways to part the pieces into runs, the one of the best mean score, weighted by ink. */
function bestPath(runs, pieces, cuts, height) {
  const best = [{ total: 0, path: [] }, ...pieces.map(() => ({ total: -Infinity, path: [] }))];
  const good = runs.filter((run) => score(run) > -0.5).map((run) => run.mark.weight);
  const usual = median(good.length ? good : pieces.map(({ weight }) => weight));
  for (let end = 1; end <= pieces.length; end++) {
    for (const run of runs.filter(({ last }) => last + 1 === end)) {
      const ink = pieces.slice(run.first, end).reduce((sum, { weight }) => sum + weight, 0);
      const short = heightOf(run.mark) < SHORT * height ? SHORT_COST * usual : 0;
      const cost = partingCost(pieces, cuts, run.first, usual) + short;
      const total = best[run.first].total + ink * score(run) - cost;
      if (total > best[end].total) best[end] = { total, path: [...best[run.first].path, run] };
    }
  }
  return best[pieces.length].path;
}
