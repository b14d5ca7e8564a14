"""What was measured of code that has changed since: it is history, and no page shows it as current."""

from collections.abc import Mapping
from typing import NamedTuple

from pandas import DataFrame

Facts = Mapping[str, str]  # of a results.records.Source


class _Part(NamedTuple):
    """Of what a fact is: the library of node, the problem spiral."""

    name: str
    subject: str


def newest_facts(sources: Mapping[str, Facts]) -> dict[_Part, str]:
    """The newest fact of each part of the code that was measured, from an environment's sources, newest last."""
    return {_Part(name, fact.partition(" ")[0]): fact for facts in sources.values() for name, fact in facts.items()}


def outdated(trials: DataFrame, backends: Mapping[str, str], sources: Mapping[str, Facts]) -> set[tuple[str, str]]:
    """The cells (key) and kinds whose trials are not of the newest code that was measured in their environment.

    `backends`: by the cell's key. `sources`: of the environment, by key, the newest last.

    Trials from before the code was recorded count as long as nothing else was measured of their backend.
    """
    newest = newest_facts(sources)
    old = {key for key, facts in sources.items() if facts != _replaced(facts, newest)}
    found = set()
    for row in trials.itertuples():
        unknown = row.source not in sources and _Part("library", backends[row.cell_key]) in newest
        if row.source in old or unknown:
            found.add((row.cell_key, row.kind))
    return found


def _replaced(facts: Facts, newest: Mapping[_Part, str]) -> Facts:
    return {name: newest[_Part(name, fact.partition(" ")[0])] for name, fact in facts.items()}


def changed_here(newest: Mapping[_Part, str], here: Mapping[str, str]) -> list[str]:
    """The backends whose library is another one here than that which was measured last."""
    return [name for name, fact in here.items() if newest.get(_Part("library", name), fact) != fact]
