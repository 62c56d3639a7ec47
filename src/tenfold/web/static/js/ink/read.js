// A decoded picture -> its digits, with verdicts, and in words what may have gone wrong.

import { liftInk } from "./lift.js";
import { roundEven } from "./numbers.js";
import { openPicture } from "./open.js";
import { segmentDigits } from "./segment.js";
import { findTroubles } from "./troubles.js";
import { PLAIN, judgeVerdict, toText } from "./verdicts.js";

/**
 * RGBA bytes, turned upright -> {text, digits, troubles, picture, ink}.
 * judge(images: bytes of n * 784, n) -> {probs: Float32Array n * K, none: Float32Array n}. card: class
 * names and thresholds, as in `model.json`. A digit: {label, confidence, verdict, probs, none, box in the
 * original's pixels, row, image: 28x28 bytes}. picture, ink: the steps, for showing.
 */
export function readInk(rgba, width, height, judge, card = PLAIN) {
  const picture = openPicture(rgba, width, height);
  const ink = liftInk(picture);
  const digits = segmentDigits(ink, judge).map((segment) => ({
    ...judgeVerdict(segment.probs, segment.none, card),
    ...segment,
    box: segment.box.map((edge) => roundEven(edge * picture.scale)),
  }));
  return { text: toText(digits), digits, troubles: findTroubles(picture, ink, digits), picture, ink };
}
