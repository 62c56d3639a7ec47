// What the tests of the ink code ask a page to do. Bytes travel in base64.

import { read } from "/js/reading.js";

export const toBytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
export const toFloats = (text) => new Float32Array(toBytes(text).buffer);
export const toText = (array) => {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
};

/** The classifier of ink_judge.py: its logits are whole numbers over 65025. */
function makeJudge({ means, temperature }) {
  const dot = (a, b) => {
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
    return sum;
  };
  const softmax = (logits) => {
    const scaled = logits.map((value) => Math.fround(Math.fround(value / 65025) / temperature));
    const most = Math.max(...scaled);
    const powers = scaled.map((value) => Math.exp(value - most));
    const total = powers.reduce((a, b) => a + b);
    return powers.map((value) => value / total);
  };
  return (images, n) => {
    const answers = { probs: new Float32Array(n * means.length), none: new Float32Array(n) };
    for (let i = 0; i < n; i++) {
      const image = images.subarray(784 * i, 784 * (i + 1));
      const logits = means.map((mean) => 2 * dot(mean, image) - dot(mean, mean));
      answers.probs.set(softmax(logits), i * means.length);
      answers.none[i] = softmax([...logits, Math.floor(dot(image, image) / 5)]).at(-1);
    }
    return answers;
  };
}

const model = (async () => {
  const { card, means } = await (await fetch("/judge.json")).json();
  return { card, judge: makeJudge({ means, temperature: card.temperature }) };
})();

function tell(reading) {
  return { ...reading, digits: reading.digits.map((digit) => ({ ...digit, image: toText(digit.image) })) };
}

/** The reading of raw RGBA. */
export async function readPixels(address, width, height) {
  const rgba = new Uint8ClampedArray(await (await fetch(address)).arrayBuffer());
  return tell(read(rgba, width, height, await model));
}

/** The same of a file, decoded by the browser. */
export async function readFile(address) {
  const options = { imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none" };
  const bitmap = await createImageBitmap(await (await fetch(address)).blob(), options);
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const rgba = context.getImageData(0, 0, width, height).data;
  return tell(read(rgba, width, height, await model));
}
