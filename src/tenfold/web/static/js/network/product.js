/** Matrix products: what nearly all of a network's time goes into. */

const TOGETHER = 4; // outputs whose weights stand beside each other, so that one pass reads them in order

/** A matrix that rows are multiplied by. Sums are taken in float64, which costs nothing here. */
export class Product {
  /**
   * @param {Float32Array} weights outputs x inputs, one output after another
   * @param {Float32Array} bias one number per output, or empty for none
   */
  constructor(weights, bias, outputs) {
    this.inputs = weights.length / outputs;
    this.outputs = outputs;
    const blocks = Math.ceil(outputs / TOGETHER);
    this.bias = new Float32Array(blocks * TOGETHER);
    this.bias.set(bias);
    this.packed = new Float32Array(blocks * TOGETHER * this.inputs);
    for (let output = 0; output < outputs; output++) {
      const block = Math.floor(output / TOGETHER) * TOGETHER * this.inputs;
      for (let k = 0; k < this.inputs; k++) {
        this.packed[block + k * TOGETHER + (output % TOGETHER)] = weights[output * this.inputs + k];
      }
    }
  }

  /** rows (count x inputs) -> out (count x outputs), which it returns. Two rows at a time; an odd last one is its own twin. */
  run(rows, count, out) {
    const { inputs, outputs, packed, bias } = this;
    for (let o = 0, start = 0; o < outputs; o += TOGETHER, start += TOGETHER * inputs) {
      const b0 = bias[o], b1 = bias[o + 1], b2 = bias[o + 2], b3 = bias[o + 3];
      for (let row = 0; row < count; row += 2) {
        const twin = row + 1 < count ? 1 : 0;
        const first = row * inputs, second = first + twin * inputs;
        let p0 = b0, p1 = b1, p2 = b2, p3 = b3, q0 = b0, q1 = b1, q2 = b2, q3 = b3;
        for (let k = 0, w = start; k < inputs; k++, w += TOGETHER) {
          const w0 = packed[w], w1 = packed[w + 1], w2 = packed[w + 2], w3 = packed[w + 3];
          const p = rows[first + k], q = rows[second + k];
          p0 += p * w0; p1 += p * w1; p2 += p * w2; p3 += p * w3;
          q0 += q * w0; q1 += q * w1; q2 += q * w2; q3 += q * w3;
        }
        const at = row * outputs + o, below = at + twin * outputs;
        out[at] = p0; out[below] = q0;
        if (o + 1 < outputs) { out[at + 1] = p1; out[below + 1] = q1; }
        if (o + 2 < outputs) { out[at + 2] = p2; out[below + 2] = q2; }
        if (o + 3 < outputs) { out[at + 3] = p3; out[below + 3] = q3; }
      }
    }
    return out;
  }
}

/** rows x columns -> columns x rows. */
export function transpose(matrix, rows) {
  const columns = matrix.length / rows;
  const turned = new Float32Array(matrix.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) turned[column * rows + row] = matrix[row * columns + column];
  }
  return turned;
}
