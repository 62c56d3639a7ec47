// "Inside the network": its layers, one unit of a layer, the scores, and the ink changed until it is another digit.

import { $, coloured, element, percent } from "./result.js";

const MOST = 32; // channels that are shown of a layer
const TALL = 32; // pixels of a strip
const NAMES = {
  "pixel-unshuffle": "pixels of 4x4 blocks", conv: "convolution", relu: "ReLU, max(0, x)", "max-pool": "max pooling",
  residual: "residual block", columns: "logits, a row per column",
};

export class InsideView {
  /** ask(action, more): what the backend's `inside` gives. */
  constructor(ask, say) {
    Object.assign(this, { ask, say, strip: null, number: 0, layer: 0, channel: null, seen: 0 });
    $("inside").addEventListener("toggle", () => this.update());
    $("layer").addEventListener("change", () => {
      this.channel = null;
      this.update();
    });
    $("turn").addEventListener("click", () => this.turn());
    $("share").addEventListener("input", () => this.drawTurned());
    $("wanted").replaceChildren(...[..."0123456789"].map((digit) => element("option", { value: digit, textContent: digit })));
  }

  /** line: of the chosen character, or null; number: of the character in its line. */
  show(line, number) {
    const changed = line?.strip !== this.strip || number !== this.number;
    [this.strip, this.number] = [line?.strip ?? null, number];
    if (!changed) return;
    this.turned = null;
    this.drawTurned();
    this.update();
  }

  async update() {
    if (!$("inside").open || !this.strip) return;
    const mine = (this.seen += 1), { strip } = this;
    try {
      const seen = await this.ask("look", { strip });
      if (mine !== this.seen || !seen) return;
      this.fillLayers(seen.layers);
      const layer = Number($("layer").value);
      const [{ maps, height, width }, { scores }] = await Promise.all([
        this.ask("maps", { strip, layer }), this.ask("scores", { strip, column: seen.places[this.number] ?? 0 }),
      ]);
      if (mine !== this.seen) return;
      this.showMaps(maps, height, width);
      showScores(scores);
      await this.showUnit(layer, mine);
    } catch (error) {
      this.say(error.message, true);
    }
  }

  fillLayers(layers) {
    if ($("layer").options.length === layers.length) return;
    $("layer").replaceChildren(...layers.map(({ kind, height, width, channels }, i) => {
      return element("option", { value: i, textContent: `${i + 1}: ${NAMES[kind] ?? kind}, ${channels} channels of ${height} x ${width}` });
    }));
    $("layer").value = "2";
  }

  showMaps(maps, height, width) {
    const shown = maps.slice(0, MOST), focused = [...$("maps").children].indexOf(document.activeElement);
    $("layer-told").textContent = `${shown.length} of ${maps.length} channels; orange above 0, blue below. Choose one to see what it looks at.`;
    $("maps").replaceChildren(...shown.map((map, channel) => {
      const canvas = paint(document.createElement("canvas"), map, height, width);
      canvas.setAttribute("aria-hidden", "true");
      const button = element("button", { type: "button" }, canvas);
      button.setAttribute("aria-label", `channel ${channel + 1}`);
      button.setAttribute("aria-pressed", String(channel === this.channel));
      button.addEventListener("click", () => {
        this.channel = channel;
        this.update();
      });
      return button;
    }));
    $("maps").children[focused]?.focus();
  }

  async showUnit(layer, mine) {
    $("unit").hidden = this.channel === null;
    if (this.channel === null) return;
    const { strip, channel } = this, { column, row, value, slope, weights } = await this.ask("unit", { strip, layer, channel });
    if (mine !== this.seen) return;
    const looks = $("unit-looks"), height = strip.data.length / strip.width;
    Object.assign(looks, { width: strip.width, height });
    looks.style.maxWidth = `${2 * strip.width}px`;
    looks.getContext("2d").putImageData(coloured(strip.data, strip.width, slope), 0, 0);
    looks.setAttribute("aria-label", `What channel ${channel + 1} looks at where it answers most`);
    $("unit-weights").hidden = !weights;
    if (weights) {
      paint($("unit-weights"), weights.values, weights.height, weights.width);
      $("unit-weights").setAttribute("aria-label", `The weights of channel ${channel + 1}, pixel by pixel`);
    }
    const where = `row ${row + 1}, column ${column + 1}`;
    $("unit-told").textContent = `Channel ${channel + 1} answers most, ${value.toFixed(2)}, at ${where} of its map. Brighter paper at an orange pixel would raise that, at a blue one lower it${weights ? "; beside it, its weights" : ""}.`;
  }

  async turn() {
    const { strip, number } = this, wanted = $("wanted").value;
    if (!strip) return;
    $("turned-told").textContent = "Changing the ink …";
    $("turn").disabled = true;
    try {
      this.turned = { ...(await this.ask("turn", { strip, number, wanted })), strip };
    } catch (error) {
      this.say(error.message, true);
    }
    $("turn").disabled = false;
    this.drawTurned();
  }

  /** The strip with a share of the change. */
  drawTurned() {
    const { turned } = this, canvas = $("turned");
    canvas.hidden = !turned;
    $("share").disabled = !turned;
    if (!turned) {
      $("turned-told").textContent = "";
      return;
    }
    const { strip, data, text, reached } = turned, share = Number($("share").value) / 100;
    const mixed = Uint8ClampedArray.from(strip.data, (value, i) => value + share * (data[i] - value));
    const change = Float32Array.from(data, (value, i) => value - strip.data[i]);
    Object.assign(canvas, { width: strip.width, height: 2 * TALL });
    canvas.style.maxWidth = `${2 * strip.width}px`;
    const context = canvas.getContext("2d");
    context.putImageData(coloured(mixed, strip.width, null), 0, 0);
    context.putImageData(coloured(new Uint8Array(strip.data.length).fill(235), strip.width, change), 0, TALL);
    const said = reached ? `With all of the change the line is read ${text}` : `The line is still read ${text || "as nothing"}: no small change was found`;
    $("turned-told").textContent = `${said}. Above the changed line, below the change: orange brighter, blue darker.`;
    canvas.setAttribute("aria-label", `The line with ${percent(share)} of the change`);
  }
}

function showScores(scores) {
  $("scores").replaceChildren(...scores.slice(0, 8).map(({ character, logit, probability }) => {
    const row = element("tr", {}, element("th", { scope: "row", textContent: character === "?" ? "other" : character }));
    row.append(element("td", { textContent: logit.toFixed(2) }), element("td", { textContent: percent(probability) }));
    return row;
  }));
}

/** Numbers as a picture, from blue (negative) over white to orange. */
function paint(canvas, values, height, width) {
  Object.assign(canvas, { width, height });
  const image = new ImageData(width, height), most = values.reduce((high, value) => Math.max(high, Math.abs(value)), 1e-9);
  values.forEach((value, i) => {
    const share = Math.abs(value) / most, colour = value > 0 ? [217, 100, 14] : [43, 111, 214];
    image.data.set([...colour.map((end) => Math.round(250 + share * (end - 250))), 255], 4 * i);
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}
