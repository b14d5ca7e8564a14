// The explorer: any number of the cells against any other, drawn by Vega-Lite on a canvas.
"use strict";

(() => {
  const form = document.getElementById("explorer");
  const chart = document.getElementById("chart");
  const { fields, columns, colours } = everyCell;
  const field = (name) => form.elements.namedItem(name);

  // A column of texts is its distinct texts, and the place of each cell's text among them.
  const at = (column, i) => (column.texts ? column.texts[column.places[i]] : column[i]);
  const rows = Array.from({ length: columns.key.places.length }, (_, i) =>
    Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, at(column, i)])));
  const byName = Object.fromEntries(fields.map((each) => [each.name, each]));
  const numbers = fields.filter((each) => each.numeric && each.meaning).map((each) => each.name);
  const axes = fields.filter((each) => !each.meaning).map((each) => each.name);
  if (!numbers.length) return;

  const title = (name) => (byName[name]?.unit ? `${name} (${byName[name].unit})` : name);
  const first = (...names) => names.find((name) => byName[name]) ?? "";
  const DEFAULTS = {
    x: first("error", "gradient_error", numbers[0]), y: first("forward_s", "gradient_s", "nfe_forward", numbers[0]),
    logx: true, logy: true, colour: first("solver"), shape: first("backend"), facet: first("problem"),
    without: { status: ["unavailable", "unsupported"] }, // by axis: the values that are left out
  };

  function offer(name, choices) {
    field(name).replaceChildren(...choices.map((each) => new Option(each ? title(each) : "nothing", each)));
  }
  offer("x", fields.filter((each) => each.numeric).map((each) => each.name));
  offer("y", numbers);
  for (const name of ["colour", "shape", "facet"]) offer(name, ["", ...axes, "status"]);

  const said = (row, name) => String(row[name] ?? "");
  const filters = form.querySelector(".filters");
  for (const name of ["status", ...axes]) {
    const totals = {};
    for (const row of rows) totals[said(row, name)] = (totals[said(row, name)] ?? 0) + 1;
    const values = Object.keys(totals);
    if (values.length < 2 || values.length > 40) continue;
    const box = document.createElement("fieldset");
    box.append(Object.assign(document.createElement("legend"), { textContent: name }));
    for (const value of values) {
      const tick = Object.assign(document.createElement("input"), { type: "checkbox", value });
      tick.dataset.axis = name;
      const label = document.createElement("label");
      label.append(tick, ` ${value || "none"} (${totals[value]})`);
      box.append(label);
    }
    filters.append(box);
  }
  const ticks = () => [...filters.querySelectorAll("input")];

  function state() {
    const without = {};
    for (const tick of ticks()) if (!tick.checked) (without[tick.dataset.axis] ??= []).push(tick.value);
    const chosen = Object.fromEntries(["x", "y", "colour", "shape", "facet"].map((name) => [name, field(name).value]));
    return { ...chosen, logx: field("logx").checked, logy: field("logy").checked, without };
  }

  function restore(wanted) {
    for (const name of ["x", "y", "colour", "shape", "facet"]) {
      const options = [...field(name).options].map((each) => each.value);
      field(name).value = options.includes(wanted[name]) ? wanted[name] : DEFAULTS[name];
    }
    field("logx").checked = wanted.logx === true;
    field("logy").checked = wanted.logy === true;
    for (const tick of ticks()) {
      const left = wanted.without?.[tick.dataset.axis];
      tick.checked = !(Array.isArray(left) && left.includes(tick.value));
    }
  }

  const address = () => `#explore?${new URLSearchParams({ state: JSON.stringify(state()) })}`;

  // The cells that pass the filter, and those of them that have a place on the axes.
  function kept(now) {
    const passing = rows.filter((row) =>
      !Object.entries(now.without).some(([axis, values]) => values.includes(said(row, axis))));
    const placed = passing.filter((row) => [[now.x, now.logx], [now.y, now.logy]].every(([name, log]) =>
      typeof row[name] === "number" && (!log || row[name] > 0)));
    return { passing, placed };
  }

  const isDark = () => shownTheme() === "dark";

  function colour(name, drawn) {
    const encoding = { field: name, type: "nominal", title: name };
    if (!["solver", "backend", "gradient"].includes(name)) return encoding;
    const domain = [...new Set(drawn.map((row) => row[name]))];
    return { ...encoding, scale: { domain, range: domain.map((each) => colours[each][isDark() ? 1 : 0]) } };
  }

  function config() {
    const ink = isDark() ? "#e5e9ef" : "#1f2937";
    const rule = isDark() ? "#2d3540" : "#e1e4e8";
    return {
      background: "transparent", font: "system-ui, sans-serif", view: { stroke: rule },
      axis: { labelColor: ink, titleColor: ink, gridColor: rule, domainColor: rule, tickColor: rule, labelFlush: false },
      legend: { labelColor: ink, titleColor: ink, symbolOpacity: 1 }, header: { labelColor: ink, labelFontWeight: "bold" },
    };
  }

  const LABEL = "datum.value != 0 && (abs(datum.value) < 1e-3 || abs(datum.value) >= 1e5)" +
    " ? format(datum.value, '~e') : format(datum.value, '~g')";

  function layers(now, drawn) {
    const axis = (name, log) => ({
      field: name, type: "quantitative", title: title(name), axis: { labelExpr: LABEL, tickCount: 6 },
      scale: log ? { type: "log", nice: false, padding: 12 } : { zero: false, nice: false, padding: 12 },
    });
    const told = [...new Set(["label", now.x, now.y, "error", "gradient_error", "nfe_forward", "peak_bytes"])];
    const tooltip = told.filter((name) => name === "label" || byName[name]).map((name) =>
      ({ field: name, title: title(name), ...(byName[name]?.numeric && { format: ".4~g" }) }));
    const place = { x: axis(now.x, now.logx), y: axis(now.y, now.logy) };
    const hue = now.colour ? { color: colour(now.colour, drawn) } : {};
    const points = {
      mark: { type: "point", filled: true, size: 60 },
      encoding: {
        ...place, ...hue, tooltip, ...(now.shape && { shape: { field: now.shape, type: "nominal" } }),
        opacity: { condition: { param: "isolate", value: 0.9 }, value: 0.06 },
      },
      params: [
        { name: "isolate", select: { type: "point", fields: [now.colour || "status"] }, bind: "legend" },
        { name: "brush", select: "interval" },
      ],
    };
    const { low, high } = byName[now.y];
    if (!low) return [points];
    const interval = {
      transform: [{ filter: { field: low, valid: true } }],
      mark: { type: "rule", opacity: 0.4 },
      encoding: { ...place, ...hue, y: { ...place.y, field: low }, y2: { field: high } },
    };
    return [interval, points];
  }

  function spec(now, drawn) {
    const room = chart.clientWidth;
    const perRow = Math.max(1, Math.floor(room / 480));
    const width = now.facet ? Math.max(200, Math.min(360, room / perRow - 110)) : Math.max(220, Math.min(900, room - 190));
    const unit = { layer: layers(now, drawn), width, height: 320 };
    const panels = {
      facet: { field: now.facet, type: "nominal", title: null }, columns: perRow, spec: unit,
      resolve: { scale: { x: "independent", y: "independent" } },
    };
    return { data: { values: drawn }, config: config(), ...(now.facet ? panels : unit) };
  }

  // The libraries run only when the reader comes here: they are most of the page's script.
  function load() {
    for (const source of document.querySelectorAll("script.vendored")) {
      const script = document.createElement("script");
      script.textContent = source.textContent;
      source.replaceWith(script);
    }
  }

  let embedded = null;
  async function draw() {
    const now = state();
    const { passing, placed } = kept(now);
    const left = rows.length - passing.length;
    field("found").textContent = `${placed.length} cells drawn; ${passing.length - placed.length} have no such numbers; ` +
      `${left} are filtered out`;
    choose(null);
    embedded?.finalize();
    embedded = await vegaEmbed(chart, spec(now, placed), { actions: false, renderer: "canvas", ast: true });
    embedded.view.addEventListener("click", (_, item) => {
      if (item?.datum?.key) location.hash = item.datum.key;
    });
    if (!now.facet) embedded.view.addSignalListener("brush", (_, range) => choose(within(now, placed, range)));
    chart.dataset.drawn = placed.length;
  }

  function within(now, drawn, range) {
    if (!range[now.x] || !range[now.y]) return null;
    const inside = (row, name) => row[name] >= Math.min(...range[name]) && row[name] <= Math.max(...range[name]);
    return new Set(drawn.filter((row) => inside(row, now.x) && inside(row, now.y)).map((row) => row.key));
  }

  // The cells that are brushed are those that the table of all cells shows.
  function choose(keys) {
    field("clear").hidden = keys === null;
    document.dispatchEvent(new CustomEvent("choose-cells", { detail: keys }));
  }

  let drawing = null; // null: nothing is drawn before the reader comes near
  function redraw() {
    if (drawing === null) {
      load();
      drawing = Promise.resolve();
    }
    drawing = drawing.then(draw);
  }

  form.addEventListener("change", () => {
    history.replaceState(null, "", address());
    redraw();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  field("clear").addEventListener("click", redraw);
  field("link").addEventListener("click", () => copy(field("link"), location.href.split("#")[0] + address()));

  function follow() {
    if (!location.hash.startsWith("#explore?")) return;
    try {
      restore({ ...DEFAULTS, ...JSON.parse(new URLSearchParams(location.hash.split("?")[1]).get("state")) });
    } catch {
      restore(DEFAULTS); // a damaged address shows what the page shows without one
    }
    document.getElementById("explore").scrollIntoView();
    redraw();
  }

  const near = new IntersectionObserver(
    (seen) => {
      if (drawing === null && seen.some((each) => each.isIntersecting)) redraw();
    },
    { rootMargin: "300px" },
  );
  form.hidden = false;
  restore(DEFAULTS);
  near.observe(chart);
  addEventListener("hashchange", follow);
  addEventListener("theme", () => {
    if (drawing !== null) redraw();
  });
  follow();
})();
