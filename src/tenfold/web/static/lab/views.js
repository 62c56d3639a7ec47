/** What the lab shows: curves, pictures, bars and tables, from what the worker sends. */

const SVG = "http://www.w3.org/2000/svg";

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key in made && key !== "role") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function svg(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;
export const short = (value) => (value === 0 ? "0" : Math.abs(value) >= 1000 || Math.abs(value) < 0.001 ? value.toExponential(2) : value.toPrecision(3));

const WIDTH = 520, HEIGHT = 220, LEFT = 46, BOTTOM = 28, TOP = 10, RIGHT = 96;

/** lines: [{name, points: [[x, y]], dash}]; the name stands at each line's end. */
export function drawChart(place, { lines, label, high, low = 0, most, format = short }) {
  const x = (value) => LEFT + ((WIDTH - LEFT - RIGHT) * value) / Math.max(1, most);
  const y = (value) => HEIGHT - BOTTOM - ((HEIGHT - BOTTOM - TOP) * (Math.min(Math.max(value, low), high) - low)) / (high - low || 1);
  const chart = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label, class: "chart" });
  for (const share of [0, 0.5, 1]) {
    const value = low + share * (high - low);
    chart.append(svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value), class: "grid" }));
    chart.append(svg("text", { x: LEFT - 6, y: y(value) + 4, class: "tick end" }, format(value)));
  }
  for (const value of [0, most]) chart.append(svg("text", { x: x(value), y: HEIGHT - 8, class: "tick middle" }, String(value)));
  chart.append(svg("text", { x: x(most / 2), y: HEIGHT - 8, class: "tick middle" }, "epochs"));
  const ends = [];
  lines.forEach(({ name, points, dash }, i) => {
    const good = points.filter(([, value]) => Number.isFinite(value));
    if (!good.length) return;
    const path = good.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
    chart.append(svg("polyline", { points: path, class: `line line-${i}`, "stroke-dasharray": dash ?? "none" }));
    const [at, value] = good.at(-1);
    let height = y(value);
    while (ends.some((other) => Math.abs(other - height) < 13)) height += height > HEIGHT / 2 ? -13 : 13;
    ends.push(height);
    chart.append(svg("circle", { cx: x(at), cy: y(value), r: 3, class: `dot-${i}` }));
    chart.append(svg("text", { x: x(at) + 7, y: height + 4, class: `tick name-${i}` }, name));
  });
  place.replaceChildren(chart);
}

/** A picture of numbers: bytes as grey, or with `signed` from blue (negative) over the page's colour to orange. */
export function drawPicture(values, height, width, { signed = false, scale = 4, alt = "" } = {}) {
  const said = alt ? { role: "img", "aria-label": alt } : { "aria-hidden": "true" };
  const canvas = element("canvas", { width, height, ...said });
  canvas.style.width = `${width * scale}px`;
  canvas.style.height = `${Math.max(14, height * scale)}px`; // a row of numbers would be too thin to see
  const context = canvas.getContext("2d"), image = context.createImageData(width, height);
  let largest = 1e-12;
  for (const value of values) largest = Math.max(largest, Math.abs(value));
  const [plus, minus, zero] = [[217, 100, 14], [43, 111, 214], [250, 250, 248]];
  for (let i = 0; i < height * width; i++) {
    const share = values[i] / largest, toward = share > 0 ? plus : minus, strength = Math.abs(share);
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = signed ? zero[c] + (toward[c] - zero[c]) * strength : values[i];
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

export function showWeights(place, weights) {
  if (!weights) {
    place.replaceChildren(element("p", { className: "note" }, "The first layer's weights do not lie on the image."));
    return;
  }
  const { height, width, units, of, name } = weights, scale = height > 12 ? 2 : 7;
  const pictures = units.map((unit, i) => drawPicture(unit, height, width, { signed: true, scale, alt: `weights of unit ${i + 1}` }));
  const told = `${name}: ${units.length} of ${of} units, each weight at its pixel; orange above 0, blue below`;
  place.replaceChildren(element("p", { className: "note" }, told), element("div", { className: "pictures" }, ...pictures));
}

export function showActivations(place, look, names, height, width) {
  const rows = [element("div", { className: "layer" },
    element("h4", {}, "input"), element("div", { className: "pictures" }, drawPicture(look.image, height, width, { scale: 4, alt: "the chosen image" })))];
  for (const { text, shape, values, name } of look.layers) {
    const row = element("div", { className: "pictures" });
    if (shape.length === 3) {
      const [high, wide, channels] = shape;
      for (let c = 0; c < Math.min(channels, 16); c++) {
        const plane = Float32Array.from({ length: high * wide }, (_, i) => values[i * channels + c]);
        row.append(drawPicture(plane, high, wide, { signed: true, scale: high > 16 ? 2 : 4, alt: `channel ${c + 1} of ${name}` }));
      }
    } else if (values.length > 300) continue;
    else row.append(drawPicture(values, 1, values.length, { signed: true, scale: values.length > 60 ? 4 : 12, alt: `the ${values.length} outputs of ${name}` }));
    rows.push(element("div", { className: "layer" }, element("h4", {}, `${text} → ${shape.join(" × ")}`), row));
  }
  const best = look.probs.indexOf(Math.max(...look.probs));
  const table = element("table", {}, element("thead", {}, element("tr", {}, ...["class", "logit", "probability"].map((word) => element("th", { scope: "col" }, word)))));
  table.append(element("tbody", {}, ...look.probs.map((share, i) => element("tr", { className: i === best ? "best" : "" },
    element("th", { scope: "row" }, names[i]), element("td", {}, look.logits[i].toFixed(2)), element("td", {}, percent(share))))));
  rows.push(element("div", { className: "layer" }, element("h4", {}, "softmax: exp(logit) divided by the sum of all"), table));
  place.replaceChildren(...rows);
}

export function showNorms(place, norms) {
  const largest = Math.max(1e-12, ...norms.map(({ gradient, values }) => gradient / (values || 1)));
  const rows = norms.map(({ name, values, gradient }) => {
    const share = gradient / (values || 1) / largest;
    const bar = element("span", { className: "bar" });
    bar.style.setProperty("--share", String(Number.isFinite(share) ? share : 1));
    return element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, short(values)), element("td", {}, short(gradient)), element("td", {}, bar));
  });
  const head = ["parameter", "norm of its values", "norm of its gradient", "gradient relative to values"];
  place.replaceChildren(element("table", {}, element("thead", {}, element("tr", {}, ...head.map((word) => element("th", { scope: "col" }, word)))), element("tbody", {}, ...rows)));
}

export function showConfusion(place, confusion, names) {
  const most = Math.max(1, ...confusion.flatMap((row, i) => row.filter((_, j) => i !== j)));
  const head = element("tr", {}, element("th", { scope: "col" }, "label, answer"), ...names.map((name) => element("th", { scope: "col" }, name)));
  const rows = confusion.map((row, i) => element("tr", {}, element("th", { scope: "row" }, names[i]), ...row.map((count, j) => {
    const cell = element("td", { className: i === j ? "right" : "" }, count ? String(count) : "");
    if (i !== j && count) cell.style.setProperty("--share", String(count / most));
    return cell;
  })));
  place.replaceChildren(element("table", { className: "confusion" }, element("thead", {}, head), element("tbody", {}, ...rows)));
}

export function showMisses(place, { misses, missed, images }, names, height, width, choose) {
  const shown = misses.map(({ image, label, answer, sure }) => {
    const button = element("button", { type: "button", className: "miss" },
      drawPicture(image, height, width, { scale: 2, alt: "" }), `${names[label]} read as ${names[answer]}, ${percent(sure, 0)}`);
    button.addEventListener("click", () => choose(image));
    return button;
  });
  const told = `${missed} of ${images} held-out images are wrong${missed > misses.length ? `; the ${misses.length} with the highest probability` : ""}. Click one to see its activations.`;
  place.replaceChildren(element("p", { className: "note" }, told), element("div", { className: "pictures" }, ...shown));
}

export function showTrace(place, trace, names, height, width) {
  const table = (head, rows) => element("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": head[0] }, element("table", {},
    element("thead", {}, element("tr", {}, ...head.map((word) => element("th", { scope: "col" }, word)))),
    element("tbody", {}, ...rows.map(([first, ...rest]) => element("tr", {}, element("th", { scope: "row" }, first), ...rest.map((cell) => element("td", {}, cell)))))));
  const { first } = trace, loss = -Math.log(first.probs[first.label]);
  place.replaceChildren(
    element("h4", {}, `Step ${trace.step}: forward, ${trace.images} images`),
    table(["layer", "outputs per image", "mean", "deviation", "share of zeros"], trace.layers.map(({ text, shape, mean, deviation, zeros }) => [text, shape.join(" × "), short(mean), short(deviation), percent(zeros, 0)])),
    element("h4", {}, "Loss of the first image"),
    element("div", { className: "pair" }, drawPicture(first.image, height, width, { scale: 3, alt: `the image, a ${names[first.label]}` }),
      element("p", {}, `It is a ${names[first.label]}. Softmax gives that class ${percent(first.probs[first.label])}; cross-entropy is −ln ${first.probs[first.label].toPrecision(3)} = ${loss.toFixed(3)}. The mean loss of the batch is ${short(trace.loss)}.`)),
    table(["class", "logit", "probability p", "target t", "p − t, the gradient of its logit"], first.probs.map((share, i) => [names[i], first.logits[i].toFixed(2), share.toFixed(3), i === first.label ? "1" : "0", (share - (i === first.label ? 1 : 0)).toFixed(3)])),
    element("h4", {}, `Backward and update, learning rate ${short(trace.rate)}`),
    table(["parameter", "numbers", "norm of the gradient", "norm of the change", "one weight before", "its gradient", "after"],
      trace.updates.map(({ name, size, gradient, change, one }) => [name, String(size), short(gradient), short(change), one.before.toFixed(5), short(one.gradient), one.after.toFixed(5)])),
  );
}
