// Who reads: the server that sent this page, or the model beside it in a worker. Both give
// {text, digits, troubles, milliseconds}, each digit with image (Uint8Array), and tell of a digit which ink
// decided: {saliency}, a number a pixel.

const [BUSY, TRIES, PAUSE] = [503, 4, 300]; // status; times; milliseconds

async function asked(address, options) {
  const answer = await fetch(address, options).catch(() => {
    throw new Error("the server does not answer");
  });
  const document = await answer.json().catch(() => ({}));
  if (answer.ok) return document;
  throw Object.assign(new Error(tellError(document.error, answer)), { status: answer.status });
}

/** A server that is busy says so and is asked again, a few times. */
async function askedAgain(address, options) {
  for (let left = TRIES; ; left -= 1) {
    try {
      return await asked(address, options);
    } catch (error) {
      if (error.status !== BUSY || !left) throw error;
    }
    await new Promise((done) => setTimeout(done, PAUSE));
  }
}

function tellError(error, answer) {
  if (!error) return `the server answered ${answer.status} ${answer.statusText}`;
  return [error.found, error.expected && `expected ${error.expected}`, error.remedy].filter(Boolean).join("; ");
}

/** The backend that config.json beside the page names. */
export async function connect() {
  const config = await asked("config.json");
  const backend = config.backend === "local" ? new LocalBackend() : new ServerBackend(config);
  await backend.start();
  return backend;
}

class ServerBackend {
  where = "answers from this server";
  api = true;

  constructor(config) {
    this.collects = Boolean(config.collect);
  }

  async start() {
    this.model = await asked("v1/model");
    this.classes = this.model.class_names;
    this.rejects = this.model.rejects;
  }

  async read(source, { explain }) {
    const body = source.blob ?? (await new Promise((done) => source.canvas.toBlob(done, "image/png")));
    const started = performance.now();
    const document = await askedAgain(`v1/read?include=image${explain ? ",saliency" : ""}`, {
      method: "POST", body, headers: { "Content-Type": body.type || "application/octet-stream" },
    });
    const [picture] = document.pictures;
    const digits = picture.digits.map((digit) => ({
      ...digit,
      image: fromBase64(digit.image),
      saliency: digit.saliency ? Float32Array.from(digit.saliency) : null,
    }));
    return { ...picture, digits, milliseconds: performance.now() - started };
  }

  /** It comes with the reading, where that was asked to explain. */
  async explain(digit) {
    return digit.saliency;
  }

  /** Keeps what a mark really is. Gives how many are kept. */
  async correct({ image, read, label }) {
    const body = JSON.stringify({ image: toBase64(image), read, label });
    return asked("v1/corrections", { method: "POST", body, headers: { "Content-Type": "application/json" } });
  }
}

class LocalBackend {
  where = "answers on this device, nothing is sent";
  collects = false;

  constructor() {
    this.waiting = new Map();
    this.next = 0;
    this.worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this.worker.addEventListener("message", ({ data }) => this.settle(data));
    this.worker.addEventListener("error", (event) => this.fail(event.message || "the worker did not start"));
  }

  async start() {
    const { card } = await this.ask({ load: new URL("../model/", import.meta.url).href });
    this.model = { name: card.recipe.name };
    this.classes = card.class_names;
    this.rejects = card.verdict.rejects;
    navigator.serviceWorker?.register("sw.js").catch(() => {}); // only for reading offline
  }

  async read(source) {
    const { data, width, height } = pixelsOf(source);
    return this.ask({ read: data.buffer, width, height }, [data.buffer]);
  }

  async explain(digit) {
    return (await this.ask({ explain: digit })).saliency;
  }

  ask(message, moved = []) {
    return new Promise((resolve, reject) => {
      this.next += 1;
      this.waiting.set(this.next, { resolve, reject });
      this.worker.postMessage({ ...message, id: this.next }, moved);
    });
  }

  settle({ id, error, ...answer }) {
    const { resolve, reject } = this.waiting.get(id);
    this.waiting.delete(id);
    if (error) reject(new Error(error));
    else resolve(answer);
  }

  fail(why) {
    for (const { reject } of this.waiting.values()) reject(new Error(why));
    this.waiting.clear();
  }
}

/** RGBA of a source at its own size. */
function pixelsOf(source) {
  const { width, height } = source;
  const canvas = source.canvas ?? Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!source.canvas) context.drawImage(source.bitmap, 0, 0);
  return context.getImageData(0, 0, width, height);
}

function fromBase64(text) {
  return text ? Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)) : null;
}

function toBase64(bytes) {
  return btoa(String.fromCharCode(...bytes));
}
