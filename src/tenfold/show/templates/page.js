"use strict";
// Curves: the values at a place, by pointing, tapping, or with the arrow keys.
for (const plot of document.querySelectorAll(".plot")) {
  const svg = plot.querySelector("svg"), out = plot.querySelector(".readout");
  const data = plot.dataset, texts = data.texts.split("\n");
  const across = data.across.split(" ").map(Number);
  const heights = data.heights.split(" ").map(each => each ? each.split(",").map(Number) : []);
  const [top, bottom] = data.box.split(" ").map(Number);
  const make = (name, values) => {
    const node = document.createElementNS(svg.namespaceURI, name);
    for (const key in values) node.setAttribute(key, values[key]);
    return node;
  };
  const mark = svg.appendChild(make("g", { "class": "mark" }));
  let place = texts.length - 1;
  const show = i => {
    place = Math.max(0, Math.min(texts.length - 1, i));
    const x = across[place], dots = heights[place] || [];
    mark.replaceChildren(make("line", { x1: x, x2: x, y1: top, y2: bottom }),
      ...dots.map(y => make("circle", { cx: x, cy: y, r: 3.4 })));
    out.textContent = texts[place];
  };
  const rest = () => { mark.replaceChildren(); place = texts.length - 1; out.textContent = texts[place]; };
  const point = event => {
    const x = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse()).x;
    show(across.reduce((best, value, i) => Math.abs(value - x) < Math.abs(across[best] - x) ? i : best, 0));
  };
  const moves = { ArrowLeft: () => place - 1, ArrowRight: () => place + 1, Home: () => 0, End: () => texts.length - 1 };
  plot.tabIndex = 0;
  plot.setAttribute("role", "group");
  plot.setAttribute("aria-label", data.name + ": the arrow keys go from value to value");
  out.setAttribute("aria-live", "polite");
  svg.addEventListener("pointermove", point);
  svg.addEventListener("pointerdown", point);
  svg.addEventListener("pointerleave", event => { if (event.pointerType === "mouse") rest(); });
  plot.addEventListener("focus", () => show(place));
  plot.addEventListener("blur", rest);
  plot.addEventListener("keydown", event => {
    if (!(event.key in moves)) return;
    event.preventDefault();
    show(moves[event.key]());
  });
}
// The confusion matrix: the arrow keys go to the next cell that opens.
for (const matrix of document.querySelectorAll(".matrix")) {
  const ways = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  matrix.addEventListener("keydown", event => {
    const cell = event.target.closest("td"), way = ways[event.key];
    if (!cell || !way) return;
    event.preventDefault();
    let row = cell.parentNode.rowIndex, column = cell.cellIndex, next;
    do {
      row += way[0]; column += way[1];
      next = matrix.rows[row] && matrix.rows[row].cells[column];
    } while (next && !next.querySelector("button"));
    if (next) next.querySelector("button").focus();
  });
}
