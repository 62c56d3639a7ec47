// A picture of one digit -> the image that the network takes.

import { SIDE, frameInk } from "./frame.js";
import { liftInk } from "./lift.js";
import { findRows, joinMarks } from "./marks.js";
import { openPicture } from "./open.js";

/** RGBA -> Uint8Array of 28x28, light ink on black, all marks taken for one digit; a blank is all black. */
export function normalizeInk(rgba, width, height) {
  const marks = findRows(liftInk(openPicture(rgba, width, height))).flat();
  return marks.length ? frameInk(joinMarks(marks).strength) : new Uint8Array(SIDE * SIDE);
}
