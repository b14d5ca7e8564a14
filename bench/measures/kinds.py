"""Which kinds of trial a cell needs, in the order in which they run."""

from results.records import Cell, TrialKind


def kinds(cell: Cell) -> list[TrialKind]:
    """All that is measured of a cell: counts first, since a cell that cannot be counted is not measured further.

    Timing last: which cell is the reference, and which are cut, follows from what the others have found.
    """
    if cell.iterations:
        return ["counts", "accuracy", "memory", "training", "timing"]
    return ["counts", "accuracy", "memory", "timing"]
