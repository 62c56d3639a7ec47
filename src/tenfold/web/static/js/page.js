// The page: whatever is drawn or shown is read at once, and again while it changes.

import { connect } from "./backends.js";
import { Pad, blobOf } from "./pad.js";
import { listenForPictures } from "./pictures.js";
import { $, Result, barsOf, element, inWords } from "./result.js";
import { showTable } from "./table.js";

const LIVE_EVERY = 120; // milliseconds between readings while the pen is down
const MOST_CHARACTERS = 32; // of a correction

export const pad = new Pad($("pad"), $("pen-place"));
const result = new Result(choose);
let inside = null; // the view of the network, loaded when it is first opened
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
  $("about").textContent = `Model: ${backend.model.name}, which knows ${brief(backend.classes)}.`;
  $("tables").hidden = backend.api;
  $("lab").hidden = !backend.lab;
  $("keeps").textContent = backend.collects
    ? "This server stores corrections; it stores a picture only if you correct it."
    : "Nothing that you write or show is stored.";
  $("asking").hidden = !backend.api;
  page.ready = "yes";
  if (!pad.empty) ask({ explain: true });
}

const brief = (names) => (names.length > 20 ? `${names.slice(0, 10).join(" ")} …` : names.join(" "));

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
    reading = { ...answer, source, width: source.width, height: source.height, settled: explain };
    const lines = reading.lines.flatMap((line) => [...line.text].map(() => line)); // of each character
    reading.characters.forEach((each, i) => Object.assign(each, { line: lines[i], bars: barsOf(each, backend.classes) }));
    show(Math.min(chosen, Math.max(0, reading.characters.length - 1)));
    say(`${backend.where}, in ${Math.max(1, Math.round(reading.milliseconds))} ms`);
    if (!explain) return;
    performance.measure("answer", { start: since, end: performance.now() });
    $("said").textContent = inWords(reading);
    await explainChosen();
  } catch (error) {
    say(error.message, true);
  }
}

/** What decided is worked out after the answer, and of the character that is looked at. */
async function explainChosen() {
  const character = reading?.characters[chosen];
  if (!character || !reading.settled) return;
  character.saliency ??= await backend.explain(character);
  if (reading?.characters[chosen] === character) show(chosen);
}

function choose(number) {
  show(number);
  explainChosen().catch((error) => say(error.message, true));
}

function show(number) {
  chosen = number;
  result.show(reading, pad.pictureBox(), chosen);
  showTable(reading, chosen, choose);
  showInside();
  $("invitation").hidden = !pad.empty;
  $("undo").disabled = !pad.past.length;
  $("redo").disabled = !pad.undone.length;
  $("clear").disabled = pad.empty;
  $("correct").hidden = !(backend?.collects && (reading || $("corrections").children.length));
  for (const id of ["keep", "none"]) $(id).disabled = !reading?.settled;
  const which = reading?.lines.length > 1 ? "in this line" : "there";
  $("asked").textContent = `Wrong? What is written ${which}:`;
}

/** Of the chosen character's line, with the character's number in it. */
function showInside() {
  const character = reading?.characters[chosen], line = character?.line;
  const own = reading?.characters.filter((each) => each.line === line) ?? [];
  $("inside").hidden = !(backend?.lines && line?.strip);
  inside?.show(backend?.lines ? line : null, own.indexOf(character));
}

async function openInside() {
  if (inside || !$("inside").open) return;
  try {
    const { InsideView } = await import("./inside-view.js");
    inside ??= new InsideView((action, more) => backend.inside(action, more), say);
    showInside();
  } catch (error) {
    say(error.message, true);
  }
}

/** Keeps the whole picture, or of several lines the chosen one. */
async function correct(label) {
  const { source, lines, characters } = reading;
  const line = lines.length > 1 ? characters[chosen].line : null;
  const read = (line ?? reading).text;
  try {
    const { kept } = await backend.correct({ picture: await blobOf(source, line?.box), read, label });
    const text = `${read ? `read as ${read}` : "nothing was read"}, kept as ${label}; ${kept} kept for tenfold adapt`;
    $("corrections").prepend(element("li", { textContent: text }));
    $("right").value = "";
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
  const found = reading?.characters.findIndex(within) ?? -1;
  if (found >= 0) choose(found);
});
$("undo").addEventListener("click", () => {
  pad.undo();
  if ($("undo").disabled) $("pad").focus({ preventScroll: true });
});
$("redo").addEventListener("click", () => {
  pad.redo();
  if ($("redo").disabled) $("pad").focus({ preventScroll: true });
});
$("clear").addEventListener("click", () => {
  pad.clear();
  $("pad").focus({ preventScroll: true });
});
$("width").addEventListener("input", () => {
  pad.penWidth = Number($("width").value);
});
$("inside").addEventListener("toggle", openInside);
$("why").addEventListener("change", () => show(chosen));
$("correct").addEventListener("submit", (event) => {
  event.preventDefault();
  const label = $("right").value.replaceAll(" ", "");
  const known = [...label].every((character) => backend.classes.join("").includes(character));
  if (known && label && label.length <= MOST_CHARACTERS) correct(label);
  else say(`a correction has 1 to ${MOST_CHARACTERS} of the characters ${brief(backend.classes)}`, true);
});
$("none").addEventListener("click", () => correct("not a digit"));
document.addEventListener("keydown", (event) => {
  if (event.target.matches("#right")) return;
  const key = event.key.toLowerCase();
  if ((event.ctrlKey || event.metaKey) && (key === "z" || key === "y")) {
    event.preventDefault();
    if (key === "y" || event.shiftKey) pad.redo();
    else pad.undo();
  } else if (event.key === "Delete" && !event.target.matches("input")) pad.clear();
});
listenForPictures(
  (bitmap, blob) => pad.show(bitmap, blob),
  (text) => say(text, true),
);
show(0);
start();
