// The drawing area: strokes of mouse, pen, finger or arrow keys, or a picture that is shown instead.

const UNIT = 1000; // a stroke's points are in thousandths of the area's width, whatever its size
const STEP = 12; // of the keyboard's pen
const LONG_STEP = 60; // with Shift
const CLICK = 8; // pixels that a pointer may move and still have clicked
const READ_SIDE = 640; // pixels of the longer side of what is read
const LONGEST_UNDO = 200;

export class Pad extends EventTarget {
  /** Sends "draw" while a stroke grows, "change" when something is finished, "pick" when a picture is clicked. */
  constructor(canvas, place) {
    super();
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.place = place;
    this.strokes = [];
    this.picture = null; // {bitmap, blob}
    this.penWidth = 24;
    this.past = []; // what undo goes back to
    this.undone = []; // what redo brings again
    this.sheet = 0; // grows when something that was there is there no more
    this.growing = null;
    this.pressed = null; // {id, x, y}: a pointer on a picture, which may be a click
    this.cursor = { x: UNIT / 2, y: UNIT / 3, stroke: null };
    this.listen();
    new ResizeObserver(() => this.resize()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
  }

  get empty() {
    return !this.picture && !this.strokes.length;
  }

  get height() {
    return (UNIT * this.canvas.clientHeight) / Math.max(1, this.canvas.clientWidth);
  }

  listen() {
    const canvas = this.canvas;
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.extend(event));
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, (event) => this.end(event));
    }
    // A page that is selected (Ctrl+A) would be dragged as a whole, and the stroke would end.
    canvas.parentElement.addEventListener("dragstart", (event) => event.preventDefault());
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => this.liftKeyPen());
    canvas.addEventListener("focus", () => this.showPlace(canvas.matches(":focus-visible")));
  }

  /** Remembers what is there, for undo. */
  remember() {
    this.past.push({ strokes: [...this.strokes], picture: this.picture });
    this.past.splice(0, this.past.length - LONGEST_UNDO);
    this.undone = [];
  }

  /** Before a stroke: a picture is replaced. */
  prepare() {
    this.remember();
    if (this.picture) this.sheet += 1;
    this.picture = null;
  }

  begin(event) {
    if (event.button !== 0 || this.growing || this.pressed) return;
    getSelection()?.removeAllRanges();
    this.canvas.setPointerCapture(event.pointerId);
    this.liftKeyPen();
    this.showPlace(false);
    if (this.picture) this.pressed = { id: event.pointerId, x: event.clientX, y: event.clientY };
    else this.beginStroke(event);
  }

  beginStroke(event) {
    this.prepare();
    this.growing = { id: event.pointerId, points: [] };
    this.strokes.push(this.growing.points);
    this.add(event);
    this.redraw();
    this.tell("draw");
  }

  extend(event) {
    if (this.pressed?.id === event.pointerId) this.drag(event);
    if (this.growing?.id !== event.pointerId) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) this.add(each);
    this.redraw();
    this.tell("draw");
  }

  /** A drag over a picture begins a new sheet. */
  drag(event) {
    if (Math.hypot(event.clientX - this.pressed.x, event.clientY - this.pressed.y) < CLICK) return;
    this.pressed = null;
    this.beginStroke(event);
  }

  end(event) {
    if (this.pressed?.id === event.pointerId) this.pick(event);
    if (this.growing?.id !== event.pointerId) return;
    this.growing = null;
    this.tell("change");
  }

  /** Sends "pick" with the place in the picture's own pixels. */
  pick(event) {
    this.pressed = null;
    if (event.type !== "pointerup" || !this.picture) return;
    const [area, place] = [this.canvas.getBoundingClientRect(), this.pictureBox()];
    const x = ((event.clientX - area.left) / area.width - place.left) / place.width;
    const y = ((event.clientY - area.top) / area.height - place.top) / place.height;
    const { width, height } = this.picture.bitmap;
    this.dispatchEvent(new CustomEvent("pick", { detail: { x: x * width, y: y * height } }));
  }

  add(event) {
    const box = this.canvas.getBoundingClientRect();
    const scale = UNIT / box.width;
    const pressed = event.pointerType === "pen" && event.pressure > 0;
    this.growing.points.push({
      x: (event.clientX - box.left) * scale,
      y: (event.clientY - box.top) * scale,
      width: this.penWidth * (pressed ? 0.5 + event.pressure : 1),
    });
  }

  key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const move = moves[event.key];
    if (move && !event.ctrlKey && !event.metaKey && !event.altKey) this.moveCursor(...move.map((way) => way * (event.shiftKey ? LONG_STEP : STEP)));
    else if (event.key === " ") this.toggleKeyPen();
    else return;
    event.preventDefault();
  }

  moveCursor(right, down) {
    const cursor = this.cursor;
    cursor.x = Math.min(UNIT, Math.max(0, cursor.x + right));
    cursor.y = Math.min(this.height, Math.max(0, cursor.y + down));
    this.showPlace(true);
    if (!cursor.stroke) return;
    cursor.stroke.push({ x: cursor.x, y: cursor.y, width: this.penWidth });
    this.redraw();
    this.tell("draw");
  }

  toggleKeyPen() {
    if (this.cursor.stroke) {
      this.liftKeyPen();
      return;
    }
    this.prepare();
    this.cursor.stroke = [{ x: this.cursor.x, y: this.cursor.y, width: this.penWidth }];
    this.strokes.push(this.cursor.stroke);
    this.redraw();
    this.showPlace(true);
    this.tell("draw");
  }

  liftKeyPen() {
    this.showPlace(this.canvas === document.activeElement && !this.place.hidden);
    if (!this.cursor.stroke) return;
    this.cursor.stroke = null;
    this.showPlace(!this.place.hidden);
    this.tell("change");
  }

  showPlace(shown) {
    this.place.hidden = !shown;
    this.place.classList.toggle("down", Boolean(this.cursor.stroke));
    this.place.style.left = `${(100 * this.cursor.x) / UNIT}%`;
    this.place.style.top = `${(100 * this.cursor.y) / this.height}%`;
  }

  undo() {
    this.goTo(this.past, this.undone);
  }

  redo() {
    this.goTo(this.undone, this.past);
  }

  /** To the last state of one list; what is there now goes onto the other. */
  goTo(from, onto) {
    if (this.growing || !from.length) return;
    const before = from.pop();
    onto.push({ strokes: [...this.strokes], picture: this.picture });
    this.cursor.stroke = null;
    this.sheet += 1;
    ({ strokes: this.strokes, picture: this.picture } = before);
    this.redraw();
    this.tell("change");
  }

  clear() {
    if (this.empty || this.growing) return;
    this.remember();
    this.cursor.stroke = null;
    this.sheet += 1;
    this.strokes = [];
    this.picture = null;
    this.redraw();
    this.tell("change");
  }

  /** Shows a picture in place of what is there. blob: its file, as it came. */
  show(bitmap, blob) {
    this.remember();
    this.sheet += 1;
    this.cursor.stroke = null;
    this.strokes = [];
    this.picture = { bitmap, blob };
    this.redraw();
    this.tell("change");
  }

  tell(name) {
    this.dispatchEvent(new Event(name));
  }

  resize() {
    const ratio = Math.min(3, devicePixelRatio || 1);
    this.canvas.width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
    this.canvas.height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
    this.redraw();
  }

  redraw() {
    const { canvas, context } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (this.picture) {
      const place = this.pictureBox();
      const size = [canvas.width, canvas.height];
      context.drawImage(
        this.picture.bitmap, place.left * size[0], place.top * size[1], place.width * size[0], place.height * size[1],
      );
    }
    const ink = getComputedStyle(canvas).color;
    drawStrokes(context, this.strokes, canvas.width / UNIT, ink);
  }

  /** Where what is read stands in the area, as shares of its width and height. */
  pictureBox() {
    if (!this.picture) return { left: 0, top: 0, width: 1, height: 1 };
    const { bitmap } = this.picture;
    const area = [this.canvas.clientWidth, this.canvas.clientHeight];
    const scale = Math.min(area[0] / bitmap.width, area[1] / bitmap.height);
    const width = (bitmap.width * scale) / area[0];
    const height = (bitmap.height * scale) / area[1];
    return { left: (1 - width) / 2, top: (1 - height) / 2, width, height };
  }

  /** What is to be read: a canvas with black ink on white, or the picture. */
  source() {
    if (this.picture) return { ...this.picture, width: this.picture.bitmap.width, height: this.picture.bitmap.height };
    const height = this.height;
    const scale = READ_SIDE / Math.max(UNIT, height);
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(UNIT * scale);
    canvas.height = Math.max(1, Math.round(height * scale));
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
    drawStrokes(context, this.strokes, scale, "#000");
    return { canvas, width: canvas.width, height: canvas.height };
  }
}

/** What is to be read, or [x0, y0, x1, y1] of it, as a file: as it came, else PNG. */
export async function blobOf({ canvas, bitmap, blob, width, height }, box = null) {
  if (blob && !box) return blob;
  const [x0, y0, x1, y1] = box ?? [0, 0, width, height];
  const cut = Object.assign(document.createElement("canvas"), { width: x1 - x0, height: y1 - y0 });
  cut.getContext("2d").drawImage(canvas ?? bitmap, -x0, -y0);
  return new Promise((done) => cut.toBlob(done, "image/png"));
}

/** Strokes with round ends; between two points the width changes evenly. scale: pixels per unit. */
export function drawStrokes(context, strokes, scale, colour) {
  context.strokeStyle = context.fillStyle = colour;
  context.lineCap = context.lineJoin = "round";
  for (const points of strokes) {
    if (points.length === 1) drawDot(context, points[0], scale);
    for (let i = 1; i < points.length; i += 1) drawSpan(context, points, i, scale);
  }
}

function drawDot(context, point, scale) {
  context.beginPath();
  context.arc(point.x * scale, point.y * scale, (point.width * scale) / 2, 0, 2 * Math.PI);
  context.fill();
}

/** From the middle of the last span to the middle of this one, bent at the point between. */
function drawSpan(context, points, i, scale) {
  const [before, corner, after] = [points[Math.max(0, i - 2)], points[i - 1], points[i]];
  const middle = (a, b) => [((a.x + b.x) / 2) * scale, ((a.y + b.y) / 2) * scale];
  context.lineWidth = ((corner.width + after.width) / 2) * scale;
  context.beginPath();
  if (i === 1) context.moveTo(corner.x * scale, corner.y * scale);
  else context.moveTo(...middle(before, corner));
  context.quadraticCurveTo(corner.x * scale, corner.y * scale, ...middle(corner, after));
  if (i === points.length - 1) context.lineTo(after.x * scale, after.y * scale);
  context.stroke();
}
