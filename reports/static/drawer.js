// A cell's drawer: what is known of a cell whose key stands in the page's address.
"use strict";

(() => {
  const drawer = document.getElementById("drawer");
  const { fields, columns, same } = everyCell;
  const at = (name, i) => (columns[name].texts ? columns[name].texts[columns[name].places[i]] : columns[name][i]);
  const places = Object.fromEntries(columns.key.places.map((_, i) => [at("key", i), i]));

  function number(value) {
    if (value === null || value === undefined || value === "") return "";
    if (typeof value !== "number" || Number.isInteger(value)) return String(value);
    return value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e6) ? value.toExponential(3) : String(Number(value.toPrecision(4)));
  }

  function entry(list, name, value, title) {
    const box = document.createElement("div");
    const term = Object.assign(document.createElement("dt"), { textContent: name });
    if (title) term.title = title;
    box.append(term, Object.assign(document.createElement("dd"), { textContent: value }));
    list.append(box);
  }

  function show(key) {
    const i = places[key];
    const part = (selector) => drawer.querySelector(selector);
    part("h2").textContent = at("label", i);
    part(".status").textContent = at("status", i);
    part(".command").textContent = `nodebench show ${key}`;
    const [axes, metrics] = [part(".axes"), part(".metrics")];
    axes.replaceChildren();
    metrics.replaceChildren();
    for (const { name, meaning, unit, low, high } of fields) {
      const value = number(at(name, i));
      if (!value) continue;
      if (!meaning) entry(axes, name, value);
      else {
        const interval = low && at(low, i) !== null ? ` (${number(at(low, i))} to ${number(at(high, i))})` : "";
        entry(metrics, name, `${value}${unit === "1" ? "" : ` ${unit}`}${interval}`, meaning);
      }
    }
    for (const [name, value] of Object.entries(same)) if (number(value)) entry(axes, name, number(value));
    part(".row").href = `#${key}`;
    if (!drawer.open) drawer.show();
    part("button").focus({ preventScroll: true });
  }

  function follow() {
    const key = location.hash.slice(1);
    if (key in places) show(key);
  }
  drawer.querySelector("button").addEventListener("click", () => drawer.close());
  drawer.addEventListener("keydown", (event) => {
    if (event.key === "Escape") drawer.close();
  });
  document.addEventListener("click", (event) => {
    // A second click on the same link changes no address.
    const link = event.target.closest?.("a[href^='#']");
    if (link && link.hash === location.hash) follow();
  });
  addEventListener("hashchange", follow);
  follow();
})();
