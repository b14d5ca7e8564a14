"""The pages, of a report and of a history: each one HTML file that opens offline."""

import base64
import os
import re
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from reports.history import Shown, revision, short
from reports.palette import colour_of, stroke_of
from reports.views.parts.figure import Panel
from reports.views.parts.glossary import TERMS
from reports.views.report import Report, report
from reports.views.wanted import BY_DEFAULT, ReportError, Wanted
from results import format as text
from results.engine.drafts import drafted
from results.metrics import METRICS
from results.store import Store

__all__ = ["ReportError", "Wanted", "render", "render_history", "write", "write_history"]

_LONG = 300  # characters of a text that are shown at once
_LONGEST = 20_000  # characters that a click shows


def write(store: Store, folder: str | os.PathLike[str], wanted: Wanted = BY_DEFAULT) -> Path:
    """Write `index.html` into the folder, whole or not at all, and say where it is."""
    return _written(render(report(store, wanted)), Path(folder) / "index.html")


def write_history(shown: Shown, folder: str | os.PathLike[str]) -> Path:
    """Write `history.html` into the folder, whole or not at all, and say where it is."""
    return _written(render_history(shown), Path(folder) / "history.html")


def _written(html: str, path: Path) -> Path:
    try:
        with drafted(path) as draft:
            draft.write_text(html, encoding="utf-8")
    except OSError as error:
        raise ReportError(f"{path} cannot be written ({error.strerror}): pass another folder with -o") from error
    return path


def render(content: Report) -> str:
    """The report's text."""
    environment = _environment()
    environment.globals.update(picture=picture, colour=colour_of, stroke=stroke_of, script=_static("page.js"))
    return environment.get_template("page.html.j2").render(report=content, terms=TERMS, metrics=METRICS)


def render_history(shown: Shown) -> str:
    """The text of the page of a history, which needs no script. What hides in a text of the database is seen."""
    environment = _environment(finalize=lambda value: text.one_line(start(value)) if type(value) is str else value)
    environment.filters.update(short=short, revision=revision, day=text.day)
    environment.globals["more_style"] = _static("history.css")
    return environment.get_template("history.html.j2").render(shown=shown)


def _environment(finalize: Callable[[Any], Any] | None = None) -> Environment:
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = unbroken
    environment.filters["coded"] = coded
    environment.filters["start"] = start
    environment.filters["rest"] = rest
    environment.filters["whole"] = whole
    environment.globals["style"] = _static("page.css")
    return environment


def picture(panel: Panel) -> Mapping[str, str]:
    """The panel drawn for a light and for a dark page, as addresses that hold the drawing itself."""
    from reports.figures import drawings  # loads the plotting libraries, which no other page needs

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
    return left if more <= 0 else f"{left[:_LONGEST]}… and {more:,} more characters, which nodebench show prints"


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
