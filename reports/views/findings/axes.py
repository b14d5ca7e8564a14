"""The axes of a sweep along which cells are followed, and the middle value of an axis."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from reports.measured import MeasuredCell
from reports.views.findings.configuration import SETTINGS, coarseness, step

# The value of an axis: the number that it is sorted by, and its text.
Place = tuple[float, str]
AXES: Mapping[str, Callable[[MeasuredCell], Place]] = {
    "step": lambda each: (coarseness(each), step(each.cell)),
    "horizon": lambda each: (each.cell.horizon, SETTINGS["horizon"](each.cell.horizon)),
    "n_outputs": lambda each: (each.cell.n_outputs, SETTINGS["n_outputs"](each.cell.n_outputs)),
}


def middle(cells: Sequence[MeasuredCell], place: Callable[[MeasuredCell], Place]) -> Place:
    """The value that most cells share, as a sweep may vary one axis at a time; of several such the middle one."""
    counts = Counter(place(each) for each in cells)
    most = sorted(each for each, count in counts.items() if count == max(counts.values()))
    return most[len(most) // 2]
