"""The cells that cannot be measured here, known before any process is started."""

from bench.backends.base import reason_against
from bench.machine.environment import missing_device
from results.records import Cell, TrialStatus


def refusal(cell: Cell) -> tuple[TrialStatus, str]:
    """The status and the reason of a cell that cannot be measured here; "ok" if it can."""
    if reason := reason_against(cell):
        return "unsupported", reason
    if reason := missing_device(cell.device):
        return "unavailable", reason
    return "ok", ""
