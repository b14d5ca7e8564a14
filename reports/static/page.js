// Sorting, filtering and the theme. Without this script the page still shows everything.
"use strict";

const theme = document.getElementById("theme");
const dark = matchMedia("(prefers-color-scheme: dark)");

function shownTheme() {
  return document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
}

function remembered() {
  try {
    return localStorage.getItem("nodebench-theme");
  } catch {
    return null; // a page opened as a file may have no storage
  }
}

function show(name) {
  if (name === "light" || name === "dark") document.documentElement.dataset.theme = name;
  dispatchEvent(new Event("theme"));
  theme.textContent = shownTheme() === "dark" ? "Light" : "Dark";
}

theme.addEventListener("click", () => {
  const chosen = shownTheme() === "dark" ? "light" : "dark";
  show(chosen);
  try {
    localStorage.setItem("nodebench-theme", chosen);
  } catch {
    // the choice is kept until the page is closed
  }
});
dark.addEventListener("change", () => show(null));
theme.hidden = false;
show(remembered());

// All cells as columns, which several scripts read.
const everyCell = JSON.parse(document.getElementById("every-cell").textContent);

// Copy a text, and say on the button how that went.
async function copy(button, text) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed here: select and copy";
  }
  setTimeout(() => {
    button.textContent = before;
  }, 1500);
}

// Numbers by value, words by alphabet; missing entries come last in both directions.
function compare(a, b, direction) {
  if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
  const difference = Number(a) - Number(b);
  const order = Number.isNaN(difference) ? a.localeCompare(b) : difference;
  return direction === "descending" ? -order : order;
}

function sort(heading) {
  const direction = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  for (const other of heading.parentElement.children) other.setAttribute("aria-sort", "none");
  heading.setAttribute("aria-sort", direction);
  const body = heading.closest("table").tBodies[0];
  const key = (row) => row.cells[heading.cellIndex].dataset.sort;
  body.append(...[...body.rows].sort((a, b) => compare(key(a), key(b), direction)));
}

for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => sort(button.parentElement));
}

function filter(input, output, rows, chosen) {
  const words = input.value.toLowerCase().split(/\s+/);
  for (const row of rows) {
    const said = row.textContent.toLowerCase();
    row.hidden = (chosen !== null && !chosen.has(row.id)) || !words.every((word) => said.includes(word));
  }
  const shown = rows.filter((row) => !row.hidden).length;
  output.textContent = `${shown} of ${rows.length}`;
}

for (const box of document.querySelectorAll(".filter")) {
  const input = box.querySelector("input");
  const rows = [...box.parentElement.querySelectorAll("tbody tr")];
  let chosen = null; // keys of the cells that are brushed in the explorer; null: all
  const apply = () => filter(input, box.querySelector("output"), rows, chosen);
  document.addEventListener("choose-cells", (event) => {
    chosen = event.detail;
    apply();
  });
  input.addEventListener("input", apply);
  addEventListener("hashchange", () => {
    const row = document.getElementById(location.hash.slice(1));
    if (!rows.includes(row) || !row.hidden) return;
    input.value = ""; // the filter must not hide the row that a link leads to
    chosen = null;
    apply();
    row.scrollIntoView();
  });
  box.hidden = false;
  apply();
}
