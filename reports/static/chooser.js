// The chooser: the best cell for a task, a problem, a quantity that is to be small, and an error that is good enough.
// All comparisons were made when the page was written: this script looks them up.
"use strict";

(() => {
  const source = document.getElementById("choices");
  if (!source) return;
  const { tasks, errors, costs, questions, cells } = JSON.parse(source.textContent);
  const form = document.getElementById("chooser");
  const shown = document.getElementById("choice");
  const field = (name) => form.elements.namedItem(name);
  const part = (selector) => shown.querySelector(selector);
  const distinct = (values) => [...new Set(values)];

  // The options of a select; it keeps its value if that is still among them.
  function offer(name, values, labels = {}) {
    const select = field(name);
    const before = select.value;
    select.replaceChildren(...values.map((value) => new Option(labels[value] ?? value, value)));
    if (values.includes(before)) select.value = before;
  }

  function asked() {
    const wanted = (each) => ["task", "problem", "setting", "cost"].every((name) => each[name] === field(name).value);
    return questions.find(wanted);
  }

  function narrow() {
    const task = field("task").value;
    const ofTask = questions.filter((each) => each.task === task);
    offer("problem", distinct(ofTask.map((each) => each.problem)));
    const ofProblem = ofTask.filter((each) => each.problem === field("problem").value);
    offer("setting", distinct(ofProblem.map((each) => each.setting)));
    form.querySelector(".setting").hidden = field("setting").options.length < 2;
    const ofSetting = ofProblem.filter((each) => each.setting === field("setting").value);
    offer("cost", ofSetting.map((each) => each.cost), costs[task]);
    document.getElementById("error-label").textContent = errors[task];
  }

  // The slider goes from the smallest measured error to the largest.
  function place(question, error) {
    const slider = field("place");
    slider.max = question.errors.length - 1;
    const found = question.errors.findLastIndex(([value]) => value <= error * (1 + 1e-9));
    slider.value = Math.max(0, found);
  }

  function show(question) {
    const [error, said] = question.errors[Number(field("place").value)];
    field("error").textContent = said;
    field("place").setAttribute("aria-valuetext", said);
    const choice = question.choices.findLast((each) => each.error <= error);
    const cell = cells[choice.key];
    part(".name").textContent = cell.name;
    part(".name").href = `#${choice.key}`;
    part(".said").textContent = `${choice.said[1]}, ${errors[question.task]} ${choice.said[0]}`;
    part(".next").textContent = choice.next;
    part(".code").textContent = cell.code;
    part(".code").parentElement.hidden = shown.querySelector("[name=copy-code]").hidden = !cell.code;
    part(".command").textContent = cell.command;
    for (const heading of shown.querySelectorAll(".cost")) heading.textContent = costs[question.task][question.cost];
    part("#rivals tbody").replaceChildren(
      ...choice.rivals.map(([key, itsError, cost, compared]) => row([anchor(key), itsError, cost, compared])),
    );
    part("#rivals").closest(".table").hidden = !choice.rivals.length;
    const front = question.choices.filter(isNew);
    part("#front tbody").replaceChildren(
      ...front.map((each) => row([each.said[0], anchor(each.key), each.said[1]], each.key === choice.key)),
    );
    const state = new URLSearchParams({
      task: question.task, problem: question.problem, setting: question.setting, cost: question.cost, error,
    });
    return `#choose?${state}`;
  }

  const isNew = (each, i, all) => i === 0 || each.key !== all[i - 1].key;

  function anchor(key) {
    const made = document.createElement("a");
    made.href = `#${key}`;
    made.textContent = cells[key].name;
    return made;
  }

  function row(contents, isCurrent = false) {
    const made = document.createElement("tr");
    if (isCurrent) made.setAttribute("aria-current", "true");
    for (const content of contents) made.insertCell().append(content);
    return made;
  }

  let link = "";
  function answer({ remember = true } = {}) {
    link = show(asked());
    if (remember) history.replaceState(null, "", link);
  }

  let goodEnough = 1e-5; // the error that the reader has set; another problem may have none as large or small

  form.addEventListener("input", (event) => {
    if (event.target.name === "place") {
      goodEnough = asked().errors[Number(field("place").value)][0];
    } else {
      narrow();
      place(asked(), goodEnough);
    }
    answer();
  });

  function follow() {
    const state = new URLSearchParams(location.hash.split("?")[1] ?? "");
    const ours = location.hash.startsWith("#choose?");
    offer("task", Object.keys(tasks), tasks);
    for (const name of ["task", "problem", "setting", "cost"]) {
      narrow();
      const wanted = ours ? state.get(name) : null;
      if (wanted !== null && [...field(name).options].some((each) => each.value === wanted)) field(name).value = wanted;
    }
    narrow();
    if (ours && state.has("error") && Number(state.get("error")) >= 0) goodEnough = Number(state.get("error"));
    place(asked(), goodEnough);
    answer({ remember: false });
    if (ours) document.getElementById("choose").scrollIntoView();
  }

  const address = () => location.href.split("#")[0] + link;
  const texts = { "copy-code": () => part(".code").textContent, "copy-command": () => part(".command").textContent, "copy-link": address };
  for (const [name, text] of Object.entries(texts)) {
    const button = shown.querySelector(`[name=${name}]`);
    button.addEventListener("click", () => copy(button, text()));
  }

  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => { if (location.hash.startsWith("#choose?")) follow(); });
  form.hidden = shown.hidden = false;
  follow();
})();
