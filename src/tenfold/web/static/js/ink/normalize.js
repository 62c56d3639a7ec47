// A picture of one thing -> the grey image of fixed size that a network was trained on.

import { findBackground } from "./background.js";
import { SIDE, frameInk } from "./frame.js";
import { liftInk } from "./lift.js";
import { findRows, joinMarks } from "./marks.js";
import { openGrey, openPicture } from "./open.js";
import { BOX, resizeBytes } from "./resize.js";

/**
 * RGBA -> bytes of the training images' size [height, width] and polarity ("dark", "light" or "any" ground). A
 * picture of that size is only turned round; digits-like ones of another go through `normalizeInk`.
 */
export function fitPicture(rgba, width, height, [tall, wide], background) {
  const grey = openGrey(rgba, width, height);
  const fits = width === wide && height === tall;
  if (!fits && background === "dark" && wide === SIDE && tall === SIDE) return normalizeInk(rgba, width, height);
  const found = findBackground(grey);
  if (background !== "any" && found !== background) grey.data = grey.data.map((value) => 255 - value);
  return fits ? grey.data : resizeBytes(grey, wide, tall, BOX).data;
}

/** One digit in a picture of any kind -> Uint8Array of 28x28, light ink on black; a blank is all black. */
export function normalizeInk(rgba, width, height) {
  const marks = findRows(liftInk(openPicture(rgba, width, height))).flat();
  return marks.length ? frameInk(joinMarks(marks).strength) : new Uint8Array(SIDE * SIDE);
}
