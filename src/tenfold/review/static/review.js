// One doubtful reading at a time: confirmed, corrected or called unreadable, by keyboard alone.

import { ask, at, end } from "./local.js";

let items = [];
let now = 0; // the item that is shown
let refused = null; // the text that Enter would take though it is not of the expected form

const { dataset } = document.documentElement; // busy: a request is under way
const text = at("text");

async function start() {
  const told = await ask("items");
  items = told.items;
  if (told.done) return finished();
  show(Math.min(told.next, items.length - 1));
  dataset.ready = "true";
}

function show(number) {
  now = number;
  const item = items[number];
  const place = [item.source, item.name].filter(Boolean).join(", ");
  at("item").hidden = false;
  at("progress").textContent = `${number + 1} of ${items.length}`;
  at("done").max = items.length;
  at("done").value = items.filter((each) => each.answer !== null).length;
  at("place").textContent = place;
  at("crop").src = `crop-${number}.png`;
  at("crop").alt = `Cut from the picture: ${place}`;
  at("read").replaceChildren(...marked(item.text));
  at("form").textContent = item.form && `Expected: ${item.form}`;
  at("back").disabled = number === 0;
  text.value = item.answer === null ? item.text : item.answer;
  refuse("");
  at("said").textContent = `${number + 1} of ${items.length}: ${place}. Read: ${spoken(item.text)}`;
  text.focus();
  text.select();
}

/** The characters, those that are doubtful marked. */
function marked(read) {
  const parts = read ? [...read] : ["nothing of the expected form"];
  return parts.map((part) => {
    const span = document.createElement("span");
    span.textContent = part;
    if (part === "?") span.className = "unsure";
    if (!read) span.className = "nothing";
    return span;
  });
}

function spoken(read) {
  return read.replaceAll("?", " doubtful ") || "nothing of the expected form";
}

function refuse(why, meant = null) {
  refused = meant;
  at("why").textContent = why;
  text.setAttribute("aria-invalid", String(Boolean(why)));
}

async function answer(given) {
  const typed = text.value;
  const unread = given || (typed === "" && items[now].answer === ""); // called unreadable before
  await alone(async () => {
    const told = await ask("answer", { item: now, text: typed, unread, sure: refused === typed });
    if (!told.taken) return text.value === typed && refuse(told.why, told.unusual ? typed : null);
    items[now].answer = told.text;
    if (told.done) return finished(told.trouble);
    show(now + 1 < items.length ? now + 1 : items.findIndex((each) => each.answer === null));
    if (told.trouble) at("why").textContent = told.trouble;
  });
}

function back() {
  if (now > 0 && !dataset.busy) show(now - 1);
}

const finish = () => alone(async () => {
  const { reviewed } = await ask("finish", {});
  end(`${reviewed} of ${items.length} reviewed`, "The rest stay as they were read. You may close this page.");
});

function finished(trouble = "") {
  end(`All ${items.length} are reviewed`, `The answers are written now. You may close this page. ${trouble}`);
}

/** One request at a time; what goes wrong is said. */
async function alone(work) {
  if (dataset.busy) return;
  dataset.busy = "true";
  try {
    await work();
  } catch (error) {
    refuse(error.message);
  } finally {
    delete dataset.busy;
  }
}

function pressed(event) {
  if (event.isComposing || at("item").hidden || !at("end").hidden) return;
  const { key } = event;
  const act =
    key === "Enter" && (event.ctrlKey || event.metaKey) ? finish
    : (key === "Enter" && event.shiftKey) || (key === "ArrowLeft" && event.altKey) ? back
    : key === "Escape" ? () => answer(true)
    : key === "Enter" && event.target === text ? () => answer(false)
    : null;
  if (!act) return;
  event.preventDefault();
  if (!event.repeat) act();
}

document.addEventListener("keydown", pressed);
text.addEventListener("input", () => refuse(""));
at("item").addEventListener("submit", (event) => { event.preventDefault(); answer(false); });
at("unread").addEventListener("click", () => answer(true));
at("back").addEventListener("click", back);
at("finish").addEventListener("click", finish);
start().catch((error) => { at("progress").textContent = error.message; });
