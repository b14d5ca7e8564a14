"""The section of a study without a registered section: every number of its cells in one table."""

from collections.abc import Sequence

from reports.measured import MeasuredCell
from reports.views.findings.comparison import compare
from reports.views.findings.library import library_finding, library_pairs
from reports.views.parts import columns
from reports.views.parts.section import Section
from reports.views.parts.table import tabulate

CLOCK = "forward_s"


def section(study: str, cells: Sequence[MeasuredCell]) -> Section:
    """The section of the study; `cells` are its cells that have a number."""
    finding = library_finding(cells, CLOCK, compare(library_pairs(cells, CLOCK), CLOCK))
    return Section(
        study,
        study,
        "What was measured of these cells?",
        findings=(finding,) if finding else (),
        tables=(tabulate(study, columns.ALL, cells),) if cells else (),
    )
