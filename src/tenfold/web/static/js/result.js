// What was read, shown: the text, a box on every mark, and of one mark what the network saw and how sure it is.

const NO_DIGIT = "not a digit";
const CLASS_OF = { digit: "digit", unsure: "unsure", "not a digit": "refused" };

export const $ = (id) => document.getElementById(id);

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** "98.7 %"; never a full hundred, which no network can know. */
export function percent(share) {
  if (share >= 0.9995) return ">\u202f99.9\u00a0%";
  return share < 0.0005 ? "0\u00a0%" : `${(100 * share).toFixed(1)}\u00a0%`;
}

/** The name of a verdict, for the eye and for a screen reader. */
export function tell(digit) {
  if (digit.verdict === "digit") return digit.label;
  return digit.verdict === NO_DIGIT ? NO_DIGIT : `unsure, perhaps ${digit.label}`;
}

/** A reading as one says it, each mark by itself. */
export function inWords({ digits, troubles }) {
  const read = digits.length ? `Read: ${digits.map(tell).join(", ")}` : "Nothing found";
  return [read, ...troubles].join(". ");
}

/** [{name, share}]: every class, and "not a digit" where the network can say so; together they are 1. */
export function barsOf(digit, { classes, rejects }) {
  const bars = classes.map((name, i) => ({ name, share: digit.probs[i] * (1 - digit.none) }));
  return rejects ? [...bars, { name: NO_DIGIT, share: digit.none }] : bars;
}

export const sign = (digit) => (digit.verdict === "digit" ? digit.label : "?");

export class Result {
  constructor(choose) {
    this.choose = choose; // (number) => void
  }

  /** reading: what a backend gave, or null for nothing. box: where it stands in the drawing area. */
  show(reading, box, chosen) {
    const digits = reading?.digits ?? [];
    showText(reading);
    $("troubles").replaceChildren(...(reading?.troubles ?? []).map((text) => element("li", { textContent: text })));
    this.showBoxes(reading, box, chosen);
    this.showMarks(digits, chosen);
    $("detail").hidden = !digits.length;
    if (digits.length) showDetail(digits[chosen]);
  }

  showBoxes(reading, box, chosen) {
    const marks = (reading?.digits ?? []).filter((digit) => digit.box);
    $("boxes").replaceChildren(
      ...marks.map((digit, number) => {
        const [x0, y0, x1, y1] = digit.box;
        const made = element("div", { className: CLASS_OF[digit.verdict] });
        made.classList.toggle("chosen", marks.length > 1 && number === chosen);
        const left = box.left + (box.width * x0) / reading.width;
        const top = box.top + (box.height * y0) / reading.height;
        made.classList.toggle("low", top < 0.06);
        const share = (value) => `${(100 * value).toFixed(3)}%`;
        Object.assign(made.style, {
          left: share(left), top: share(top),
          width: share((box.width * (x1 - x0)) / reading.width), height: share((box.height * (y1 - y0)) / reading.height),
        });
        made.append(element("b", { textContent: sign(digit) }));
        return made;
      }),
    );
  }

  showMarks(digits, chosen) {
    const group = $("marks");
    group.hidden = digits.length < 2;
    group.classList.toggle("many", digits.length > 16);
    const focused = [...group.children].indexOf(document.activeElement);
    group.replaceChildren(
      ...digits.map((digit, number) => {
        const button = element("button", { type: "button", textContent: sign(digit), className: CLASS_OF[digit.verdict] });
        button.setAttribute("aria-pressed", String(number === chosen));
        button.setAttribute("aria-label", `mark ${number + 1}: ${tell(digit)}`);
        button.addEventListener("click", () => this.choose(number));
        return button;
      }),
    );
    group.children[focused]?.focus();
  }
}

function showText(reading) {
  const place = $("text");
  const digits = reading?.digits ?? [];
  if (!digits.length) {
    place.replaceChildren(element("span", { className: "nothing", textContent: reading ? "nothing found" : "nothing yet" }));
    return;
  }
  const rows = reading.text.split("\n").map((row) => row.length);
  const parts = [];
  let [row, column] = [0, 0];
  for (const digit of digits) {
    if (column === rows[row]) {
      parts.push("\n");
      [row, column] = [row + 1, 0];
    }
    const part = element("span", { className: CLASS_OF[digit.verdict], textContent: sign(digit) });
    if (digit.verdict !== "digit") part.append(element("span", { className: "unseen", textContent: ` (${tell(digit)})` }));
    parts.push(part);
    column += sign(digit).length;
  }
  place.classList.toggle("long", reading.text.length > 10);
  place.classList.toggle("longest", reading.text.length > 60);
  place.replaceChildren(...parts);
}

function showDetail(digit) {
  drawSeen($("seen"), digit, $("why").checked);
  $("seen").setAttribute("aria-label", `What the network sees, 28 by 28 pixels: ${tell(digit)}`);
  const best = digit.bars.reduce((high, bar) => (bar.share > high.share ? bar : high));
  const rows = $("bars");
  if (rows.children.length !== digit.bars.length) rows.replaceChildren(...digit.bars.map(() => emptyBar()));
  digit.bars.forEach((bar, number) => {
    const row = rows.children[number];
    const [name, line, text] = row.children;
    row.classList.toggle("best", bar === best);
    row.classList.toggle("none", bar.name === NO_DIGIT);
    name.textContent = bar.name;
    line.style.setProperty("--share", bar.share.toFixed(4));
    text.textContent = percent(bar.share);
  });
}

function emptyBar() {
  return element(
    "li", {}, element("span", { className: "name" }), element("span", { className: "bar" }),
    element("span", { className: "share" }),
  );
}

/** The framed picture, light on black, with orange where the ink speaks for the answer and blue where against. */
export function drawSeen(canvas, digit, explained) {
  const side = Math.round(Math.sqrt(digit.image.length));
  const small = Object.assign(document.createElement("canvas"), { width: side, height: side });
  const context = small.getContext("2d");
  const pixels = context.createImageData(side, side);
  const map = explained && digit.saliency;
  const most = map ? map.reduce((high, value) => Math.max(high, Math.abs(value)), 1e-9) : 1;
  digit.image.forEach((grey, i) => {
    const share = map ? Math.sqrt(Math.abs(map[i]) / most) * (grey / 255) : 0;
    const colour = map?.[i] > 0 ? [255, 140, 40] : [90, 160, 255];
    colour.forEach((value, channel) => {
      pixels.data[4 * i + channel] = Math.round(grey * (1 - share) + value * share);
    });
    pixels.data[4 * i + 3] = 255;
  });
  context.putImageData(pixels, 0, 0);
  const shown = canvas.getContext("2d");
  shown.imageSmoothingEnabled = false;
  shown.drawImage(small, 0, 0, canvas.width, canvas.height);
}
