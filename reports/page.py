"""The pages, of a report, a comparison and a history: each one HTML file that opens offline."""

import base64
import os
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from reports.compare import ORDER, Compared, Verdict, change, floor, heading, opening, ratio, reasons, resolution
from reports.files import written
from reports.history import Shown, revision, short
from reports.palette import colour_of, stroke_of
from reports.views.parts.figure import Panel
from reports.views.parts.glossary import TERMS
from reports.views.report import Report, report
from reports.views.wanted import BY_DEFAULT, Wanted
from results import format as text
from results.escaping import one_line, visible
from results.metrics import METRICS
from results.store import Store

SCRIPTS = ("page.js", "chooser.js", "explorer.js", "drawer.js")
# BSD-3-Clause; versions and hashes: static/vendor/vendor.toml. In the order in which they are run.
VENDORED = ("vega.min.js", "vega-lite.min.js", "vega-embed.min.js")
_LONG = 300  # characters of a text that are shown at once
_LONGEST = 20_000  # characters that a click shows
_MOST_ROWS = 2_000  # of one table of a comparison: a browser takes long for more


def write(store: Store, folder: str | os.PathLike[str], wanted: Wanted = BY_DEFAULT) -> Path:
    """Write `index.html` into the folder, whole or not at all, and say where it is."""
    return _written(render(report(store, wanted)), Path(folder) / "index.html")


def write_compared(compared: Compared, folder: str | os.PathLike[str]) -> Path:
    """Write `compare.html` into the folder, whole or not at all, and say where it is."""
    return _written(render_compared(compared), Path(folder) / "compare.html")


def write_history(history: Shown, folder: str | os.PathLike[str]) -> Path:
    """Write `history.html` into the folder, whole or not at all, and say where it is."""
    return _written(render_history(history), Path(folder) / "history.html")


def _written(html: str, path: Path) -> Path:
    with written(path, "pass another folder with -o") as draft:
        draft.write_text(html, encoding="utf-8")
    return path


def render(content: Report) -> str:
    """The report's text."""
    environment = _environment()
    environment.globals.update(
        picture=picture,
        colour=colour_of,
        stroke=stroke_of,
        scripts=[_static(name) for name in SCRIPTS],
        vendored=[_static(f"vendor/{name}") for name in VENDORED],
    )
    return environment.get_template("page.html.j2").render(report=content, terms=TERMS, metrics=METRICS)


def render_compared(compared: Compared) -> str:
    """The text of the page of a comparison, which needs no script."""
    environment = _environment()
    environment.filters["line"] = one_line
    environment.globals.update(change=change, ratio=ratio, heading=heading, floor=floor)
    return environment.get_template("compare.html.j2").render(
        compared=compared,
        opening=opening(compared),
        resolution=resolution(compared),
        sections=[(each, compared.listed(each), reasons(compared.of(each))) for each in ORDER if compared.of(each)],
        folded=(Verdict.WITHIN_NOISE, Verdict.UNKNOWN),
        most=_MOST_ROWS,
    )


def render_history(history: Shown) -> str:
    """The text of the page of a history, which needs no script."""
    environment = _environment()
    environment.filters.update(short=short, revision=revision, day=text.day)
    environment.globals["more_style"] = _static("history.css")
    return environment.get_template("history.html.j2").render(shown=history)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False, "separators": (",", ":")}
    environment.filters["unbroken"] = unbroken
    environment.filters["coded"] = coded
    environment.filters["start"] = start
    environment.filters["rest"] = rest
    environment.filters["whole"] = whole
    environment.globals["style"] = _static("page.css")
    return environment


def shown(value: object) -> object:
    """What a template inserts: a text is visible, whatever its origin; the template then escapes it."""
    if isinstance(value, Markup):
        return Markup(visible(value))  # its escapes have no character of HTML
    return visible(value) if isinstance(value, str) else value


def picture(panel: Panel) -> Mapping[str, str]:
    """The panel drawn for a light and for a dark page, as addresses that hold the drawing itself."""
    from reports.figures import drawings  # loads matplotlib, which only figures need

    light, dark = drawings(panel)
    return {"light": _address(light), "dark": _address(dark)}


def unbroken(said: str) -> str:
    """The sentence with a word joiner after an exponent's sign, so that no line breaks within 1e-05."""
    return re.sub(r"(?<=\de-)(?=\d)", "\N{WORD JOINER}", said)


def coded(said: str) -> Markup:
    """The sentence as HTML, in which words in backticks are code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(said))))


def start(said: str) -> str:
    """The beginning of a text of any origin: a megabyte without a blank takes a browser minutes."""
    return said if len(said) <= _LONG else f"{said[:_LONG]}…"


def rest(said: str) -> str:
    """The part of a text that `start` leaves out, as much of it as a page holds; empty if nothing is left out."""
    left = said[_LONG:]
    more = len(left) - _LONGEST
    return (
        left if more <= 0 else f"{left[:_LONGEST]}… and {more:,} more characters, which nodebench show --samples prints"
    )


def whole(said: str) -> str | Markup:
    """The text; if it is long, its beginning, and the rest after a click."""
    if not rest(said):
        return said
    folded = Markup('<details class="long"><summary>{}</summary>{}</details>')
    return folded.format(start(said), rest(said))


def _address(drawing: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(drawing.encode()).decode()}"


def _static(name: str) -> Markup:
    return Markup((files("reports") / "static" / name).read_text(encoding="utf-8"))
