"""Notes on libraries: how torchdiffeq is called, and outputs that it interpolates."""

from collections.abc import Sequence

from reports.measured import MeasuredCell, measured_of
from results import format as text
from results.records import Cell

OWN = "node"
ASKED = (
    "torchdiffeq is asked for the forms in which it takes the least time to an error. Fixed steps: a grid that has the "
    'outputs on it where dt divides their times; between steps a line, and interp="cubic", which costs a call an '
    "output, for methods of order 3 and 4 only. Adaptive steps: one ends on the last output; bosh3 and dopri8 step to "
    "each output unless these are many more than steps; the adjoint's backward pass steps to each. docs/peers.md has "
    "the measurements."
)
FAR = 10.0  # times the error at the end, above which the largest error over outputs gets a note


def library_notes(cells: Sequence[MeasuredCell]) -> tuple[str, ...]:
    """Notes on how torchdiffeq is called, and on outputs with far larger errors than the last one."""
    backends = dict.fromkeys(each.cell.backend for each in cells)
    asked = (ASKED,) if "torchdiffeq" in backends else ()
    return (*asked, *(note for backend in backends if backend != OWN and (note := _interpolated(cells, backend))))


def _interpolated(cells: Sequence[MeasuredCell], backend: str) -> str:
    """A note on the cells whose largest error is far above that at the end; empty if there is none."""
    others = [each for each in measured_of(cells, "error", "error_final") if each.cell.backend == backend]
    far = [each for each in others if _may_interpolate(each.cell) and _error_ratio(each) > FAR]
    if not far:
        return ""
    solvers = text.listed(list(dict.fromkeys(each.cell.solver for each in far)))
    most = float(f"{max(map(_error_ratio, far)):.2g}")
    return (
        f"{text.plural(len(far), 'cell')} of {backend} ({solvers}): the largest error over outputs is more than "
        f"{FAR:g} times that at the end time, up to {text.tolerance(most)} times. A step ends on the end time; outputs "
        "between two steps are interpolated, which errs more than the steps do."
    )


def _error_ratio(each: MeasuredCell) -> float:
    """The ratio of the largest error over outputs to the error at the end."""
    final = each.value("error_final")
    return each.value("error") / final if final > 0 else 1.0


def _may_interpolate(cell: Cell) -> bool:
    """Whether an output may lie between two steps; none does if dt divides the outputs' times."""
    if cell.n_outputs == 2 or cell.dt is None:
        return cell.n_outputs > 2
    steps = cell.horizon / (cell.n_outputs - 1) / cell.dt
    return abs(steps - round(steps)) > 1e-9 * steps
