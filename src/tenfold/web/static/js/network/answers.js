/** What follows a network's last layer, in float64: logits become probabilities, and the way back. */

export function softmax(logits, temperature = 1) {
  const largest = Math.max(...logits);
  const powers = logits.map((value) => Math.exp((value - largest) / temperature));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

export function logSoftmax(logits) {
  const sum = logSumExp(logits);
  return logits.map((value) => value - sum);
}

function logSumExp(values) {
  const largest = Math.max(...values);
  return largest + Math.log(values.reduce((total, value) => total + Math.exp(value - largest), 0));
}

/** The logarithm of the mean probabilities, from logarithms of several networks' probabilities. */
export function logMean(answers) {
  return answers[0].map((_, column) => logSumExp(answers.map((each) => each[column])) - Math.log(answers.length));
}

/** The weights of the lead of a column over the best other one: 1, -1, else 0. */
export function leadOf(logits, column) {
  const others = logits.map((value, i) => (i === column ? -Infinity : value));
  const second = others.indexOf(Math.max(...others));
  return logits.map((_, i) => (i === column ? 1 : i === second ? -1 : 0));
}

/** How a weighted sum of logarithms of mean probabilities changes with the logits of one of `count` networks. */
export function memberSlope(weights, logits, mean, count) {
  const logs = logSoftmax(logits);
  const shares = weights.map((value, i) => (value * Math.exp(logs[i] - mean[i])) / count);
  const sum = shares.reduce((total, share) => total + share, 0);
  return shares.map((share, i) => share - Math.exp(logs[i]) * sum);
}
