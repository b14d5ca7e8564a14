"""Lines on stderr, which are no part of the answer."""

import sys


def notify(*lines: str) -> None:
    """Print lines on stderr at once."""
    for line in lines:
        print(f"nodebench: {line}", file=sys.stderr, flush=True)
