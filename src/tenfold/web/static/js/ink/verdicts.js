// What to make of probabilities, by the thresholds of a model's card (`model.json`).

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
