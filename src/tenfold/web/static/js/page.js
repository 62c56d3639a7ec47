// The page: whatever is drawn or shown is read at once, and again while it changes.

import { connect } from "./backends.js";
import { Pad } from "./pad.js";
import { listenForPictures } from "./pictures.js";
import { $, Result, barsOf, drawSeen, element, inWords, tell } from "./result.js";

const LIVE_EVERY = 120; // milliseconds between readings while the pen is down

const pad = new Pad($("pad"), $("pen-place"));
const result = new Result(choose);
let backend = null;
let reading = null; // the last answer
let chosen = 0;
let busy = false;
let wanted = null; // {explain, since}: what changed since the reading that is under way
let lastLive = 0;
const page = document.documentElement.dataset; // ready, busy: for whoever waits for the page

function say(text, trouble = false) {
  $("state").textContent = text;
  $("state").classList.toggle("trouble", trouble);
  if (trouble) $("said").textContent = text;
}

async function start() {
  try {
    backend = await connect();
  } catch (error) {
    say(`cannot read: ${error.message}`, true);
    return;
  }
  say(`ready; ${backend.where}`);
  const name = backend.model.name ?? backend.model.card?.recipe?.name ?? "reader";
  $("about").textContent = `Model: ${name}, ${backend.classes.length} classes (${brief(backend.classes)}).`;
  $("keeps").textContent = backend.collects
    ? "Corrections are kept by this server; pictures are not, unless you correct them."
    : "Nothing that you write or show is kept.";
  if (backend.collects) prepareCorrections();
  $("asking").hidden = !backend.api;
  page.ready = "yes";
  if (!pad.empty) ask({ explain: true });
}

const brief = (names) => (names.length > 12 ? `${names.slice(0, 10).join(", ")}, …` : names.join(", "));

/** Reads what is there now; while a reading is under way only the last wish is kept. */
async function ask(wish) {
  wanted = { explain: wish.explain || Boolean(wanted?.explain), since: wish.since ?? performance.now() };
  if (busy || !backend) return;
  busy = true;
  page.busy = "yes";
  while (wanted) {
    const now = wanted;
    wanted = null;
    await readOnce(now);
  }
  busy = false;
  delete page.busy;
}

async function readOnce({ explain, since }) {
  if (pad.empty) {
    reading = null;
    show(0);
    return;
  }
  const source = pad.source();
  const { sheet } = pad;
  try {
    const answer = await backend.read(source, { explain });
    if (pad.sheet !== sheet) return; // of what is there no more; the next round reads what is
    const { width, height } = source;
    reading = { ...answer, width, height, settled: explain };
    for (const digit of reading.digits) digit.bars = barsOf(digit, backend);
    show(Math.min(chosen, Math.max(0, reading.digits.length - 1)));
    say(`${backend.where}, in ${Math.max(1, Math.round(reading.milliseconds))} ms`);
    if (!explain) return;
    performance.measure("answer", { start: since, end: performance.now() });
    $("said").textContent = inWords(reading);
    await explainChosen();
  } catch (error) {
    say(error.message, true);
  }
}

/** Which ink decided is worked out after the answer, and of the mark that is looked at. */
async function explainChosen() {
  const digit = reading?.digits[chosen];
  if (!digit || !reading.settled) return;
  digit.saliency ??= await backend.explain(digit);
  if (reading?.digits[chosen] === digit) show(chosen);
}

function choose(number) {
  show(number);
  explainChosen().catch((error) => say(error.message, true));
}

function show(number) {
  chosen = number;
  result.show(reading, pad.pictureBox(), chosen);
  $("invitation").hidden = !pad.empty;
  $("undo").disabled = !pad.past.length;
  $("clear").disabled = pad.empty;
  $("correct").hidden = !(backend?.collects && (reading?.digits.length || $("corrections").children.length));
  const digit = reading?.digits[chosen];
  $("choices").parentElement.disabled = !digit;
  if (digit) $("correct-legend").textContent = reading.digits.length > 1 ? `Mark ${chosen + 1} was a …` : "That was a …";
}

function prepareCorrections() {
  $("choices").replaceChildren(
    ...[...backend.classes, "not a digit"].map((label) => {
      const button = element("button", { type: "button", textContent: label });
      button.addEventListener("click", () => correct(label));
      return button;
    }),
  );
}

async function correct(label) {
  const digit = reading.digits[chosen];
  try {
    const kept = await backend.correct({ image: digit.image, read: digit.verdict === "digit" ? digit.label : "?", label });
    const small = Object.assign(document.createElement("canvas"), { width: 28, height: 28 });
    drawSeen(small, digit, false);
    const text = `read as ${tell(digit)}, kept as ${label}; ${kept.kept} kept for tenfold adapt`;
    $("corrections").prepend(element("li", {}, small, element("span", { textContent: text })));
  } catch (error) {
    say(error.message, true);
  }
}

pad.addEventListener("draw", () => {
  show(chosen);
  const now = performance.now();
  if (now - lastLive < LIVE_EVERY || busy) return;
  lastLive = now;
  ask({ explain: false });
});
pad.addEventListener("change", () => {
  if (pad.empty) {
    reading = null;
    show(0);
  } else show(chosen);
  ask({ explain: true });
});
pad.addEventListener("pick", ({ detail }) => {
  const { x, y } = detail; // in the picture's pixels
  const within = ({ box }) => box && x >= box[0] && x <= box[2] && y >= box[1] && y <= box[3];
  const found = reading?.digits.findIndex(within) ?? -1;
  if (found >= 0) choose(found);
});
$("undo").addEventListener("click", () => {
  pad.undo();
  if ($("undo").disabled) $("pad").focus({ preventScroll: true });
});
$("clear").addEventListener("click", () => {
  pad.clear();
  $("pad").focus({ preventScroll: true });
});
$("width").addEventListener("input", () => {
  pad.penWidth = Number($("width").value);
});
$("why").addEventListener("change", () => show(chosen));
$("correct").addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z") {
    event.preventDefault();
    pad.undo();
  } else if (event.key === "Delete" && !event.target.matches("input")) pad.clear();
});
listenForPictures(
  (bitmap, blob) => pad.show(bitmap, blob),
  (text) => say(text, true),
);
show(0);
start();
