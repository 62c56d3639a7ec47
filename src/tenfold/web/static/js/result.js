// What was read, shown: the text, a box on every character, and of one what the network saw and how sure it is.

const NO_DIGIT = "not a digit";
const OTHER = "other"; // of the bars: letters, scribbles
const BARS = 5;
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
export function tell(character) {
  if (character.verdict === "digit") return character.label;
  return character.verdict === NO_DIGIT ? NO_DIGIT : `unsure, perhaps ${character.label}`;
}

/** A reading as one says it, each character by itself. */
export function inWords({ characters, troubles }) {
  const read = characters.length ? `Read: ${characters.map(tell).join(", ")}` : "Nothing found";
  return [read, ...troubles].join(". ");
}

/** [{name, share}], the likeliest first: classes, and none of them where the network can say so. */
export function barsOf({ probs, none }, classes) {
  const sum = probs.reduce((total, value) => total + value, 0); // 1, or without the share of none
  const bars = classes.map((name, i) => ({ name, share: (probs[i] * (1 - none)) / sum }));
  return [...bars, { name: OTHER, share: none }].sort((one, other) => other.share - one.share).slice(0, BARS);
}

const sign = ({ verdict, label }) => (verdict === "digit" ? label : "?");

export class Result {
  constructor(choose) {
    this.choose = choose; // (number) => void
  }

  /** reading: what a backend gave, or null for nothing. box: where it stands in the drawing area. */
  show(reading, box, chosen) {
    const characters = reading?.characters ?? [];
    showText(reading);
    showSure(reading, characters[chosen]);
    $("troubles").replaceChildren(...(reading?.troubles ?? []).map((text) => element("li", { textContent: text })));
    this.showBoxes(reading, box, chosen);
    this.showMarks(characters, chosen);
    $("detail").hidden = !characters.length;
    if (characters.length) showDetail(characters[chosen]);
  }

  showBoxes(reading, area, chosen) {
    const found = (reading?.characters ?? []).filter(({ box }) => box);
    const share = (value) => `${(100 * value).toFixed(3)}%`;
    $("boxes").replaceChildren(
      ...found.map((character, number) => {
        const [x0, y0, x1, y1] = character.box;
        const made = element("div", { className: CLASS_OF[character.verdict] });
        made.classList.toggle("chosen", found.length > 1 && number === chosen);
        const [across, down] = [area.width / reading.width, area.height / reading.height];
        made.classList.toggle("low", area.top + down * y0 < 0.06);
        Object.assign(made.style, {
          left: share(area.left + across * x0), top: share(area.top + down * y0),
          width: share(across * (x1 - x0)), height: share(down * (y1 - y0)),
        });
        made.append(element("b", { textContent: sign(character) }));
        return made;
      }),
    );
  }

  showMarks(characters, chosen) {
    const group = $("marks");
    group.hidden = characters.length < 2;
    group.classList.toggle("many", characters.length > 16);
    const focused = [...group.children].indexOf(document.activeElement);
    group.replaceChildren(
      ...characters.map((each, number) => {
        const button = element("button", { type: "button", textContent: sign(each), className: CLASS_OF[each.verdict] });
        button.setAttribute("aria-pressed", String(number === chosen));
        button.setAttribute("aria-label", `character ${number + 1}: ${tell(each)}`);
        button.addEventListener("click", () => this.choose(number));
        return button;
      }),
    );
    group.children[focused]?.focus();
  }
}

function showText(reading) {
  const place = $("text");
  const characters = reading?.characters ?? [];
  const parts = characters.flatMap((each, i) => {
    const part = element("span", { className: CLASS_OF[each.verdict], textContent: sign(each) });
    if (each.verdict !== "digit") part.append(element("span", { className: "unseen", textContent: ` (${tell(each)})` }));
    return i && each.line !== characters[i - 1].line ? ["\n", part] : [part];
  });
  const nothing = element("span", { className: "nothing", textContent: reading ? "nothing found" : "nothing yet" });
  place.classList.toggle("long", characters.length > 10);
  place.classList.toggle("longest", characters.length > 60);
  place.replaceChildren(...(parts.length ? parts : [nothing]));
}

/** How sure the line of a character is. */
function showSure(reading, character) {
  const line = character?.line;
  $("sure").hidden = !line;
  if (!line) return;
  const which = reading.lines.length > 1 ? `Line ${reading.lines.indexOf(line) + 1}: ` : "";
  $("sure").textContent = `${which}${percent(line.confidence)} sure that its digits are right`;
}

function showDetail(character) {
  const { line, bars } = character;
  $("line").hidden = !line?.strip;
  if (line?.strip) showStrip(line);
  drawSeen($("seen"), character, $("why").checked);
  $("chosen").textContent = line ? "Around the character" : "What the network sees";
  $("seen").setAttribute("aria-label", `What the network sees: ${tell(character)}`);
  const rows = $("bars");
  if (rows.children.length !== bars.length) rows.replaceChildren(...bars.map(() => emptyBar()));
  bars.forEach(({ name, share }, number) => {
    const row = rows.children[number];
    const [label, length, text] = row.children;
    row.classList.toggle("best", number === 0);
    row.classList.toggle("none", name === OTHER);
    label.textContent = name;
    length.style.setProperty("--share", share.toFixed(4));
    text.textContent = percent(share);
  });
}

function emptyBar() {
  return element(
    "li", {}, element("span", { className: "name" }), element("span", { className: "bar" }),
    element("span", { className: "share" }),
  );
}

function showStrip({ strip, text }) {
  const canvas = $("strip");
  Object.assign(canvas, { width: strip.width, height: strip.data.length / strip.width });
  canvas.style.maxWidth = `${2 * strip.width}px`;
  canvas.setAttribute("aria-label", `The line as the network sees it: ${text}`);
  canvas.getContext("2d").putImageData(coloured(strip.data, strip.width, null), 0, 0);
}

/** What the network saw, with orange where it supports the answer and blue where it contradicts it. */
function drawSeen(canvas, { image, across, saliency }, explained) {
  const pixels = coloured(image, across ?? Math.sqrt(image.length), explained ? saliency : null);
  const small = Object.assign(document.createElement("canvas"), { width: pixels.width, height: pixels.height });
  small.getContext("2d").putImageData(pixels, 0, 0);
  const shown = canvas.getContext("2d");
  shown.imageSmoothingEnabled = false;
  shown.drawImage(small, 0, 0, canvas.width, canvas.height);
}

/** Grey bytes as ImageData; map: a number for each pixel, which colours it. */
export function coloured(bytes, width, map) {
  const pixels = new ImageData(width, bytes.length / width);
  const most = map ? map.reduce((high, value) => Math.max(high, Math.abs(value)), 1e-9) : 1;
  bytes.forEach((grey, i) => {
    const share = map ? Math.abs(map[i]) / most : 0;
    const colour = map?.[i] > 0 ? [255, 140, 40] : [90, 160, 255];
    pixels.data.set([...colour.map((value) => Math.round(grey * (1 - share) + value * share)), 255], 4 * i);
  });
  return pixels;
}
