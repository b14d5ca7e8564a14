"""The answer to a wrong name: the known name most like it."""

import difflib
from collections.abc import Collection, Iterable

LISTED = 8  # names in a message; the others are counted


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The question "Did you mean ...?" with the known name most like the wrong one; empty if none is like it."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def nearest(name: str, known: Collection[str]) -> str:
    """The end of a message about an unknown name: the known name most like it, and some of the others."""
    names = list(dict.fromkeys(known))
    hint = f".{did_you_mean(name, names)}"
    some = ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
    return f"{hint} There are: {some}" if names else f"{hint} There is none"
