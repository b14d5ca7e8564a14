"""The section of a study without a registered section: every number of its cells in one table."""

from collections.abc import Sequence

from reports.measured import MeasuredCell
from reports.views.findings.quickest import solver_answers
from reports.views.parts import columns
from reports.views.parts.section import Section
from reports.views.parts.table import tabulate


def section(study: str, cells: Sequence[MeasuredCell]) -> Section:
    """The section of the study; `cells` are its cells that have a number."""
    return Section(
        study,
        study,
        "What was measured of these cells?",
        answers=solver_answers(cells),
        tables=(tabulate(study, columns.ALL, cells),) if cells else (),
    )
