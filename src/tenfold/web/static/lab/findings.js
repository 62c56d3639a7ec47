/** Why a network does not learn: what the lab notices while it trains. */

const KEPT = 200; // steps that are looked back at

/** Sentences, the gravest first; none where nothing was noticed. */
export function findFaults(trainer) {
  const { losses, network, recipe, epochs } = trainer;
  if (!losses.length) return [];
  const checks = [notANumber, largeStart, deadUnits, saturated, unstable, vanishing, stalled, overfits];
  const given = { losses, network, recipe, epochs, trainer, batch: trainer.batch, k: trainer.data.names.length };
  const found = [];
  for (const check of checks) {
    const sentence = check(given);
    if (sentence) found.push(sentence);
    if (sentence && check === notANumber) break;
  }
  return found;
}

const mean = (numbers) => numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
const percent = (share) => `${Math.round(100 * share)} %`;

function notANumber({ losses }) {
  if (Number.isFinite(losses.at(-1))) return null;
  return "The loss is NaN or infinite. Lower the learning rate and start again.";
}

function largeStart({ losses, k, recipe, trainer }) {
  const guess = Math.log(k);
  if ((recipe.loss?.name ?? "cross-entropy") !== "cross-entropy" || trainer.startLoss < 2 * guess || losses.length > KEPT) return null;
  return `The first loss was ${trainer.startLoss.toFixed(1)}; guessing gives ${guess.toFixed(2)}. The weights start too large: choose Kaiming or Xavier, and scale the pixels to 0..1.`;
}

function deadUnits({ network, batch }) {
  const n = batch.places.length;
  for (const layer of network.layers.filter(({ spec }) => spec.kind === "relu")) {
    const size = layer.output.reduce((product, side) => product * side, 1), alive = new Uint8Array(size);
    for (let i = 0; i < n * size; i++) if (layer.outputs[i] > 0) alive[i % size] = 1;
    const dead = 1 - alive.reduce((sum, value) => sum + value, 0) / size;
    if (dead > 0.4) return `${percent(dead)} of the units of ${layer.name} are 0 for every image of the batch: their gradient is 0, so they do not learn. Lower the learning rate, or start the weights smaller.`;
  }
  return null;
}

function saturated({ network, batch, recipe, k }) {
  const n = batch.places.length, share = (values, size) => {
    let count = 0;
    for (let i = 0; i < size; i++) if (values[i] < 0.02 || values[i] > 0.98) count += 1;
    return count / size;
  };
  if (recipe.loss?.name === "sigmoid-distance") {
    const logits = network.layers.at(-1).outputs.subarray(0, n * k);
    const stuck = share(logits.map((logit) => 1 / (1 + Math.exp(-logit))), n * k);
    if (stuck > 0.9) return `${percent(stuck)} of the sigmoid outputs are near 0 or 1, where the gradient p (1 - p) is near 0: wrong answers hardly learn. Take cross-entropy with softmax, and start the weights smaller.`;
  }
  for (const layer of network.layers.filter(({ spec }) => spec.kind === "sigmoid")) {
    const stuck = share(layer.outputs, n * layer.output.reduce((product, side) => product * side, 1));
    if (stuck > 0.9) return `${percent(stuck)} of the outputs of ${layer.name} are near 0 or 1: its gradient vanishes. Start the weights smaller.`;
  }
  return null;
}

function unstable({ losses, k, recipe }) {
  if (losses.length < 20 || (recipe.loss?.name ?? "cross-entropy") !== "cross-entropy") return null;
  if (mean(losses.slice(-10)) < 1.5 * Math.max(Math.log(k), mean(losses.slice(0, 3)))) return null;
  return "The loss grows. Lower the learning rate: a tenth of it is a good next try.";
}

function vanishing({ trainer }) {
  const norms = trainer.norms().filter(({ name }) => name.endsWith(".weight") && !name.startsWith("norm"));
  if (norms.length < 3) return null;
  const relative = norms.map(({ gradient, values }) => gradient / (values || 1));
  if (relative[0] > 1e-3 * Math.max(...relative)) return null;
  return `The gradient of ${norms[0].name} is ${(relative[0] / Math.max(...relative)).toExponential(0)} of the largest, relative to the weights: the first layer hardly learns. ReLU in place of sigmoid, Kaiming and batch norm help.`;
}

function stalled({ epochs, k }) {
  if (epochs.length < 6) return null;
  const recent = epochs.slice(-5), gain = recent.at(-1).testAccuracy - recent[0].testAccuracy;
  if (recent.at(-1).testAccuracy > 0.85 || gain > 0.02) return null;
  if (recent.at(-1).testAccuracy < 1.5 / k) return "The network answers no better than chance. Try another learning rate: ten times larger, or a tenth.";
  return `The accuracy has stalled at ${percent(recent.at(-1).testAccuracy)} for five epochs.`;
}

function overfits({ epochs }) {
  if (epochs.length < 3) return null;
  const last = epochs.at(-1), lowest = Math.min(...epochs.map(({ testLoss }) => testLoss));
  if (last.accuracy - last.testAccuracy < 0.03 || last.testLoss < 1.15 * lowest) return null;
  return `The network overfits: ${percent(last.accuracy)} of the training images are right, ${percent(last.testAccuracy)} of the held-out ones, whose loss rises. Augmentation, dropout, fewer epochs or more images help.`;
}
