"""The tolerance to request of an embedded pair so that its error is about the tolerance that is wanted."""

# fehlberg2's error estimate is small, as its weights are +-1/512: the tolerance is divided by as much.
SHARES = {"fehlberg2": 1 / 512}


def tolerance_for(name: str, tolerance: float) -> float:
    """The tolerance to request of the solver of this name."""
    return tolerance * SHARES.get(name, 1.0)
