"""Which cells of a sweep a verb is about, and what is to be said of them before anything else."""

import sys
from collections.abc import Sequence
from dataclasses import replace

from bench.answers.reading import explained
from bench.machine.crowding import crowded
from bench.sweep.file import Sweep
from results.read.only import choose, parse


def chosen(sweep: Sweep, only: Sequence[str]) -> Sweep:
    """The sweep with the cells that the filter chooses, and no others."""
    if not only:
        return sweep
    with explained():
        return replace(sweep, chosen=frozenset(choose(parse(only), sweep.cells)))


def warn(sweep: Sweep) -> None:
    """Say what is not as the cells ask for."""
    for line in crowded(sweep.wanted):
        tell(line)


def tell(said: str) -> None:
    """A line that is no part of the answer."""
    print(f"nodebench: {said}", file=sys.stderr, flush=True)
