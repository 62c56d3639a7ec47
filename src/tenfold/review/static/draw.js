// Boxes over a picture of a form: drawn, moved and resized with a pointer or the keyboard, named in a list.

import { ask, at, end } from "./local.js";

const LEAST = 0.004; // of the picture's sides: a smaller box is a slip of the pointer
const STEP = 0.005, SMALL_STEP = 0.001;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const KEPT = `form ${location.pathname}`; // what a reload finds again

const fields = []; // { box: [left, top, right, bottom] as shares, button, label, row, name, pattern }
const sheet = at("sheet");
let drag = null;

async function start() {
  const told = await ask("form");
  at("picture").src = "picture.jpg";
  at("files").textContent = `${told.picture}, saved as ${told.output}`;
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  at("sums").value = kept?.sums ?? "";
  for (const each of kept?.fields ?? told.fields) add(each.box, each.name, each.pattern);
}

function element(kind, settings = {}, ...inside) {
  const made = Object.assign(document.createElement(kind), settings);
  made.append(...inside);
  return made;
}

function add(box, name = freeName(), pattern = "") {
  const label = element("b", { textContent: name });
  const button = element("button", { type: "button", className: "box" }, label, element("i"));
  const field = { box: [...box], button, label };
  [field.name, field.pattern] = [["Name", name, 64], ["Pattern", pattern, 200]].map(([, value, maxLength]) =>
    element("input", { value, maxLength, spellcheck: false, autocapitalize: "off", autocomplete: "off" }));
  field.pattern.placeholder = "optional, as \\d{1,2}";
  field.remove = element("button", { type: "button", textContent: "Remove" });
  field.row = element("li", {},
    element("label", {}, "Name", field.name), element("label", {}, "Pattern", field.pattern), field.remove);
  for (const input of [field.name, field.pattern]) {
    input.setAttribute("aria-describedby", "why");
    input.addEventListener("input", () => { input.removeAttribute("aria-invalid"); place(field); keep(); });
    input.addEventListener("focus", () => choose(field));
  }
  field.remove.addEventListener("click", () => remove(field));
  button.addEventListener("keydown", (event) => pressed(event, field));
  button.addEventListener("keyup", (event) => { if (event.key in ARROWS) at("said").textContent = where(field); });
  button.addEventListener("click", () => { field.name.focus(); field.name.select(); });
  button.addEventListener("focus", () => choose(field));
  fields.push(field);
  sheet.append(button);
  at("fields").append(field.row);
  place(field);
  return field;
}

function freeName() {
  const names = new Set(fields.map((field) => field.name.value));
  let number = fields.length + 1;
  while (names.has(`field_${number}`)) number += 1;
  return `field_${number}`;
}

/** Puts the box where it belongs, under its name. */
function place(field) {
  const [left, top, right, bottom] = field.box;
  const { style } = field.button;
  style.left = `${100 * left}%`;
  style.top = `${100 * top}%`;
  style.width = `${100 * (right - left)}%`;
  style.height = `${100 * (bottom - top)}%`;
  field.label.textContent = field.name.value;
  field.button.setAttribute("aria-label", `Box ${where(field)}`);
  field.remove.setAttribute("aria-label", `Remove ${field.name.value}`);
  at("none").hidden = fields.length > 0;
}

function where(field) {
  const [left, top, right, bottom] = field.box.map((share) => Math.round(1000 * share) / 10);
  const [wide, high] = [right - left, bottom - top].map((each) => Math.round(10 * each) / 10);
  return `${field.name.value}: left ${left} %, top ${top} %, ${wide} % wide, ${high} % high`;
}

function keep() {
  const told = { fields: fields.map(asTold), sums: at("sums").value };
  sessionStorage.setItem(KEPT, JSON.stringify(told));
}

const asTold = (field) => ({ name: field.name.value.trim(), box: field.box, pattern: field.pattern.value.trim() });

function choose(field) {
  for (const each of fields) {
    each.button.classList.toggle("chosen", each === field);
    each.row.classList.toggle("chosen", each === field);
  }
}

function remove(field) {
  const number = fields.indexOf(field);
  fields.splice(number, 1);
  field.button.remove();
  field.row.remove();
  at("none").hidden = fields.length > 0;
  (fields[Math.min(number, fields.length - 1)]?.button ?? at("new")).focus();
  at("said").textContent = `${field.name.value} removed, ${fields.length} left`;
  keep();
}

const clip = (share) => Math.min(1, Math.max(0, share));

function shift(box, dx, dy) {
  const x = Math.min(1 - box[2], Math.max(-box[0], dx)), y = Math.min(1 - box[3], Math.max(-box[1], dy));
  return [box[0] + x, box[1] + y, box[2] + x, box[3] + y];
}

function stretch(box, dx, dy) {
  return [box[0], box[1], clip(Math.max(box[0] + LEAST, box[2] + dx)), clip(Math.max(box[1] + LEAST, box[3] + dy))];
}

function pressed(event, field) {
  if (event.key === "Delete" || event.key === "Backspace") {
    event.preventDefault();
    return remove(field);
  }
  const arrow = ARROWS[event.key];
  if (!arrow || event.altKey || event.metaKey) return;
  event.preventDefault();
  const step = event.ctrlKey ? SMALL_STEP : STEP;
  field.box = (event.shiftKey ? stretch : shift)(field.box, step * arrow[0], step * arrow[1]);
  place(field);
  keep();
}

/** A new box in the middle, lower where one lies there already. */
function addByKey() {
  const taken = (top) => fields.some(({ box }) => Math.abs(box[0] - 0.4) < 0.02 && Math.abs(box[1] - top) < 0.02);
  let top = 0.45;
  while (taken(top) && top < 0.9) top += 0.06;
  const field = add([0.4, top, 0.6, top + 0.05]);
  field.button.focus();
  at("said").textContent = `New box ${where(field)}`;
  keep();
}

/** Where a pointer is, as shares of the picture. */
function point(event) {
  const frame = at("picture").getBoundingClientRect();
  return [clip((event.clientX - frame.left) / frame.width), clip((event.clientY - frame.top) / frame.height)];
}

function down(event) {
  if (event.button !== 0 || drag) return;
  event.preventDefault();
  const [x, y] = point(event);
  const field = fields.find((each) => each.button.contains(event.target));
  const kind = !field ? "draw" : event.target.localName === "i" ? "resize" : "move";
  drag = { id: event.pointerId, kind, x, y, field: field ?? add([x, y, x, y]) };
  drag.box = drag.field.box;
  sheet.setPointerCapture(event.pointerId);
  choose(drag.field);
}

function move(event) {
  if (event.pointerId !== drag?.id) return;
  const [x, y] = point(event);
  const { kind, field, box } = drag;
  field.box = kind === "draw" ? [Math.min(x, drag.x), Math.min(y, drag.y), Math.max(x, drag.x), Math.max(y, drag.y)]
    : (kind === "resize" ? stretch : shift)(box, x - drag.x, y - drag.y);
  place(field);
}

function up(event) {
  if (event.pointerId !== drag?.id) return;
  const { kind, field } = drag;
  const [left, top, right, bottom] = field.box;
  drag = null;
  if (kind === "draw" && (right - left < LEAST || bottom - top < LEAST)) return remove(field);
  if (kind === "draw") { field.name.focus(); field.name.select(); } else field.button.focus();
  keep();
}

async function save() {
  for (const marked of document.querySelectorAll("[aria-invalid]")) marked.removeAttribute("aria-invalid");
  at("why").textContent = "";
  at("save").disabled = true;
  try {
    const told = await ask("save", { fields: fields.map(asTold), sums: at("sums").value.split("\n") });
    if (!told.saved) return refuse(told);
    sessionStorage.removeItem(KEPT);
    end("Saved", `${told.count} field${told.count === 1 ? "" : "s"} in ${told.output}, with ${told.picture} beside it. You may close this page.`);
  } catch (error) {
    at("why").textContent = error.message;
  } finally {
    at("save").disabled = false;
  }
}

function refuse({ why, field, part }) {
  at("why").textContent = why;
  const wrong = part === "sums" ? at("sums") : part === "box" ? fields[field].button : fields[field]?.[part];
  if (!wrong) return;
  if (part !== "box") wrong.setAttribute("aria-invalid", "true");
  wrong.focus();
}

document.addEventListener("keydown", (event) => {
  if (!at("end").hidden || event.isComposing || event.repeat) return;
  const typing = event.target.matches("input, textarea");
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    save();
  } else if (!typing && /^n$/i.test(event.key) && !event.ctrlKey && !event.altKey && !event.metaKey) {
    event.preventDefault();
    addByKey();
  }
});
sheet.addEventListener("pointerdown", down);
sheet.addEventListener("pointermove", move);
sheet.addEventListener("pointerup", up);
sheet.addEventListener("pointercancel", up);
sheet.addEventListener("lostpointercapture", up);
at("new").addEventListener("click", addByKey);
at("save").addEventListener("click", save);
at("sums").addEventListener("input", () => { at("sums").removeAttribute("aria-invalid"); keep(); });
start().catch((error) => { at("files").textContent = error.message; });
