// The one operation that takes the time: products of matrices, in WebAssembly with SIMD where there is such.

/** product.wat, compiled. */
const MODULE =
  "AGFzbQEAAAABDgFgCn9/f39/f39/f38AAg8BA2VudgZtZW1vcnkCAAEDAgEABwsBB3Byb2R1Y3QAAAq9BAG6BAIKfwt7IARBAXQh" +
  "EiASIARqIRMDQCALIAFBCGsgCyABQQhrTBshDUEAIQoDQCAKIABBBGsgCiAAQQRrTBshDCADIAwgBGxqIQ8gBiANQQJ0aiEQIAIh" +
  "Dv0MAAAAAAAAAAAAAAAAAAAAACEX/QwAAAAAAAAAAAAAAAAAAAAAIRj9DAAAAAAAAAAAAAAAAAAAAAAhGf0MAAAAAAAAAAAAAAAA" +
  "AAAAACEa/QwAAAAAAAAAAAAAAAAAAAAAIRv9DAAAAAAAAAAAAAAAAAAAAAAhHP0MAAAAAAAAAAAAAAAAAAAAACEd/QwAAAAAAAAA" +
  "AAAAAAAAAAAAIR4DQCAQ/QAEACEVIBD9AAQQIRYgD/0JAgAhFCAXIBQgFf3mAf3kASEXIBggFCAW/eYB/eQBIRggDyAEav0JAgAh" +
  "FCAZIBQgFf3mAf3kASEZIBogFCAW/eYB/eQBIRogDyASav0JAgAhFCAbIBQgFf3mAf3kASEbIBwgFCAW/eYB/eQBIRwgDyATav0J" +
  "AgAhFCAdIBQgFf3mAf3kASEdIB4gFCAW/eYB/eQBIR4gDyAFaiEPIBAgB2ohECAOQQFrIg4NAAsgCCAMIAlsaiANQQJ0aiERIBEg" +
  "F/0LBAAgESAY/QsEECARIAlqIREgESAZ/QsEACARIBr9CwQQIBEgCWohESARIBv9CwQAIBEgHP0LBBAgESAJaiERIBEgHf0LBAAg" +
  "ESAe/QsEECAKQQRqIgogAEgNAAsgC0EIaiILIAFIDQALCwCtAQRuYW1lAooBAQAfAAFtAQFuAgFrAwFhBARhcm93BQRhY29sBgFi" +
  "BwRicm93CAFjCQRjcm93CgFpCwFqDANyb3cNBmNvbHVtbg4BcA8CcGEQAnBiEQJwYxICYTITAmEzFAF4FQJiMBYCYjEXA2MwMBgD" +
  "YzAxGQNjMTAaA2MxMRsDYzIwHANjMjEdA2MzMB4DYzMxAxkBAAMAB2NvbHVtbnMBBHJvd3MCBWlubmVy";

const PAGE = 65536; // bytes of a page of WebAssembly's memory
const ALIGN = 16;

/**
 * Memory for all arrays of a network, and the product that works in it.
 *
 * @param {number} bytes
 * @param {{plain?: boolean}} [options] plain: without WebAssembly
 */
export async function makeHeap(bytes, { plain = false } = {}) {
  const pages = Math.ceil(bytes / PAGE) + 1;
  if (!plain) {
    try {
      const memory = new WebAssembly.Memory({ initial: pages });
      const code = Uint8Array.from(atob(MODULE), (letter) => letter.charCodeAt(0));
      const { instance } = await WebAssembly.instantiate(code, { env: { memory } });
      return new Heap(memory.buffer, instance.exports.product);
    } catch {
      // no SIMD, or a page that may not compile: slower, the same numbers but for the last bits
    }
  }
  return new Heap(new ArrayBuffer(pages * PAGE), null);
}

export class Heap {
  constructor(buffer, quick) {
    Object.assign(this, { buffer, quick, next: 0 });
  }

  get name() {
    return this.quick ? "WebAssembly SIMD" : "JavaScript";
  }

  /** A Float32Array of zeros. */
  floats(count) {
    const start = this.next;
    this.next = Math.ceil((start + 4 * count) / ALIGN) * ALIGN;
    if (this.next > this.buffer.byteLength) throw new Error("the network does not fit into memory; make it smaller");
    return new Float32Array(this.buffer, start, count);
  }

  /** c = a b, with a (m, k), b (k, n), c (m, n), row by row; or with `turned`, a is stored as (k, m). */
  product(a, b, c, m, n, k, turned = false) {
    const [aRow, aColumn] = turned ? [1, m] : [k, 1];
    if (this.quick && m >= 4 && n >= 8) {
      this.quick(
        m, n, k, a.byteOffset, 4 * aRow, 4 * aColumn, b.byteOffset, 4 * n, c.byteOffset, 4 * n,
      );
      return;
    }
    for (let i = 0; i < m; i++) {
      const row = c.subarray(i * n, (i + 1) * n).fill(0);
      for (let p = 0; p < k; p++) {
        const factor = a[i * aRow + p * aColumn], from = p * n;
        if (factor !== 0) for (let j = 0; j < n; j++) row[j] += factor * b[from + j];
      }
    }
  }
}

/** to (columns, rows) from (rows, columns). */
export function transpose(from, to, rows, columns) {
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) to[j * rows + i] = from[i * columns + j];
}
