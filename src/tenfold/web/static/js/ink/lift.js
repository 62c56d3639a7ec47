// Ink from paper or canvas: any polarity and colour, under even or uneven light.

import { median, roundEven } from "./numbers.js";
import { makePlane } from "./plane.js";
import { alongInkColour, largest, makeInk } from "./strength.js";
import { liftFromUneven } from "./uneven.js";

const { fround } = Math;
// Least share that one colour must cover (of the border, or of the picture), and largest share of colours
// near it: the edges of strokes in a drawing, shades and grain in a photo. Strokes take much of small ones.
const PICTURE = [0.5, 0.1];
const SMALL_PICTURE = [0.3, 0.3];
const SMALL = 64; // pixels: the longer side of such a small picture
const SAMPLE = 30000; // pixels of a picture that are looked at for its paper's colour
const SAME = 2; // levels of 0..255: colours this near are one
const NEAR = 24; // or nearly one

/** What `openPicture` gives -> its ink. */
export function liftInk(picture) {
  const paper = findFlatPaper(picture);
  return paper ? liftFromFlat(picture, paper) : liftFromUneven(picture);
}

/** The one colour of the paper, or null where light or grain change it. */
function findFlatPaper(picture) {
  const { data, width, height } = picture;
  const whole = strided(data, width * height, 1 + Math.floor((width * height) / SAMPLE));
  const [covered, shaded] = Math.max(width, height) <= SMALL ? SMALL_PICTURE : PICTURE;
  for (const sample of [border(picture), whole]) {
    const colour = commonest(sample);
    const near = share(whole, colour, (away) => away > SAME && away <= NEAR);
    if (share(sample, colour, (away) => away <= SAME) >= covered && near <= shaded) return colour;
  }
  return null;
}

/** Every so many pixels, three bytes each. */
function strided(data, count, step) {
  const picked = new Uint8Array(3 * Math.ceil(count / step));
  for (let i = 0, from = 0; i < picked.length; from += 4 * step) {
    for (let c = 0; c < 3; c++) picked[i++] = data[from + c];
  }
  return picked;
}

function border({ data, width, height }) {
  const last = 4 * (height - 1) * width;
  const lines = [[0, width, 1], [last, width, 1], [0, height, width], [4 * (width - 1), height, width]];
  const sides = lines.map(([start, count, step]) => strided(data.subarray(start), count * step, step));
  const all = new Uint8Array(6 * (width + height));
  sides.reduce((at, side) => (all.set(side, at), at + side.length), 0);
  return all;
}

function share(sample, [red, green, blue], holds) {
  let count = 0;
  for (let i = 0; i < sample.length; i += 3) {
    const away = Math.max(Math.abs(sample[i] - red), Math.abs(sample[i + 1] - green));
    if (holds(Math.max(away, Math.abs(sample[i + 2] - blue)))) count++;
  }
  return count / (sample.length / 3);
}

function commonest(sample) {
  const code = (i) => ((sample[i] >> 2) << 12) | ((sample[i + 1] >> 2) << 6) | (sample[i + 2] >> 2);
  const counts = new Int32Array(1 << 18);
  for (let i = 0; i < sample.length; i += 3) counts[code(i)]++;
  const most = counts.indexOf(largest(counts));
  const alike = [[], [], []];
  for (let i = 0; i < sample.length; i += 3) {
    if (code(i) === most) for (let c = 0; c < 3; c++) alike[c].push(sample[i + c]);
  }
  return alike.map(median);
}

function liftFromFlat(picture, paper) {
  const [x0, y0, x1, y1] = findOther(picture, paper.map(roundEven));
  const departure = departures(picture, paper, x0, y0, x1, y1);
  const { part, contrast } = alongInkColour(departure, 0.004);
  const light = contrast > 0 && isLighter(departure, part);
  const least = fround(0.1);
  for (let i = 0; i < part.length; i++) {
    part[i] = part[i] > least ? Math.min(fround(part[i] - least) / fround(0.8), 1) : 0;
  }
  const strength = makePlane(picture.width, picture.height);
  for (let y = y0, from = 0; y < y1; y++, from += x1 - x0) {
    strength.data.set(part.subarray(from, from + x1 - x0), y * picture.width + x0);
  }
  return makeInk(strength, contrast, light, true);
}

function isLighter([red, green, blue], part) {
  const least = fround(fround(0.8) * largest(part));
  let total = 0;
  for (let i = 0; i < part.length; i++) if (part[i] >= least) total += red[i] + green[i] + blue[i];
  return total > 0;
}

function departures({ data, width }, paper, x0, y0, x1, y1) {
  return paper.map((level, c) => {
    const departure = new Float32Array((x1 - x0) * (y1 - y0));
    for (let y = y0, i = 0; y < y1; y++) {
      for (let x = x0; x < x1; x++) departure[i++] = (data[4 * (y * width + x) + c] - level) / 255;
    }
    return departure;
  });
}

/** The box that holds all pixels of another colour; the whole picture where there are none. */
function findOther({ data, width, height }, [red, green, blue]) {
  let [x0, y0, x1, y1] = [width, height, 0, 0];
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i += 4) {
      const away = Math.max(Math.abs(data[i] - red), Math.abs(data[i + 1] - green));
      if (away <= SAME && Math.abs(data[i + 2] - blue) <= SAME) continue;
      if (x < x0) x0 = x;
      if (x >= x1) x1 = x + 1;
      if (y < y0) y0 = y;
      y1 = y + 1;
    }
  }
  return x1 ? [x0, y0, x1, y1] : [0, 0, width, height];
}
