/** What stands behind a network's last layer, in float64: logits become probabilities, and the way back. */

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

/** How log(p / (1 - p)) of one column changes with each logit. */
export function logOddsSlope(logits, column, temperature) {
  const others = softmax(logits.map((value, i) => (i === column ? -Infinity : value)), temperature);
  return others.map((share, i) => (i === column ? 1 : -share) / temperature);
}

/** How something changes with one network's logits, from how it changes with the log of the mean. */
export function memberSlope(slope, logits, mean, count) {
  const logs = logSoftmax(logits);
  const shares = slope.map((value, i) => (value * Math.exp(logs[i] - mean[i])) / count);
  const sum = shares.reduce((total, share) => total + share, 0);
  return shares.map((share, i) => share - Math.exp(logs[i]) * sum);
}
