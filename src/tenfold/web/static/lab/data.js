/** Images of the lab: {images: Uint8Array n x height x width, labels, names, height, width}. */

import { permutation, uniform } from "./random.js";

const SIDE = 28;

/** The sample that stands beside the page: gzip of n, height, width (uint32), the pixels, the labels. */
export async function loadSample(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`the sample cannot be had (status ${answer.status})`);
  const bytes = await unpack(await answer.arrayBuffer());
  const [n, height, width] = new Uint32Array(bytes, 0, 3);
  const images = new Uint8Array(bytes, 12, n * height * width);
  const labels = Array.from(new Uint8Array(bytes, 12 + images.length, n));
  return { images, labels, names: classNames(labels), height, width };
}

/** Some hosts unpack what ends in .gz on the way. */
async function unpack(buffer) {
  const [first, second] = new Uint8Array(buffer, 0, 2);
  if (first !== 0x1f || second !== 0x8b) return buffer;
  const unpacked = new Blob([buffer]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(unpacked).arrayBuffer();
}

function classNames(labels) {
  return Array.from({ length: Math.max(...labels) + 1 }, (_, label) => String(label));
}

/** Pictures whose folder, or whose name up to the first of "-_.", is their class. */
export async function loadPictures(files) {
  const wanted = [...files].filter(({ type }) => type.startsWith("image/"));
  const classOf = (file) => {
    const parts = (file.webkitRelativePath || file.name).split("/");
    return parts.length > 1 ? parts.at(-2) : file.name.split(/[-_.]/)[0];
  };
  const names = [...new Set(wanted.map(classOf))].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  if (names.length < 2) throw new Error(`${wanted.length} pictures of ${names.length} classes; expected a folder with a folder of pictures per class`);
  if (names.length > 100) throw new Error(`${names.length} classes; expected at most 100`);
  const images = new Uint8Array(wanted.length * SIDE * SIDE);
  const canvas = new OffscreenCanvas(SIDE, SIDE), context = canvas.getContext("2d", { willReadFrequently: true });
  for (const [i, file] of wanted.entries()) images.set(await toGrey(file, context), i * SIDE * SIDE);
  return { images, labels: wanted.map((file) => names.indexOf(classOf(file))), names, height: SIDE, width: SIDE };
}

async function toGrey(file, context) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error(`${file.name} is not a picture that this browser can open`);
  }
  const ratio = SIDE / Math.max(bitmap.width, bitmap.height);
  const [width, height] = [bitmap.width * ratio, bitmap.height * ratio];
  context.fillStyle = "#000";
  context.fillRect(0, 0, SIDE, SIDE);
  context.drawImage(bitmap, (SIDE - width) / 2, (SIDE - height) / 2, width, height);
  const { data } = context.getImageData(0, 0, SIDE, SIDE);
  return Uint8Array.from({ length: SIDE * SIDE }, (_, i) => {
    return Math.round(0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2]);
  });
}

/** One image in five of each class is held out: {train: places, test: places}, both in random order. */
export function holdOut(labels, seed, share = 0.2) {
  const draw = uniform(seed), train = [], test = [], seen = {};
  for (const i of permutation(labels.length, draw)) {
    const label = labels[i];
    seen[label] = (seen[label] ?? 0) + share;
    if (seen[label] >= 1) {
      seen[label] -= 1;
      test.push(i);
    } else train.push(i);
  }
  return { train, test };
}

/** Mean and deviation of the pixels of these images, in units of 0..1. */
export function pixelMoments({ images, height, width }, places) {
  const size = height * width;
  let sum = 0, squares = 0;
  for (const place of places) {
    for (let i = place * size; i < (place + 1) * size; i++) {
      sum += images[i];
      squares += images[i] ** 2;
    }
  }
  const n = places.length * size, mean = sum / n;
  return { mean: mean / 255, std: Math.sqrt(Math.max(squares / n - mean ** 2, 1e-12)) / 255 };
}
