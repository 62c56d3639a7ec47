// What lies around the ink: light paper, or a dark ground as MNIST's.

/** "dark" where more than half of a grey picture's border is, else "light". */
export function findBackground({ data, width, height }) {
  let dark = 0;
  for (let x = 0; x < width; x++) dark += (data[x] < 128) + (data[(height - 1) * width + x] < 128);
  for (let y = 0; y < height; y++) dark += (data[y * width] < 128) + (data[(y + 1) * width - 1] < 128);
  return 2 * dark > 2 * (width + height) ? "dark" : "light";
}
