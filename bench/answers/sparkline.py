"""Sparklines: a series of numbers as one character each."""

import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
DIGITS = "12345678"  # for an encoding without blocks
MOST = 40  # numbers in a line: the newest ones


def sparkline(values: Sequence[float], encoding: str) -> str:
    """The newest numbers from the least to the greatest in eight heights, or in digits if the encoding has no blocks.

    Numbers that are all equal have the middle height; an infinite one the least or the greatest.
    """
    signs = BLOCKS if _has(encoding, BLOCKS) else DIGITS
    newest = values[-MOST:]
    finite = [value for value in newest if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    return "".join(signs[_height(value, low, high)] for value in newest)


def _has(encoding: str, characters: str) -> bool:
    try:
        characters.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _height(value: float, low: float, high: float) -> int:
    if low <= value <= high:
        span = high / 2 - low / 2  # halves, which do not overflow
        return int((value / 2 - low / 2) / span * 7 + 0.5) if span else 3
    return 7 if value > high else 0
