// The lab's page: its form makes a recipe, the worker trains it, the views show what the worker sends.

import { INITIALISATIONS, planLayers } from "./layers.js";
import { readRun, toToml } from "./recipe.js";
import { Sketch } from "./sketch.js";
import { LOSS_NAMES, OPTIMISERS } from "./training.js";
import {
  drawChart, element, percent, short, showActivations, showConfusion, showMisses, showNorms, showTrace, showWeights,
} from "./views.js";

const SCHEDULES = ["constant", "cosine", "linear", "step", "one-cycle"];
const SCALINGS = ["unit", "standardise", "fixed", "none"];
const FIRST = "mlp-120-84";
const $ = (id) => document.getElementById(id);
const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
const sketch = new Sketch($("pad"));
let presets, recipe, data, made = null, running = false, sketching = null;

const send = (action, more = {}) => worker.postMessage({ do: action, ...more });

function tell(text, trouble = false) {
  $("state").textContent = text;
  $("state").classList.toggle("trouble", trouble);
}

function choices(id, names) {
  $(id).replaceChildren(...names.map((name) => element("option", { value: name }, name)));
}

/** Field -> [section, key, text to value]; what cannot be a value gives undefined. */
const above = (text) => (Number(text) > 0 ? Number(text) : undefined);
const atLeast0 = (text) => (text.trim() !== "" && Number(text) >= 0 ? Number(text) : undefined);
const whole = (least) => (text) => (Number.isInteger(Number(text)) && text.trim() !== "" && Number(text) >= least ? Number(text) : undefined);
const FIELDS = {
  rate: ["optimiser", "learning_rate", above, "a number above 0"],
  batch: ["training", "batch_size", whole(0), "a whole number, 0 for all images"],
  epochs: ["training", "epochs", whole(1), "a whole number of at least 1"],
  loss: ["loss", "name", String],
  optimiser: ["optimiser", "name", String],
  schedule: ["schedule", "name", String],
  start: ["network", "initialise", String],
  scaling: ["input", "scaling", String],
  rotation: ["augmentation", "rotation", atLeast0, "degrees of at least 0"],
  shift: ["augmentation", "shift", atLeast0, "pixels of at least 0"],
};
const NEXT_START = ["start", "scaling"]; // fields that count from the next start

function fillForm() {
  for (const [id, [section, key]] of Object.entries(FIELDS)) $(id).value = String(recipe[section]?.[key] ?? 0);
  $("layers").value = recipe.network.layers.join("\n");
  $("told").textContent = recipe.description ?? "";
  showRecipe();
}

function showRecipe() {
  $("recipe").textContent = toToml(recipe);
}

function choosePreset(name) {
  recipe = structuredClone(presets[name]);
  fillForm();
  restart();
}

function takeLayers() {
  const layers = $("layers").value.split("\n").map((line) => line.trim()).filter(Boolean);
  try {
    planLayers(layers, [data.height, data.width], data.names.length);
  } catch (error) {
    $("layers").setAttribute("aria-invalid", "true");
    tell(error.message, true);
    return false;
  }
  $("layers").removeAttribute("aria-invalid");
  recipe.network.layers = layers;
  showRecipe();
  return true;
}

function takeField(id) {
  const [section, key, parse, expected] = FIELDS[id], value = parse($(id).value);
  if (value === undefined) {
    $(id).setAttribute("aria-invalid", "true");
    tell(`${$(id).value || "nothing"} given; expected ${expected}`, true);
    return;
  }
  $(id).removeAttribute("aria-invalid");
  recipe[section] = { ...recipe[section], [key]: value };
  if (id === "epochs" || id === "batch") Object.assign(recipe.training, { steps: 0, min_steps: 0 });
  showRecipe();
  if (NEXT_START.includes(id)) tell("This counts from the next start.");
  else if (made) send("change", { recipe: { [section]: recipe[section] } });
}

/** arrays: weights of a run; without, the network starts with random ones. */
function restart(arrays) {
  if (!takeLayers()) return;
  const seed = Number($("seed").value);
  if (!Number.isInteger(seed) || seed < 0) {
    tell(`seed ${$("seed").value}; expected a whole number of at least 0`, true);
    return;
  }
  setRunning(false);
  document.documentElement.removeAttribute("data-ready");
  send("make", { recipe, seed, arrays });
}

/** Whether a view is unfolded: one that nobody sees costs nothing. */
const isOpen = (id) => $(id).closest("details").open;

/** The page's state also stands in <html data-ready data-busy>. */
function setRunning(now) {
  running = now;
  document.documentElement.toggleAttribute("data-busy", now);
  $("run").textContent = now ? "Pause" : "Train";
}

const SHOW = {
  data(message) {
    data = message;
    $("images").textContent = `${message.images} images of ${message.names.length} classes: ${message.source}.`;
    choices("label", message.names);
    if (recipe) restart();
    else choosePreset(FIRST);
  },
  made(message) {
    made = message;
    for (const id of ["run", "step", "reset"]) $(id).disabled = false;
    tell(`${message.parameters.toLocaleString("en")} parameters; ${message.train} images to train on, ${message.test} held out; ${message.engine}.`);
    $("trace").replaceChildren(element("p", { className: "note" }, "“One step” trains on one batch and shows forward, loss, backward and update."));
  },
  progress({ step, totalSteps, stepsPerEpoch, rate, epochs, losses, loss, accuracy, test, norms, findings }) {
    const parts = [`step ${step} of ${totalSteps}`, `epoch ${(step / stepsPerEpoch).toFixed(1)}`, `learning rate ${short(rate)}`];
    if (step) parts.push(`batch: loss ${short(loss)}, ${percent(accuracy)} right`);
    if (test) parts.push(`held out: loss ${short(test.loss)}, ${percent(test.accuracy)} right`);
    $("numbers").textContent = parts.join(" · ");
    const most = Math.max(1, Math.round(totalSteps / stepsPerEpoch));
    const each = Math.max(1, Math.ceil(losses.length / 400));
    const trained = losses.map((value, i) => [(i + 1) / stepsPerEpoch, value]).filter((_, i) => i % each === 0 || i === losses.length - 1);
    const highest = Math.max(...trained.slice(0, 400).map(([, value]) => value).filter(Number.isFinite), ...epochs.map(({ testLoss }) => testLoss).filter(Number.isFinite), 1e-9);
    drawChart($("loss-chart"), {
      label: `Loss over ${epochs.length} epochs, last ${loss === undefined ? "none yet" : short(loss)}`, high: highest, most,
      lines: [{ name: "batches", points: trained }, { name: "held out", points: epochs.map(({ step: at, testLoss }) => [at / stepsPerEpoch, testLoss]), dash: "6 3" }],
    });
    drawChart($("accuracy-chart"), {
      label: `Accuracy over ${epochs.length} epochs, held out ${test ? percent(test.accuracy) : "none yet"}`, high: 1, most, format: (value) => percent(value, 0),
      lines: [
        { name: "training", points: epochs.map(({ step: at, accuracy: share }) => [at / stepsPerEpoch, share]) },
        { name: "held out", points: epochs.map(({ step: at, testAccuracy }) => [at / stepsPerEpoch, testAccuracy]), dash: "6 3" },
      ],
    });
    if (isOpen("norms")) showNorms($("norms"), norms);
    const list = findings.map((text) => element("li", {}, text));
    if ([...$("findings").children].map(({ textContent }) => textContent).join() !== findings.join()) $("findings").replaceChildren(...list);
  },
  views({ weights, look }) {
    document.documentElement.toggleAttribute("data-ready", true);
    if (isOpen("weights")) showWeights($("weights"), weights);
    if (isOpen("look")) showActivations($("look"), look, data.names, data.height, data.width);
  },
  result({ confusion, missed, images, misses }) {
    showConfusion($("confusion"), confusion, data.names);
    showMisses($("misses"), { misses, missed, images }, data.names, data.height, data.width, (image) => send("choose", { image }));
  },
  trace({ trace }) {
    setRunning(false);
    showTrace($("trace"), trace, data.names, data.height, data.width);
  },
  paused() {
    setRunning(false);
  },
  finished() {
    setRunning(false);
    tell("Trained to the end of its schedule. “Start again” begins anew; more epochs continue.");
  },
  added({ train, test }) {
    tell(`Added: ${train} images to train on, ${test} held out.`);
  },
  trouble({ text }) {
    setRunning(false);
    tell(text, true);
  },
};

worker.addEventListener("message", ({ data: message }) => SHOW[message.kind](message));

function addDrawing(test) {
  if (sketch.empty) return tell("Nothing is drawn yet.", true);
  send("add", { image: sketch.image(), label: Number($("label").selectedIndex), test });
}

function listen() {
  $("preset").addEventListener("change", () => choosePreset($("preset").value));
  $("run").addEventListener("click", () => {
    setRunning(!running);
    send(running ? "run" : "pause");
  });
  $("step").addEventListener("click", () => send("step"));
  $("reset").addEventListener("click", () => restart());
  $("layers").addEventListener("change", () => takeLayers() && tell("The layers count from the next start."));
  for (const id of Object.keys(FIELDS)) $(id).addEventListener("change", () => takeField(id));
  for (const [button, files] of [["own", "own-files"], ["load", "run-files"]]) $(button).addEventListener("click", () => $(files).click());
  $("own-files").addEventListener("change", () => send("pictures", { files: [...$("own-files").files] }));
  $("sample").addEventListener("click", loadSample);
  $("run-files").addEventListener("change", loadRun);
  $("save").addEventListener("click", saveRecipe);
  $("add-train").addEventListener("click", () => addDrawing(false));
  $("add-test").addEventListener("click", () => addDrawing(true));
  $("wipe").addEventListener("click", () => sketch.wipe());
  sketch.addEventListener("change", () => {
    clearTimeout(sketching);
    sketching = setTimeout(() => made && send("choose", { image: sketch.image() }), 40);
  });
}

async function loadRun() {
  try {
    const found = await readRun($("run-files").files);
    recipe = structuredClone(found.recipe);
    recipe.training ??= {};
    fillForm();
    restart(found.arrays);
  } catch (error) {
    tell(error.message, true);
  }
}

function saveRecipe() {
  const address = URL.createObjectURL(new Blob([toToml(recipe)], { type: "application/toml" }));
  element("a", { href: address, download: "from-the-lab.toml" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

function loadSample() {
  send("sample", { url: new URL("sample.bin.gz", document.baseURI).href });
}

/** On a phone the curves come first: the settings are folded. */
function foldSettings() {
  if (matchMedia("(max-width: 60rem)").matches) document.querySelector(".settings details").open = false;
}

async function begin() {
  foldSettings();
  choices("loss", LOSS_NAMES);
  choices("optimiser", OPTIMISERS);
  choices("schedule", SCHEDULES);
  choices("start", INITIALISATIONS);
  choices("scaling", SCALINGS);
  listen();
  try {
    presets = await (await fetch("presets.json")).json();
  } catch {
    return tell("The recipes cannot be loaded; open the page through a server.", true);
  }
  $("preset").replaceChildren(...Object.entries(presets).map(([name, { title }]) => element("option", { value: name }, `${name}: ${title}`)));
  $("preset").value = FIRST;
  loadSample();
}

begin();
