// Scores of columns -> text: CTC prefix beam search, as in reader/decode.py.

const BEAMS = 12;
const LEAST = -7; // log-probability: characters less likely in a column are not tried
const TIE = 1e-3; // log-probability: of columns that differ by no more the first is a character's place
const SURELY_BLANK = -1e-4;

/** log(exp(one) + exp(other)) */
function add(one, other) {
  const [low, high] = one < other ? [one, other] : [other, one];
  return low === -Infinity ? high : high + Math.log1p(Math.exp(low - high));
}

const totalOf = ({ blank, character }) => add(blank, character);
const likelier = (one, other) => other.total - one.total;
export const isDigit = (character) => character >= "0" && character <= "9";
export const onlyDigits = (text) => [...text].filter(isDigit).join("");

/**
 * logs: rows of log-probabilities, one per column, the blank last. characters: those of the other places.
 * Gives {text, places: the column of each character, shares: the probability of each sequence of digits}.
 *
 * A beam is a text so far: blank, character: log-probability of all paths to it that end in a blank, or in
 * its last character; places: the column where each character was likeliest, and how likely (log).
 */
export function decode(logs, characters) {
  let beams = [{ text: "", blank: 0, character: -Infinity, places: [] }];
  logs.forEach((row, column) => {
    const blank = row[characters.length];
    if (blank <= SURELY_BLANK) beams = advance(beams, row, column, characters);
    else for (const beam of beams) [beam.blank, beam.character] = [totalOf(beam) + blank, -Infinity]; // nothing ends here
  });
  for (const beam of beams) [beam.total, beam.digits] = [totalOf(beam), onlyDigits(beam.text)];
  const shares = new Map();
  for (const { digits, total } of beams) shares.set(digits, (shares.get(digits) ?? 0) + Math.exp(total));
  const [likeliest] = [...shares].reduce((high, share) => (share[1] > high[1] ? share : high));
  const best = beams.filter(({ digits }) => digits === likeliest).reduce((high, beam) => (beam.total > high.total ? beam : high));
  for (const [digits, share] of shares) shares.set(digits, Math.min(1, share));
  return { text: best.text, places: best.places.map(([column]) => column), shares };
}

/** All texts that this column may make of those so far, the likeliest kept. */
function advance(beams, row, column, characters) {
  const grown = new Map();
  const at = (text, places) => {
    if (!grown.has(text)) grown.set(text, { text, blank: -Infinity, character: -Infinity, places });
    return grown.get(text);
  };
  for (const beam of beams) {
    const total = totalOf(beam), last = beam.text.at(-1);
    const kept = at(beam.text, beam.places);
    kept.blank = add(kept.blank, total + row[characters.length]);
    for (let place = 0; place < characters.length; place++) {
      const value = row[place], character = characters[place];
      if (!(value > LEAST)) continue;
      if (character === last) {
        kept.character = add(kept.character, beam.character + value);
        kept.places = moved(kept.places, [column, value]);
      }
      const came = (character === last ? beam.blank : total) + value;
      if (came === -Infinity) continue;
      const longer = at(beam.text + character, [...beam.places, [column, value]]);
      if (value > longer.places.at(-1)[1] + TIE) longer.places = [...beam.places, [column, value]];
      longer.character = add(longer.character, came);
    }
  }
  for (const beam of grown.values()) beam.total = totalOf(beam);
  return [...grown.values()].sort(likelier).slice(0, BEAMS);
}

/** The last character was seen in this column, too: where it is likelier, it stands here. */
const moved = (places, seen) => (places.length && seen[1] > places.at(-1)[1] + TIE ? [...places.slice(0, -1), seen] : places);
