// What to make of probabilities, by the thresholds of a model's card (`model.json`).

import { roundEven } from "./numbers.js";

/** Ten digits, none refused: where there is no card. */
export const PLAIN = { class_names: [..."0123456789"], verdict: { least_confidence: 0, most_none: 1 } };

/** The likeliest class, its probability, and "digit", "unsure" or "not a digit". */
export function judgeVerdict(probs, none, card) {
  const best = probs.indexOf(Math.max(...probs));
  const { least_confidence: least = 0, most_none: most = 1 } = card.verdict ?? {};
  const verdict = none > most ? "not a digit" : probs[best] < least ? "unsure" : "digit";
  return { label: card.class_names[best], confidence: probs[best], verdict };
}

/** The likeliest classes, best first: [{label, confidence}]. */
export function alternatives(probs, card, count = 3) {
  const all = Array.from(probs, (confidence, i) => ({ label: card.class_names[i], confidence }));
  return all.sort((a, b) => b.confidence - a.confidence).slice(0, count);
}

/** The digits as text: "?" for each that is refused or unsure, a newline between rows. */
export function toText(digits) {
  const rows = [];
  for (const { row, verdict, label } of digits) {
    rows[row] = (rows[row] ?? "") + (verdict === "digit" ? label : "?");
  }
  return rows.join("\n");
}

/** "98.7 %"; never a full hundred, which no network can know. */
export function percent(share) {
  return share >= 0.9995 ? "over 99.9 %" : `${(roundEven(1000 * share) / 10).toFixed(1)} %`;
}

/** "4 or 9 (51 % / 47 %)" where it is unsure, "not a digit" where it is refused, else "". */
export function explainVerdict({ verdict, probs }, card = PLAIN) {
  if (verdict !== "unsure") return verdict === "digit" ? "" : verdict;
  const [first, second] = alternatives(probs, card, 2);
  const shares = [first, second].map(({ confidence }) => `${roundEven(100 * confidence)} %`);
  return `${first.label} or ${second.label} (${shares.join(" / ")})`;
}
