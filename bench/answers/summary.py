"""The summary at the end of a run, in ten lines: with the census of the cells, what won, and where the page is.

Nothing is said of what won where nothing was measured: it takes libraries that such a run does not load.
"""

import shlex

from bench.answers.columns import fitted
from bench.machine.environment import environment
from bench.source import sources_of
from bench.sweep.file import Sweep
from bench.verbs.parts.place import DEFAULT_DATABASE
from results.engine.location import public
from results.escaping import one_line
from results.format import plural
from results.schema.rows import sha_of
from results.store import Store

LINES = 10
_MOST_CELLS = 2000  # of a sweep whose answers do not keep the user waiting


def won_lines(store: Store, sweep: Sweep, *, room: int) -> list[str]:
    """At most `room` lines: what won in each study of the sweep, in this environment and of the code as it is."""
    if len(sweep.cells) > _MOST_CELLS:
        return []
    from reports import ReportError, Wanted, answers

    sha = sha_of(sweep.name, sweep.text)
    wanted = Wanted(sweeps=[sha], environment=environment().fingerprint, here=sources_of)
    try:
        of_studies = answers(store, wanted)
    except ReportError as error:  # a registered section that cannot be used
        return [str(error)]
    lines = [f"{each.title}: {said}" for each in of_studies for said in each.said]
    if len(lines) > room:
        lines = [f"{each.title}: {each.said[0]}{_more(len(each.said) - 1)}" for each in of_studies]
    if len(lines) > room:
        lines = [*lines[: room - 1], f"and of {len(lines) - room + 1} more studies, on the page"]
    return [fitted(one_line(line)) for line in lines]


def _more(count: int) -> str:
    return f" ({plural(count, 'more answer')} on the page)" if count else ""


def page_line(url: str) -> str:
    """The line with the command that writes the page, and where it does."""
    where = "" if url == DEFAULT_DATABASE else f" --db {shlex.quote(public(url))}"
    return f"nodebench report{where} writes the page, out/report/index.html"
