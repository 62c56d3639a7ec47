// Connected regions of a mask, and distances to its edge.

/**
 * Values above `least` -> {labels: Int32Array, count}: 1, 2, ... on regions joined by sides or corners, in the
 * order of their first pixels. Rosenfeld & Pfaltz 1966.
 */
export function labelRegions(values, width, height, least) {
  const labels = new Int32Array(width * height);
  const parents = [0];
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (!(values[i] > least)) continue;
      let label = x > 0 ? labels[i - 1] : 0;
      if (y > 0) {
        label = join(parents, label, labels[i - width]);
        if (x > 0) label = join(parents, label, labels[i - width - 1]);
        if (x + 1 < width) label = join(parents, label, labels[i - width + 1]);
      }
      labels[i] = label || parents.push(parents.length) - 1;
    }
  }
  return renumber(labels, parents);
}

function find(parents, label) {
  let root = label;
  while (parents[root] !== root) root = parents[root] = parents[parents[root]];
  return root;
}

function join(parents, one, other) {
  if (!one || !other || one === other) return one || other;
  const [a, b] = [find(parents, one), find(parents, other)];
  parents[Math.max(a, b)] = Math.min(a, b);
  return Math.min(a, b);
}

function renumber(labels, parents) {
  const numbers = new Int32Array(parents.length);
  let count = 0;
  for (let label = 1; label < parents.length; label++) {
    const root = find(parents, label);
    numbers[label] = root === label ? ++count : numbers[root];
  }
  for (let i = 0; i < labels.length; i++) if (labels[i]) labels[i] = numbers[labels[i]];
  return { labels, count };
}

/** A mask of 0 and 1 with all eight neighbours of its pixels. */
export function growMask(mask, width, height) {
  const across = mask.map((value, i) => value | (i % width && mask[i - 1]) | ((i + 1) % width && mask[i + 1]));
  return across.map((value, i) => value | (across[i - width] ?? 0) | (across[i + width] ?? 0));
}

/** [x0, y0, x1, y1] of labels 1 to `count`. */
export function findBoxes(labels, width, height, count) {
  const boxes = Array.from({ length: count }, () => null);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (!labels[i]) continue;
      const box = boxes[labels[i] - 1];
      if (!box) boxes[labels[i] - 1] = [x, y, x + 1, y + 1];
      else {
        if (x < box[0]) box[0] = x;
        if (x >= box[2]) box[2] = x + 1;
        box[3] = y + 1;
      }
    }
  }
  return boxes;
}

/**
 * Mask -> Float32Array: from each pixel's middle to that of the nearest 0, in pixels. Those beyond `exactTo`
 * may come out larger. Down the columns first, then along the rows (Saito & Toriwaki 1994), from near to
 * far until farther ones can no longer be the nearest.
 */
export function distanceToOutside(mask, width, height, exactTo = Infinity) {
  const squares = squaresInColumns(mask, width, height);
  const nearest = squares.slice();
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = y * width + x;
      let best = squares[i];
      for (let step = 1; step <= exactTo && step * step < best && step < width; step++) {
        if (x >= step) best = Math.min(best, squares[i - step] + step * step);
        if (x + step < width) best = Math.min(best, squares[i + step] + step * step);
      }
      nearest[i] = Math.sqrt(best);
    }
  }
  return nearest;
}

function squaresInColumns(mask, width, height) {
  const squares = new Float32Array(width * height);
  for (let x = 0; x < width; x++) {
    let rows = Infinity;
    for (let i = x; i < squares.length; i += width) {
      rows = mask[i] ? rows + 1 : 0;
      squares[i] = rows * rows;
    }
    rows = Infinity;
    for (let i = (height - 1) * width + x; i >= 0; i -= width) {
      rows = mask[i] ? rows + 1 : 0;
      squares[i] = Math.min(squares[i], rows * rows);
    }
  }
  return squares;
}
