/** A small black sheet for one digit: white strokes of a pointer, or of the keyboard's pen. */

import { frameInk } from "../js/ink/frame.js";
import { makePlane } from "../js/ink/plane.js";

const PEN = 16; // pixels wide
const STEP = 6; // of the keyboard's pen

export class Sketch extends EventTarget {
  /** Sends "change" when the drawing changed. */
  constructor(canvas) {
    super();
    Object.assign(this, { canvas, context: canvas.getContext("2d", { willReadFrequently: true }) });
    this.pen = { x: canvas.width / 2, y: canvas.height / 3, down: false };
    this.wipe();
    canvas.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      canvas.focus();
      canvas.setPointerCapture(event.pointerId);
      this.last = this.place(event);
      this.line(this.last, this.last);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.last) return;
      const next = this.place(event);
      this.line(this.last, next);
      this.last = next;
    });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { this.last = null; });
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  place(event) {
    const { left, top, width } = this.canvas.getBoundingClientRect(), ratio = this.canvas.width / width;
    return { x: (event.clientX - left) * ratio, y: (event.clientY - top) * ratio };
  }

  key(event) {
    const move = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
    if (!move && ![" ", "Delete", "Backspace"].includes(event.key)) return;
    event.preventDefault();
    if (event.key === " ") this.pen.down = !this.pen.down;
    else if (!move) return this.wipe();
    const before = { ...this.pen }, inside = (value) => Math.min(Math.max(value, 0), this.canvas.width);
    if (move) Object.assign(this.pen, { x: inside(this.pen.x + move[0]), y: inside(this.pen.y + move[1]) });
    if (this.pen.down) this.line(before, this.pen);
  }

  line(from, to) {
    const { context } = this;
    Object.assign(context, { strokeStyle: "#fff", lineWidth: PEN, lineCap: "round", lineJoin: "round" });
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x + 0.01, to.y);
    context.stroke();
    this.empty = false;
    this.dispatchEvent(new Event("change"));
  }

  wipe() {
    this.context.fillStyle = "#000";
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.empty = true;
    this.last = null;
  }

  /** 28x28 bytes, framed as MNIST's images are. */
  image() {
    const { width, height } = this.canvas, { data } = this.context.getImageData(0, 0, width, height);
    return frameInk(makePlane(width, height, Float32Array.from({ length: width * height }, (_, i) => data[4 * i] / 255)));
  }
}
