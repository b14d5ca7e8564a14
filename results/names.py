"""The answer to a wrong name: the nearest known one."""

import difflib
from collections.abc import Collection, Iterable

LISTED = 8  # so many are named, the others are counted


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question that names the known name which the wrong one is nearest to; empty if it is near none."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def nearest(name: str, known: Collection[str]) -> str:
    """The end of a line about an unknown name: the nearest known one, and some of the others."""
    names = list(dict.fromkeys(known))
    hint = f".{did_you_mean(name, names)}"
    some = ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
    return f"{hint} There are: {some}" if names else f"{hint} There is none"
