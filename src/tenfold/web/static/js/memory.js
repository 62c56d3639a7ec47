// A judge that remembers: while one draws, most marks are those of the last reading.

const MOST = 3000; // images kept

/** judge: (images Uint8Array n*size, n) -> {probs n*K, none n}, as a model has it; the same, remembering. */
export function remembering(judge, size) {
  const known = new Map();
  return (images, n) => {
    const keys = Array.from({ length: n }, (_, i) => keyOf(images.subarray(i * size, (i + 1) * size)));
    const fresh = [...new Set(keys.filter((key) => !known.has(key)))];
    if (known.size + fresh.length > MOST) {
      known.clear();
      fresh.splice(0, fresh.length, ...new Set(keys));
    }
    if (fresh.length) judgeFresh(judge, known, fresh, keys, images, size);
    return together(keys.map((key) => known.get(key)));
  };
}

const keyOf = (image) => String.fromCharCode(...image);

function judgeFresh(judge, known, fresh, keys, images, size) {
  const batch = new Uint8Array(fresh.length * size);
  fresh.forEach((key, i) => {
    const from = keys.indexOf(key) * size;
    batch.set(images.subarray(from, from + size), i * size);
  });
  const { probs, none } = judge(batch, fresh.length);
  const classes = probs.length / fresh.length;
  fresh.forEach((key, i) => {
    known.set(key, { probs: probs.slice(i * classes, (i + 1) * classes), none: none[i] });
  });
}

function together(answers) {
  const classes = answers[0]?.probs.length ?? 0;
  const probs = new Float32Array(answers.length * classes);
  answers.forEach((answer, i) => probs.set(answer.probs, i * classes));
  return { probs, none: Float32Array.from(answers, (answer) => answer.none) };
}
