"""Study `adaptive`: embedded pairs at several tolerances."""

from collections.abc import Sequence

from reports.measured import MeasuredCell
from reports.views.findings.configuration import settings
from reports.views.findings.precision import CALLS, SECONDS, precision_panels, undrawn
from reports.views.findings.quickest import solver_answers
from reports.views.parts import columns
from reports.views.parts.figure import figures
from reports.views.parts.section import Section
from reports.views.parts.table import tabulate
from reports.views.studies import SECTIONS

TITLE = "Adaptive solvers"
QUESTION = "Which pair reaches an error for the fewest calls and the least time?"
READING = (
    "Each point is one pair of tolerances, loose to tight from left to right. Equal tolerance is not equal error: "
    "compare lines at one height. The first figure counts the work, the second adds what a step itself costs."
)
COLUMNS = (
    columns.SOLVER,
    columns.BACKEND,
    columns.STEP,
    columns.ERROR,
    columns.NFE,
    columns.FORWARD,
    columns.FORWARD_RATIO,
    columns.KEY,
)


@SECTIONS.register(name="adaptive", doc=TITLE)
def section(study: str, cells: Sequence[MeasuredCell]) -> Section:
    """The section of the study; `cells` are its cells that have a number."""
    return Section(
        study,
        TITLE,
        QUESTION,
        answers=solver_answers(cells),
        reading=READING,
        figures=(
            *figures("Error against calls", precision_panels(cells, CALLS, "nfe_forward")),
            *figures("Error against time", precision_panels(cells, SECONDS, "forward_s")),
        ),
        tables=tuple(tabulate(title, COLUMNS, group) for title, group in settings(cells).items()),
        notes=undrawn(cells),
    )
