/** Random changes of training images: rotation, shear, shift, scale and a crop, as in a recipe's [augmentation]. */

export const AUGMENTATIONS = ["rotation", "shear", "shift", "scale", "crop_padding", "untouched"];

/** Writes the image at `from`, changed at random, as bytes into `to`; black comes in from outside. */
export function augment(images, from, to, height, width, settings, draw) {
  const { rotation = 0, shear = 0, shift = 0, scale = 0, crop_padding: crop = 0, untouched = 0 } = settings;
  const size = height * width;
  if (!(rotation || shear || shift || scale || crop) || draw() < untouched) {
    to.set(images.subarray(from, from + size));
    return;
  }
  const about = (most) => most * (2 * draw() - 1), radians = Math.PI / 180;
  const angle = about(rotation) * radians, lean = Math.tan(about(shear) * radians), grow = 1 + about(scale);
  const whole = () => Math.floor(draw() * (2 * crop + 1)) - crop;
  const right = about(shift) + (crop ? whole() : 0), down = about(shift) + (crop ? whole() : 0);
  const [cosine, sine] = [Math.cos(angle) / grow, Math.sin(angle) / grow];
  const [middleY, middleX] = [(height - 1) / 2, (width - 1) / 2];
  const at = (row, column) => (row >= 0 && row < height && column >= 0 && column < width ? images[from + row * width + column] : 0);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const dy = y - middleY - down, dx = x - middleX - right - lean * (y - middleY - down);
      const row = middleY + cosine * dy - sine * dx, column = middleX + sine * dy + cosine * dx;
      const top = Math.floor(row), left = Math.floor(column), v = row - top, u = column - left;
      const upper = at(top, left) * (1 - u) + at(top, left + 1) * u;
      const lower = at(top + 1, left) * (1 - u) + at(top + 1, left + 1) * u;
      to[i] = upper * (1 - v) + lower * v;
    }
  }
}
