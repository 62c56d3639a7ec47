// A decoded picture read, as `tenfold read --json` and the server give it: as in reader/line_reader.py and reading.py.

import { decode, isDigit, onlyDigits } from "./decode.js";
import { normalizeInk } from "./ink/lift.js";
import { findLines } from "./ink/lines.js";
import { roundEven } from "./ink/numbers.js";
import { openPicture } from "./ink/open.js";
import { crop } from "./ink/plane.js";
import { toGrey } from "./ink/resize.js";
import { HEIGHT, MARGIN, PAPER, makeStrip } from "./ink/strip.js";
import { softmax } from "./network/answers.js";
import { findTroubles } from "./troubles.js";

const OTHER = "?";
const COLUMN_WIDTH = 2; // pixels of a strip
const LEAD = 3; // pixels of a strip: a character is seen so far left of its middle
const UNIT = 4; // pixels: the network takes strips of a width that is divisible by it
const WHOLE = 0.4; // of the picture's height: a line as high as that is read in the whole picture, too
const LOW = 100; // pixels: a picture of less height holds one line
const DOUBT = 0.5; // a character less likely than this is doubtful in a doubtful line
const REACH = 56; // pixels of a strip: a score depends on no more to either side
const SIDE = 0.45; // of a line's height: a character reaches no farther to a side

/**
 * RGBA bytes, turned upright -> {text, confidence, digits, characters, lines, troubles}. model: of loadModel.
 * A character has also image (Uint8Array, what the network saw), row, and in a line's strip its place.
 */
export function read(rgba, width, height, model) {
  const picture = openPicture(rgba, width, height);
  const grey = toGrey(picture);
  return model.card.characters ? readLines(grey, picture, model) : readDigit(grey, model);
}

function readLines(grey, picture, model) {
  const { least_confidence: least } = model.card;
  const seen = findViews(grey).map((boxes, row) => {
    const read = readLine(grey, boxes, model);
    return describeLine(read, model.card.characters, { scale: picture.scale, least, row });
  });
  const lines = seen.filter(({ characters }) => characters.length);
  const characters = lines.flatMap((line) => line.characters);
  return {
    text: lines.map(({ text }) => text).join("\n"),
    confidence: lines.length ? Math.min(...lines.map(({ confidence }) => confidence)) : null,
    digits: characters.filter(({ label, verdict }) => isDigit(label) || verdict !== "digit"),
    characters,
    lines: lines.map(({ text, confidence, box, strip }) => ({ text, confidence, box, strip })),
    troubles: findTroubles(grey, picture, seen),
  };
}

/**
 * The lines of a picture, each as the boxes that it is to be read in. A line that fills much of the picture's
 * height is the only one: what else was found are parts of a frame or of a neighbour. It is read in the whole
 * picture, by itself and, where the two differ, with half of the margin around it. A low picture holds one line, a
 * picture of dots none.
 */
function findViews(grey) {
  const { width, height } = grey;
  const whole = [0, 0, width, height];
  const lines = findLines(grey);
  if (!lines) return [];
  const high = ([, top, , bottom]) => bottom - top;
  const tallest = lines.reduce((most, line) => (high(line) > high(most) ? line : most), lines[0] ?? whole);
  const fills = high(tallest) >= WHOLE * height;
  if (!fills && height >= LOW) return lines.map((line) => [line]);
  if (!fills || `${tallest}` === `${whole}`) return [[whole]];
  const [x0, y0, x1, y1] = tallest;
  return [[whole, tallest, [x0 >> 1, y0 >> 1, (x1 + width) >> 1, (y1 + height) >> 1]]];
}

/** Probabilities of digits are averaged over the views; where the first two agree, no other is read. */
function readLine(grey, boxes, model) {
  const views = [];
  for (const box of boxes) {
    if (views.length === 2 && views[0].digits === views[1].digits) break;
    const strip = makeStrip(crop(grey, ...box));
    const logs = model.logs(strip);
    const decoded = decode(logs, model.card.characters);
    views.push({ box, strip, logs, ...decoded, digits: onlyDigits(decoded.text) });
  }
  for (const view of views) {
    view.own = view.shares.get(view.digits);
    view.confidence = views.reduce((sum, { shares }) => sum + (shares.get(view.digits) ?? 0), 0) / views.length;
  }
  const better = (one, other) => one.confidence - other.confidence || one.own - other.own;
  return views.reduce((high, view) => (better(view, high) > 0 ? view : high));
}

/** Writing that is not a number is dropped at the ends of a line and "?" inside. */
function describeLine({ text, places, confidence, box, strip, logs }, names, { scale, least, row }) {
  const first = text.length - text.replace(/^\?+/, "").length;
  const kept = places.slice(first, Math.max(first, text.replace(/\?+$/, "").length));
  const boxes = characterBoxes(kept, box, scale);
  let characters = kept.map((place, i) => ({
    ...judge(logs[place], text[first + i], names), box: boxes[i], row, place, image: windowOf(strip, place),
  }));
  if (!characters.some(({ label }) => isDigit(label))) characters = [];
  if (characters.length && confidence < least) doubt(characters);
  return {
    text: characters.map(({ label, verdict }) => (verdict === "digit" ? label : OTHER)).join(""),
    confidence, box: box.map((edge) => roundEven(edge * scale)), characters, strip,
    textOnly: Boolean(text) && !characters.length,
  };
}

/** none: the probability of "other", given that something stands here; probs: of the characters, given that it is one. */
function judge(logs, said, names) {
  const other = names.indexOf(OTHER);
  const probs = Array.from(softmax(logs.subarray(0, other))), none = softmax(logs.subarray(0, names.length))[other];
  const label = said === OTHER ? names[indexOfLargest(probs)] : said;
  return toDict(label, said === OTHER ? "not a digit" : "digit", probs, none, names);
}

function toDict(label, verdict, probs, none, names) {
  const all = probs.map((confidence, i) => ({ label: names[i], confidence }));
  const best = all.sort((one, other) => other.confidence - one.confidence).slice(0, 3);
  return { label, confidence: probs[names.indexOf(label)], verdict, alternatives: best, probs, none };
}

const indexOfLargest = (values) => values.indexOf(Math.max(...values));

/** The weakest digit, and every character that is rather not what it seems, is unsure. */
function doubt(characters) {
  const digits = characters.filter(({ label }) => isDigit(label));
  const weakest = digits.reduce((low, each) => (each.confidence < low.confidence ? each : low));
  for (const each of characters) {
    if (each.verdict === "digit" && (each === weakest || each.confidence < DOUBT)) each.verdict = "unsure";
  }
}

/** In the original's pixels: half-way to the neighbours, but no wider than digits are. */
function characterBoxes(places, [x0, y0, x1, y1], scale) {
  const ratio = (y1 - y0) / HEIGHT; // picture pixels per strip pixel
  const middles = places.map((place) => middleOf(place) - MARGIN);
  return middles.map((middle, i) => {
    const left = Math.max(middle - SIDE * HEIGHT, ((middles[i - 1] ?? -Infinity) + middle) / 2);
    const right = Math.min(middle + SIDE * HEIGHT, ((middles[i + 1] ?? Infinity) + middle) / 2);
    const edges = [x0 + left * ratio, y0, Math.min(x1, x0 + right * ratio), y1];
    const [start, ...rest] = edges.map((edge) => roundEven(edge * scale));
    return [Math.max(0, start), ...rest];
  });
}

/** Pixels from the left of a strip: the middle of a character that was seen in this column. */
const middleOf = (place) => Math.trunc((place + 0.5) * COLUMN_WIDTH) + LEAD;

/** 32x32 numbers of a strip around a character. */
function windowOf({ data, width }, place, paper = PAPER) {
  const start = middleOf(place) - HEIGHT / 2;
  return data.constructor.from({ length: HEIGHT * HEIGHT }, (_, i) => {
    const x = start + (i % HEIGHT);
    return x >= 0 && x < width ? data[Math.floor(i / HEIGHT) * width + x] : paper;
  });
}

/** All of the picture taken for one digit, as `Classifier.classify` does. */
function readDigit(grey, model) {
  const { card } = model, image = normalizeInk(grey);
  const { probs, none: [none] } = model.judge(image, 1);
  const { least_confidence: least, most_none: most } = card.verdict;
  const best = indexOfLargest(probs);
  const verdict = none > most ? "not a digit" : probs[best] < least ? "unsure" : "digit";
  const found = toDict(card.class_names[best], verdict, Array.from(probs), none, card.class_names);
  const digits = [{ ...found, box: null, row: 0, image }];
  const text = verdict === "digit" ? found.label : OTHER;
  return { text, confidence: found.confidence, digits, characters: digits, lines: [], troubles: [] };
}

/**
 * What decides: for each pixel of a character's image how far it supports (above 0) or contradicts the answer.
 * strip: of the character's line.
 */
export function explain({ label, verdict, image, place }, strip, model) {
  const { card } = model, refused = verdict === "not a digit";
  if (!card.characters) return model.saliency(image, refused ? card.class_names.length : card.class_names.indexOf(label));
  const middle = Math.floor((place * COLUMN_WIDTH) / UNIT) * UNIT;
  const first = Math.max(0, middle - REACH), last = Math.min(strip.width, middle + REACH);
  const inside = place - first / COLUMN_WIDTH;
  const part = crop(strip, first, 0, last, HEIGHT);
  const data = model.saliency(part, inside, card.characters.indexOf(refused ? OTHER : label));
  return windowOf({ data, width: part.width }, inside, 0);
}
