"""The whole report as data."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from node.registry import RegistryError
from reports.measured import MeasuredCell
from reports.views.chooser import Choices, choices
from reports.views.every_cell import EveryCell, every_cell
from reports.views.findings.library_notes import library_notes
from reports.views.findings.noise import noise_note
from reports.views.parts.section import Section
from reports.views.parts.table import Table
from reports.views.selection import select
from reports.views.studies import SECTIONS, MakeSection, other
from reports.views.studies.failures import FailureGroup, failure_groups
from reports.views.studies.overview import Overview, overview
from reports.views.studies.summary import summary_table
from reports.views.wanted import BY_DEFAULT, ReportError, Wanted
from results import format as text
from results.store import Store

SECTIONS.collect()


@dataclass(frozen=True)
class Report:
    """The report: all that the page shows."""

    choices: Choices
    every_cell: EveryCell
    overview: Overview
    sections: tuple[Section, ...]
    summary: Table
    failures: tuple[FailureGroup, ...]


def report(store: Store, wanted: Wanted = BY_DEFAULT) -> Report:
    """The report on `wanted`; by default on the environment of the run that was recorded last."""
    selection = select(store, wanted)
    cells = selection.cells.values()
    return Report(
        choices([each for each in cells if each.status == "ok"], selection.sweeps, wanted.code, wanted.again),
        every_cell(cells),
        overview(selection),
        tuple(study_section(study, group) for study, group in selection.studies.items()),
        summary_table(cells),
        failure_groups(cells),
    )


def study_section(study: str, cells: Sequence[MeasuredCell]) -> Section:
    """A study's section, with notes on its noise, on the libraries and on the cells that have no number."""
    section = _maker(study)(study, [cell for cell in cells if cell.measured])
    notes = (*section.notes, *library_notes(cells), *_without_numbers(cells))
    return replace(section, noise=noise_note(cells), notes=notes)


def _maker(study: str) -> MakeSection:
    """The function that makes a study's section: the one registered under its name, or the one for any study."""
    try:
        return SECTIONS.get(study, other.section)
    except RegistryError as error:  # of an installed distribution
        raise ReportError(str(error)) from error


def _without_numbers(cells: Sequence[MeasuredCell]) -> tuple[str, ...]:
    statuses = Counter(cell.status for cell in cells if not cell.measured)
    if not statuses:
        return ()
    said = [f"{text.count(n)} {status}" for status, n in statuses.most_common()]
    return (f"{text.plural(statuses.total(), 'cell')} without numbers: {text.listed(said)}.",)
