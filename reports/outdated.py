"""Of which code a page's numbers are: what was measured of code that has changed since is history."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pandas import DataFrame

from reports import format as text

Facts = Mapping[str, str]  # of a results.records.Source

_NOT_THERE = " none"  # how a fact ends of what is not installed


class Part(NamedTuple):
    """Of what a fact is: the library of node, the problem spiral."""

    name: str
    subject: str

    def __str__(self) -> str:
        if self.name == "library":
            return self.subject
        words = {"adapter": "how {} is asked", "problem": "the problem {}", "measure": "how {} is measured"}
        return words[self.name].format(self.subject)


@dataclass(frozen=True)
class Code:
    """The code that counts in an environment: as it is here if any of it was measured, else what was measured last."""

    facts: Mapping[Part, str]
    sources: Collection[str]  # keys of those that are of it
    changed: Collection[Part]  # what is other code here

    @classmethod
    def of(cls, measured: Mapping[str, Facts], here: Iterable[Facts]) -> "Code":
        """`measured`: the facts of all that was measured in the environment, by the source's key, the newest last."""
        newest = {part: fact for facts in measured.values() for part, fact in _parts(facts)}
        known = {pair for facts in measured.values() for pair in _parts(facts)}
        now = {part: fact for facts in here for part, fact in _parts(facts) if not fact.endswith(_NOT_THERE)}
        counts = newest | {part: fact for part, fact in now.items() if (part, fact) in known}
        sources = {key for key, facts in measured.items() if all(counts[part] == fact for part, fact in _parts(facts))}
        return cls(counts, sources, [part for part, fact in now.items() if counts.get(part, fact) != fact])

    def unknown(self, trials: DataFrame, backends: Mapping[str, str]) -> set[tuple[str, str]]:
        """The cells (key) and kinds of trials from before the code was recorded, which something newer makes history.

        They count as long as nothing else was measured of their backend. `backends`: by the cell's key.
        """
        old = trials[trials["source"].isna()]
        pairs = zip(old["cell_key"], old["kind"], strict=True)
        return {(key, kind) for key, kind in pairs if Part("library", backends[key]) in self.facts}

    def said(self) -> list[str]:
        """A line, if what is shown is not of the code as it is here."""
        if not self.changed:
            return []
        have, they = ("has", "it was") if len(self.changed) == 1 else ("have", "they were")
        return [
            f"{text.listed(list(map(str, self.changed)))} {have} changed here since {they} measured: what is shown is "
            "of the code as it was. `nodebench run` measures it again."
        ]


def _parts(facts: Facts) -> list[tuple[Part, str]]:
    return [(Part(name, fact.partition(" ")[0]), fact) for name, fact in facts.items()]
