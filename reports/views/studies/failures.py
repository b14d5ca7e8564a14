"""Cells without all of their numbers, by status and reason."""

from collections.abc import Collection
from dataclasses import dataclass

from reports.measured import Failure, MeasuredCell
from reports.views.findings.configuration import Configuration, step
from results import format as text


@dataclass(frozen=True)
class FailureGroup:
    """Cells that failed for one reason."""

    failure: Failure
    cells: tuple[tuple[str, str], ...]  # key, and a description for a person

    @property
    def count(self) -> str:
        """The number of cells."""
        return text.plural(len(self.cells), "cell")


def failure_groups(cells: Collection[MeasuredCell]) -> tuple[FailureGroup, ...]:
    """The groups of failures: errors before what is not supported; within each the largest group first."""
    groups: dict[Failure, list[MeasuredCell]] = {}
    for cell in cells:
        for failure in cell.failures:
            groups.setdefault(failure, []).append(cell)
    ordered = sorted(groups.items(), key=lambda item: (item[0].expected, -len(item[1])))
    return tuple(
        FailureGroup(failure, tuple((each.key, _description(each)) for each in failed)) for failure, failed in ordered
    )


def _description(measured: MeasuredCell) -> str:
    return f"{measured.cell.problem}: {Configuration.of(measured)}, {step(measured.cell)}, {measured.cell.device}"
