"""A study of a user's own: every number of its cells in one table."""

from collections.abc import Sequence

from reports.measured import MeasuredCell
from reports.views import columns
from reports.views.comparison import library_finding
from reports.views.section import Section
from reports.views.table import tabulate


def section(study: str, cells: Sequence[MeasuredCell]) -> Section:
    """The study's section; the cells are those with a number."""
    finding = library_finding(cells, "forward_s")
    return Section(
        study,
        study,
        "What was measured of these cells?",
        findings=(finding,) if finding else (),
        tables=(tabulate(study, columns.ALL, cells),) if cells else (),
    )
