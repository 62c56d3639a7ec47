// A decoded picture (RGBA, upright) -> opaque pixels of a size that is quick to work on.

import { median, roundEven } from "./numbers.js";
import { boxAbove, makePlane } from "./plane.js";
import { BILINEAR, resize } from "./resize.js";

const LONGEST = 1600; // pixels
const CARD_FILL = 0.6; // share of its own bounding box that an opaque card covers at least
const CARD_SPREAD = 20; // grey levels: the least standard deviation of a card with ink on it

/**
 * {data: bytes, 4 per pixel, the last of which says nothing; width; height; channels: 4; size: [width,
 * height] of the original; scale: original pixels per pixel}. `rgba` is not changed.
 */
export function openPicture(rgba, width, height) {
  const ratio = LONGEST / Math.max(width, height, LONGEST);
  const target = [width, height].map((side) => (ratio < 1 ? Math.max(1, roundEven(side * ratio)) : side));
  const transparent = isTransparent(rgba);
  let picture = { data: transparent ? multiply(rgba) : rgba, width, height, channels: 4 };
  picture = resize(picture, ...target, BILINEAR, 2);
  if (transparent) layOnPaper(picture.data, picture.width, picture.height);
  const scale = Math.max(1, Math.max(width, height) / Math.max(picture.width, picture.height));
  return { ...picture, size: [width, height], scale };
}

function isTransparent(rgba) {
  for (let i = 3; i < rgba.length; i += 4) if (rgba[i] !== 255) return true;
  return false;
}

/** Colours times alpha, so that resizing mixes them rightly. */
function multiply(rgba) {
  const data = new Uint8Array(rgba.length);
  for (let i = 0; i < data.length; i += 4) {
    const alpha = (data[i + 3] = rgba[i + 3]);
    for (let c = i; alpha && c < i + 3; c++) {
      const product = rgba[c] * alpha + 128;
      data[c] = ((product >> 8) + product) >> 8;
    }
  }
  return data;
}

function layOnPaper(data, width, height) {
  const paper = findPaper(data, width, height);
  for (let i = 0; i < data.length; i += 4) {
    const hidden = 255 - data[i + 3];
    for (let c = 0; hidden && c < 3; c++) {
      data[i + c] = Math.min(data[i + c] + (((hidden * paper[c] + 127) / 255) | 0), 255);
    }
  }
}

/** White under dark ink, black under light; an opaque card with ink on it gives its own colour. */
function findPaper(data, width, height) {
  const opaque = makePlane(width, height);
  const lumas = [];
  let [weight, light] = [0, 0];
  for (let i = 0; i < data.length; i += 4) {
    if (!data[i + 3]) continue;
    const luma = 0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2];
    weight += data[i + 3];
    light += luma;
    if (data[i + 3] < 255) continue;
    opaque.data[i / 4] = 1;
    lumas.push(luma);
  }
  if (!weight) return [255, 255, 255];
  const box = boxAbove(opaque, 0) ?? [0, 0, 1, 1];
  const fill = lumas.length / ((box[2] - box[0]) * (box[3] - box[1]));
  if (fill > CARD_FILL && deviation(lumas) > CARD_SPREAD) return medianColour(data, opaque.data);
  return (255 * light) / weight > 127.5 ? [0, 0, 0] : [255, 255, 255];
}

function deviation(values) {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length);
}

function medianColour(data, opaque) {
  return [0, 1, 2].map((c) => {
    const values = [];
    for (let i = 0; i < opaque.length; i++) if (opaque[i]) values.push(data[4 * i + c]);
    return Math.trunc(median(values));
  });
}
