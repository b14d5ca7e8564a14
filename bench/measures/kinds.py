"""The kinds of trial that a cell needs, in the order in which they run."""

from results.records import Cell, TrialKind


def kinds(cell: Cell) -> list[TrialKind]:
    """The kinds of trial of a cell. Counts first, because a cell that cannot be counted is not measured further.

    Timing last: the results of the others decide which cell is the control and which cells are cut.
    """
    if cell.iterations:
        return ["counts", "accuracy", "memory", "training", "timing"]
    return ["counts", "accuracy", "memory", "timing"]
