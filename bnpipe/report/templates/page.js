// What a page does if scripts run: tables can be sorted and copied as CSV, and charts can be explored.
"use strict";

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

const valueOf = (cell) => cell.dataset.value ?? cell.textContent;

function compare(one, other) {
  if (one === "" || other === "") return one === other ? 0 : one === "" ? 1 : -1; // unknown values come last
  const [a, b] = [Number(one), Number(other)];
  return Number.isNaN(a) || Number.isNaN(b) ? one.localeCompare(other) : a - b;
}

function sort(table, header) {
  const rising = header.ariaSort !== "ascending";
  const key = (row) => valueOf(row.cells[header.cellIndex]);
  const rows = [...table.tBodies[0].rows].sort((a, b) =>
    key(a) === "" || key(b) === "" || rising ? compare(key(a), key(b)) : compare(key(b), key(a)));
  for (const other of header.parentNode.cells) other.removeAttribute("aria-sort");
  header.ariaSort = rising ? "ascending" : "descending";
  table.tBodies[0].append(...rows);
}

function csvOf(table) {
  const written = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const rows = [...table.tBodies[0].rows].filter((row) => !row.hidden);
  const names = [...table.tHead.rows[0].cells].map((header) => written(header.dataset.key)); // as in the file
  return [names, ...rows.map((row) => [...row.cells].map((cell) => written(valueOf(cell))))].join("\n") + "\n";
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // the clipboard is forbidden, or absent because the page was opened as a file
    const area = document.body.appendChild(make("textarea", { value: text }));
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
  return true;
}

function equip(table) {
  for (const header of table.tHead.rows[0].cells) {
    const button = make("button", { type: "button", onclick: () => sort(table, header) }, ...header.childNodes);
    header.append(button);
  }
  const status = make("span", { role: "status" });
  const button = make("button", { type: "button", className: "copy" }, "Copy as CSV");
  button.onclick = async () => {
    const text = csvOf(table);
    const rows = text.split("\n").length - 2;
    status.textContent = (await copy(text)) ? `Copied ${rows} rows.` : "The browser does not allow copying.";
  };
  table.parentNode.before(make("div", { className: "tools" }, button, status));
}

// Charts side by side take half of the width each, or all of it in a narrow window. The first needs room for row names.
function fit(spec, room) {
  if (!spec.concat) return;
  spec.columns = room < 700 ? 1 : 2;
  for (const part of spec.concat) part.width = Math.max(120, room / spec.columns - (part.name === "cells" ? 225 : 75));
}

function follow(table, view, columns) {
  const names = [...table.tHead.rows[0].cells].map((header) => header.dataset.key);
  const show = () => {
    for (const row of table.tBodies[0].rows) {
      row.hidden = columns.some((key) => {
        const wanted = view.signal(`only_${key}`);
        return wanted !== "all" && wanted !== row.cells[names.indexOf(key)].textContent;
      });
    }
  };
  for (const key of columns) view.addSignalListener(`only_${key}`, show);
  show();
  view.addEventListener("click", (_, item) => {
    for (const key of columns) view.signal(`only_${key}`, item?.datum?.[key] ?? "all");
    view.runAsync();
  });
}

function addSwitch(inputs) {
  const boxes = [...inputs.querySelectorAll("input[type=checkbox]")];
  for (const box of boxes) box.closest(".vega-bind").classList.add("tick");
  if (boxes.length < 3) return;
  const button = make("button", { type: "button" }, "all or none");
  button.onclick = () => {
    const wanted = !boxes.every((box) => box.checked);
    for (const box of boxes) if (box.checked !== wanted) box.click();
  };
  inputs.append(button);
}

// Vega is packed in the page. It is unpacked when the first chart comes near.
let vega;
function unpack() {
  vega ??= (async () => {
    const packed = Uint8Array.from(atob(document.getElementById("vega").textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    document.head.append(make("script", { textContent: await new Response(stream).text() }));
  })();
  return vega;
}

// If no mark is drawn, a note says so, because empty axes explain nothing.
function sayIfEmpty(explorer, view, spec) {
  const note = explorer.querySelector(".empty");
  const marks = ":is(.mark-line, .mark-rect, .mark-symbol):not(.role-legend-symbol) > path[d]:not([d=''])";
  const look = () => { note.hidden = explorer.querySelector(`.chart ${marks}`) !== null; };
  for (const { name } of spec.params) view.addSignalListener(name, () => view.runAfter(look));
  look();
}

async function draw(explorer) {
  await unpack();
  const chart = explorer.querySelector(".chart");
  const spec = JSON.parse(explorer.querySelector("script").textContent);
  fit(spec, chart.clientWidth - 8);
  for (const inputs of explorer.querySelectorAll(".inputs")) inputs.replaceChildren();
  // Expressions are interpreted (`ast`), because the page forbids evaluating text as a script.
  const options = { mode: "vega-lite", renderer: "svg", actions: false, ast: true };
  const { view } = await vegaEmbed(chart, spec, options);
  for (const svg of chart.querySelectorAll("svg")) svg.setAttribute("aria-hidden", "true"); // its numbers are in tables
  explorer.querySelectorAll(".inputs").forEach(addSwitch);
  sayIfEmpty(explorer, view, spec);
  const table = document.getElementById(explorer.dataset.table);
  if (table) follow(table, view, explorer.dataset.columns.split(" "));
}

const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (isIntersecting) {
      seen.unobserve(target);
      draw(target);
    }
  }
}, { rootMargin: "200px" });

addEventListener("beforeprint", () => {
  for (const image of document.images) image.loading = "eager";
});
document.querySelectorAll("main table").forEach(equip);
const explorers = window.DecompressionStream ? document.querySelectorAll(".explorer") : []; // not in old browsers
for (const explorer of explorers) {
  explorer.hidden = false;
  explorer.querySelector(".reset").onclick = () => draw(explorer);
  seen.observe(explorer);
}

// The table of contents marks the section that is being read.
const entries = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
const read = new IntersectionObserver((sections) => {
  for (const { isIntersecting, target } of sections) {
    if (!isIntersecting) continue;
    for (const link of entries.values()) link.removeAttribute("aria-current");
    entries.get(target.id)?.setAttribute("aria-current", "true");
  }
}, { rootMargin: "-15% 0px -80% 0px" });
document.querySelectorAll("main > section[id]").forEach((section) => read.observe(section));
