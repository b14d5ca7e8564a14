"""The cells of a sweep that the user's filter chooses, and the warnings about them."""

from collections.abc import Sequence
from dataclasses import replace

from bench.answers.notices import notify
from bench.answers.reading import explained
from bench.machine.crowding import crowded
from bench.sweep.file import Sweep
from results.read.only import choose, parse


def chosen(sweep: Sweep, only: Sequence[str]) -> Sweep:
    """The sweep with only the cells that the filter chooses."""
    if not only:
        return sweep
    with explained():
        return replace(sweep, chosen=frozenset(choose(parse(only), sweep.cells)))


def warn(sweep: Sweep) -> None:
    """Warn of cells that ask for more threads than there are cores."""
    notify(*crowded(sweep.wanted))
