// A ruled table that was read: its rows and columns, and as a CSV file, where what is not sure stays empty.

import { $, element } from "./result.js";

const REASONS = { empty: "", text: "text", unfit: "other form", doubtful: "" };
const CLASSES = { doubtful: "unsure", text: "refused", unfit: "refused" };

let shown = null;
let places = []; // of each cell that holds characters: its button, and the number of its first one

/** choose: (number) => void, of a character. */
export function showTable(reading, chosen, choose) {
  const table = reading?.table ?? null;
  $("table").hidden = !table;
  for (const id of ["text", "marks"]) if (table) $(id).hidden = true;
  if (!table) $("text").hidden = false;
  if (table !== shown) fill(table, reading, choose);
  shown = table;
  const line = reading?.characters[chosen]?.line;
  for (const { button, first } of places) {
    button.setAttribute("aria-pressed", String(Boolean(line) && reading.characters[first].line === line));
  }
}

function fill(table, reading, choose) {
  places = [];
  if (!table) return;
  $("rows-title").textContent = `Table of ${table.rows} rows and ${table.columns} columns`;
  $("rows").replaceChildren(
    ...table.cells.map((row, i) => {
      const cells = row.map((cell, j) => cellOf(cell, `row ${i + 1}, column ${j + 1}`, reading, choose));
      return element("tr", {}, ...cells);
    }),
  );
  $("save").onclick = () => save(table);
}

function cellOf(cell, where, reading, choose) {
  const first = reading.characters.findIndex(({ box }) => box && holds(cell.box, box));
  const made = element("td", { className: CLASSES[cell.reason] ?? "" });
  if (!cell.text || first < 0) {
    made.append(REASONS[cell.reason] ?? cell.text);
    return made;
  }
  const button = element("button", { type: "button", textContent: cell.text });
  button.setAttribute("aria-label", `${where}: ${cell.text}${cell.reason ? `, ${cell.reason}` : ""}`);
  button.addEventListener("click", () => choose(first));
  places.push({ button, first });
  made.append(button);
  return made;
}

/** Whether the middle of a box lies in another. */
function holds([x0, y0, x1, y1], [left, top, right, bottom]) {
  const [x, y] = [(left + right) / 2, (top + bottom) / 2];
  return x >= x0 && x < x1 && y >= y0 && y < y1;
}

export function csvOf(table) {
  const quoted = (text) => (text.includes(",") ? `"${text}"` : text);
  const rows = table.cells.map((row) => row.map(({ text, reason }) => (reason ? "" : quoted(text))).join(","));
  return `${rows.join("\r\n")}\r\n`;
}

function save(table) {
  const address = URL.createObjectURL(new Blob([csvOf(table)], { type: "text/csv" }));
  element("a", { href: address, download: "table.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
