// Who reads: the server that sent this page, or the model beside it in a worker. Both give {text, lines,
// characters, troubles, milliseconds}, each character with image (Uint8Array; across: its width, unless it is
// square), each line with strip ({data, width}), and tell of a character what decides: a number for each pixel of
// its image.

import { blobOf } from "./pad.js";

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
  backend.lab = Boolean(config.lab);
  await backend.start();
  return backend;
}

/** The model in a worker beside the page. */
class ModelWorker {
  constructor() {
    this.waiting = new Map();
    this.next = 0;
    this.worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this.worker.addEventListener("message", ({ data }) => this.settle(data));
    this.worker.addEventListener("error", (event) => this.fail(event.message || "the worker did not start"));
  }

  load() {
    return this.ask({ load: new URL("../model/", import.meta.url).href });
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

class ServerBackend {
  where = "answers from this server";
  api = true;

  constructor(config) {
    this.collects = Boolean(config.collect);
  }

  async start() {
    this.model = await asked("v1/model");
    this.classes = this.model.class_names;
    this.lines = this.model.kind === "line reader";
  }

  async read(source, { explain }) {
    const body = await blobOf(source);
    const started = performance.now();
    const document = await askedAgain(`v1/read?include=image,strip${explain ? ",saliency" : ""}`, {
      method: "POST", body, headers: { "Content-Type": body.type || "application/octet-stream" },
    });
    const [picture] = document.pictures;
    const [, across] = this.model.preprocessing.image_shape;
    const characters = picture.characters.map((each) => ({ ...each, image: fromBase64(each.image), across }));
    const lines = await Promise.all(picture.lines.map(async (line) => ({ ...line, strip: await decoded(line.strip) })));
    return { ...picture, characters, lines, milliseconds: performance.now() - started };
  }

  /** It comes with the reading, where that was asked to explain. */
  async explain({ saliency }) {
    return saliency ?? null;
  }

  /** The server does not tell what happens inside: its model is loaded into this page when somebody looks. */
  async inside(action, more) {
    this.loading ??= (this.worker = new ModelWorker()).load();
    await this.loading;
    return this.worker.ask({ inside: action, ...more });
  }

  /** Keeps what is really written in a picture, a Blob. Gives {kept}: how many are kept. */
  async correct({ picture, read, label }) {
    const body = JSON.stringify({ picture: await toBase64(picture), read, label });
    return asked("v1/corrections", { method: "POST", body, headers: { "Content-Type": "application/json" } });
  }
}

class LocalBackend {
  where = "answers on this device, nothing is sent";
  collects = false;

  worker = new ModelWorker();

  async start() {
    const { card } = await this.worker.load();
    this.lines = Boolean(card.characters);
    this.model = { name: card.recipe.name };
    this.classes = card.class_names ?? [...card.characters.replace("?", "")];
    navigator.serviceWorker?.register("sw.js").catch(() => {}); // only for reading offline
  }

  async read(source) {
    const { data, width, height } = pixelsOf(source);
    return this.worker.ask({ read: data.buffer, width, height }, [data.buffer]);
  }

  async explain({ label, verdict, image, place, line }) {
    return (await this.worker.ask({ explain: { label, verdict, image, place }, strip: line?.strip })).saliency;
  }

  /** What happens inside the network for a strip, see inside.js; null of a model that reads no lines. */
  async inside(action, more) {
    return this.lines ? this.worker.ask({ inside: action, ...more }) : null;
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

const fromBase64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

/** A grey PNG -> {data: bytes, width}. */
async function decoded(png) {
  const bitmap = await createImageBitmap(new Blob([fromBase64(png)], { type: "image/png" }));
  const { data, width, height } = pixelsOf({ bitmap, width: bitmap.width, height: bitmap.height });
  return { data: Uint8Array.from({ length: width * height }, (_, i) => data[4 * i]), width };
}

function toBase64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result.split(",")[1]));
    reader.addEventListener("error", () => reject(reader.error));
    reader.readAsDataURL(blob);
  });
}
