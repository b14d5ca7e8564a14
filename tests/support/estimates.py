"""What to ask of a pair so that its error is about a tolerance."""

# Of the error that they estimate: Fehlberg made his second formula's leading term small by its weights of 1/512.
SHARES = {"fehlberg2": 1 / 512}


def asked(name: str, tolerance: float) -> float:
    """The tolerance to give to a solver of this name."""
    return tolerance * SHARES.get(name, 1.0)
