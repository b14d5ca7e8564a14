"""The page in a real browser: it is loaded once for each colour scheme, and a script in it reports its results."""

import html as markup
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from reports.views.chooser import Question
from reports.views.report import Report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]

ACTIONS = """
<script>
const errors = [];
addEventListener("error", (event) => errors.push(event.message));
addEventListener("unhandledrejection", (event) => errors.push(String(event.reason)));
document.addEventListener("securitypolicyviolation", (event) => errors.push(event.violatedDirective));
const table = document.querySelector("#cells table");
const headings = [...table.tHead.rows[0].cells];
const heading = (name) => headings.find((each) => each.textContent.trim().startsWith(name));
const rows = () => [...table.tBodies[0].rows];
function sorted(name, clicks) {
  for (let i = 0; i < clicks; i++) heading(name).firstElementChild.click();
  return {
    direction: heading(name).getAttribute("aria-sort"),
    others: headings.filter((each) => each.getAttribute("aria-sort") !== "none").length - 1,
    values: rows().map((row) => row.cells[heading(name).cellIndex].dataset.sort ?? null),
  };
}
function filtered(words) {
  const input = document.querySelector("#cells input");
  input.value = words;
  input.dispatchEvent(new Event("input"));
  const shown = rows().filter((row) => !row.hidden).map((row) => row.id).sort();
  return { shown, said: document.querySelector("#cells output").textContent };
}
const images = () => [...document.querySelectorAll(".panel img")];
const shown = () => [...new Set(images().filter((each) => each.offsetParent).map((each) => each.className))].join();
const form = document.getElementById("chooser");
function choose(asked) {
  for (const [name, value] of Object.entries(asked)) {
    form.elements.namedItem(name).value = value;
    form.elements.namedItem(name).dispatchEvent(new Event("input", { bubbles: true }));
  }
  return {
    error: form.elements.namedItem("error").textContent,
    link: document.querySelector("#choice .name").hash,
    command: document.querySelector("#choice .command").textContent,
    rivals: document.querySelectorAll("#rivals tbody tr").length,
    address: location.hash,
  };
}
function followed(address) {
  location.hash = address;
  dispatchEvent(new HashChangeEvent("hashchange"));
  return document.querySelector("#choice .name").hash;
}
const question = QUESTION;
const tightest = choose({ ...question, place: 0 });
const loosest = choose({ place: 1e6 });
const said = {
  tightest,
  loosest,
  followed: followed(tightest.address),
  ascending: sorted("NFE", 1),
  descending: sorted("NFE", 1),
  words: sorted("solver", 1),
  filtered: filtered("Dopri5 torchdiffeq unavailable"),
  before: shown(),
  after: (document.getElementById("theme").click(), shown()),
  broken: images().filter((each) => each.offsetParent && !each.naturalWidth).length,
  overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
};
const explorer = document.getElementById("explorer");
const chart = document.getElementById("chart");
async function explored(changes) {
  delete chart.dataset.drawn;
  for (const [name, value] of Object.entries(changes)) explorer.elements.namedItem(name).value = value;
  explorer.dispatchEvent(new Event("change"));
  while (chart.dataset.drawn === undefined) await new Promise((resolve) => setTimeout(resolve, 50));
  const canvases = chart.querySelectorAll("canvas").length;
  return { drawn: Number(chart.dataset.drawn), canvases, address: location.hash };
}
(async () => {
  said.explored = await explored({ x: "nfe_forward", y: "peak_bytes", facet: "" });
  location.hash = said.explored.address.replace("nfe_forward", "n_outputs");
  await new Promise((resolve) => setTimeout(resolve, 500));
  said.followed_x = explorer.elements.namedItem("x").value;
  location.hash = rows()[3].id;
  await new Promise((resolve) => setTimeout(resolve, 100));
  const drawer = document.getElementById("drawer");
  said.drawer = { open: drawer.open, text: drawer.textContent, key: rows()[3].id };
  drawer.querySelector("button").click();
  said.closed = !drawer.open;
  said.errors = errors;
  document.title = "said:" + JSON.stringify(said);
})();
</script>
</body>"""


@pytest.fixture(scope="session", params=["light", "dark"])
def scheme(request) -> str:
    return request.param


@pytest.fixture(scope="session")
def question(content: Report) -> Question:
    """The question with the most choices."""
    return max(content.choices.questions, key=lambda each: len(each.choices))


def asked(question: Question) -> Mapping[str, str]:
    """The values of the chooser's fields for a question."""
    return {name: getattr(question, name) for name in ("task", "problem", "setting", "cost")}


@pytest.fixture(scope="session")
def said(html: str, question: Question, scheme: str, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """The results of the script in the page, on a phone's screen."""
    folder: Path = tmp_path_factory.mktemp("browser")
    page = folder / "index.html"
    before, _, after = html.rpartition("</body>")  # a library has a </body> in a text
    actions = ACTIONS.replace("QUESTION", json.dumps(asked(question)))
    page.write_text(f"{before}{actions}{after}", encoding="utf-8")
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--virtual-time-budget=20000", "--disable-background-networking", "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={folder / 'profile'}", "--window-size=390,800", "--dump-dom",
        f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    title = re.search(r"<title>said:(.*?)</title>", done.stdout, re.DOTALL)
    assert title, done.stderr
    return json.loads(markup.unescape(title[1]))


@pytest.mark.exhaustive
@pytest.mark.parametrize("direction", ["ascending", "descending"])
def test_a_click_sorts_numbers_by_value_with_the_missing_last(said, direction):
    values = said[direction]["values"]
    known = [float(value) for value in values if value is not None]
    assert said[direction]["direction"] == direction
    assert known == sorted(known, reverse=direction == "descending")
    assert values[len(known) :] == [None] * (len(values) - len(known)) != []


def test_words_are_sorted_alphabetically_by_one_heading_at_a_time(said):
    assert said["words"]["values"] == sorted(said["words"]["values"])
    assert said["words"]["others"] == 0


def test_the_filter_keeps_the_rows_with_all_its_words(said, content):
    wanted = {"dopri5", "torchdiffeq", "unavailable"}
    rows = content.summary.rows
    expected = sorted(row.anchor for row in rows if wanted <= {value.text for value in row.values})
    assert said["filtered"]["shown"] == expected != []
    assert said["filtered"]["said"] == f"{len(expected)} of {len(rows)}"


def test_the_theme_is_that_of_the_system_until_the_button_changes_it(said, scheme):
    assert said["before"] == scheme
    assert said["after"] == {"light": "dark", "dark": "light"}[scheme]


def test_every_figure_is_drawn(said):
    assert said["broken"] == 0


def test_a_phone_scrolls_the_tables_and_not_the_page(said):
    assert said["overflow"] == 0


@pytest.mark.parametrize(("end", "place"), [("tightest", 0), ("loosest", -1)])
def test_the_chooser_shows_the_choice_for_the_error_at_the_slider(said, question, content, end, place):
    choice = question.choices[place]
    assert said[end]["error"] == question.errors[place][1]
    assert said[end]["link"] == f"#{choice.key}"
    assert said[end]["command"] == content.choices.cells[choice.key].command
    assert said[end]["rivals"] == len(choice.rivals)


def test_the_address_of_a_choice_leads_back_to_it(said, question):
    assert said["followed"] == said["tightest"]["link"] != said["loosest"]["link"]
    assert said["tightest"]["address"].startswith(f"#choose?task={question.task}&problem={question.problem}")


def test_the_explorer_draws_the_cells_that_have_both_numbers(said, content):
    """Without those that cannot be measured here, which are hidden until they are asked for."""
    columns = content.every_cell.columns
    status, hidden = columns["status"], ("unavailable", "unsupported")
    shown = [status["texts"][place] not in hidden for place in status["places"]]
    numbers = zip(columns["nfe_forward"], columns["peak_bytes"], shown, strict=True)
    drawn = sum(bool(nfe and peak and is_shown) for nfe, peak, is_shown in numbers)
    assert (said["explored"]["drawn"], said["explored"]["canvases"]) == (drawn, 1)
    assert drawn > 10


def test_the_address_of_a_drawing_leads_back_to_it(said):
    assert said["explored"]["address"].startswith("#explore?")
    assert said["followed_x"] == "n_outputs"


def test_the_page_asks_for_nothing_and_no_script_fails(said):
    assert said["errors"] == []


def test_an_address_of_a_cell_opens_what_is_known_of_it(said, content):
    columns = content.every_cell.columns
    keys = columns["key"]
    place = keys["places"].index(keys["texts"].index(said["drawer"]["key"]))
    labels = columns["label"]
    assert said["drawer"]["open"]
    assert said["closed"]
    assert labels["texts"][labels["places"][place]] in said["drawer"]["text"]
    assert f"nodebench show {said['drawer']['key']}" in said["drawer"]["text"]
