// Trains beside the page, so that the page never waits. Messages: {do, ...} in, {kind, ...} out.

import { loadPictures, loadSample } from "./data.js";
import { Trainer } from "./trainer.js";

const PIECE = 25; // milliseconds of training between looks at the mailbox
const PROGRESS = 100, VIEWS = 500; // milliseconds

let data, trainer, running = false, chosen = null, looked = { progress: 0, views: 0 };

const ACTIONS = {
  async sample({ url }) {
    data = await loadSample(url);
    tellData("the embedded sample of MNIST");
  },
  async pictures({ files }) {
    data = await loadPictures(files);
    tellData("your pictures");
  },
  /** arrays: weights of a run, by name; without, they are drawn. */
  async make({ recipe, seed, arrays }) {
    running = false;
    const split = trainer && trainer.data.names === data.names ? { train: trainer.train, test: trainer.test } : null;
    trainer = await Trainer.make(recipe, trainer && split ? trainer.data : data, { seed, split });
    if (arrays) trainer.load(arrays);
    trainer.evaluate();
    const { network } = trainer;
    post("made", {
      parameters: network.parameterCount, engine: network.heap.name, steps: trainer.totalSteps,
      train: trainer.train.length, test: trainer.test.length,
      layers: network.layers.map(({ name, spec, output }) => ({ name, text: spec.text, shape: output })),
    });
    showProgress();
    showViews();
  },
  change({ recipe }) {
    trainer.recipe = { ...trainer.recipe, ...recipe };
    trainer.ordered = -1;
    if (recipe.input) trainer.setScaling();
    showProgress();
  },
  run() {
    if (running || trainer.finished) return;
    running = true;
    train();
  },
  pause() {
    running = false;
    post("paused", {});
  },
  step() {
    running = false;
    if (trainer.finished) return;
    const trace = trainer.traceStep();
    post("trace", { trace: { ...trace, first: { ...trace.first, image: imageAt(trace.first.place) } } });
    trainer.evaluate();
    showProgress();
    showViews();
  },
  choose({ image }) {
    chosen = image;
    showViews();
  },
  add({ image, label, test }) {
    trainer.addImage(image, label, test);
    post("added", { train: trainer.train.length, test: trainer.test.length });
  },
};

self.addEventListener("message", async ({ data: message }) => {
  try {
    await ACTIONS[message.do](message);
  } catch (error) {
    running = false;
    post("trouble", { text: String(error?.message ?? error) });
  }
});

function post(kind, document) {
  self.postMessage({ kind, ...document });
}

function tellData(source) {
  trainer = null;
  const { images, labels, names, height, width } = data;
  chosen = images.slice(0, height * width);
  post("data", { source, images: labels.length, names, height, width });
}

function imageAt(place) {
  const { images, height, width } = trainer.data;
  return images.slice(place * height * width, (place + 1) * height * width);
}

/** In pieces, between which messages arrive. */
async function train() {
  while (running && !trainer.finished) {
    const until = performance.now() + PIECE;
    while (running && !trainer.finished && performance.now() < until) trainer.trainStep();
    const now = performance.now();
    if (now - looked.progress > PROGRESS) showProgress();
    if (now - looked.views > VIEWS) showViews();
    await new Promise((resolve) => { setTimeout(resolve); });
  }
  const finished = trainer.finished;
  running = false;
  if (finished) {
    showProgress();
    showViews();
    post("finished", {});
  }
}

function showProgress() {
  looked.progress = performance.now();
  const { step, totalSteps, stepsPerEpoch, losses, epochs, rate, batch, result } = trainer;
  post("progress", {
    step, totalSteps, stepsPerEpoch, rate, epochs, losses, loss: batch?.loss, accuracy: batch?.accuracy,
    test: result && { loss: result.loss, accuracy: result.accuracy, images: result.images },
    norms: step ? trainer.norms() : [], findings: trainer.findings(), running,
  });
}

function showViews() {
  looked.views = performance.now();
  const { result } = trainer, look = { ...trainer.activations(chosen), image: chosen };
  post("views", { weights: trainer.weightPictures(), look });
  if (result !== looked.result) {
    const misses = result.misses.map((miss) => ({ ...miss, image: imageAt(miss.place) }));
    post("result", { confusion: result.confusion, missed: result.missed, images: result.images, misses });
  }
  looked.result = result;
  looked.views = performance.now();
}
