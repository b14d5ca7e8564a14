"""The code whose numbers a page shows: numbers of code that has changed since are history."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from results import format as text

if TYPE_CHECKING:
    from pandas import DataFrame

Facts = Mapping[str, str]  # of a results.records.Source

_NOT_THERE = " none"  # the end of a fact if the library is not installed


# Parts that a user's file may define, by the names of their facts, and the nouns for them.
_KINDS = {"problem": "problem", "adapter": "backend", "solver": "solver", "gradient": "gradient mode"}


class Part(NamedTuple):
    """A part of the code that a fact is about: the library of node, the problem spiral."""

    name: str
    subject: str

    def __str__(self) -> str:
        if self.name == "library":
            return self.subject
        if self.name == "adapter":
            return f"how {self.subject} is asked"
        return f"the {_KINDS.get(self.name, self.name)} {self.subject}"


@dataclass(frozen=True)
class Code:
    """The code that counts in an environment: the present code if it was measured, else what was measured last."""

    facts: Mapping[Part, str]
    sources: Collection[str]  # keys of the sources that have this code
    changed: Collection[Part]  # parts whose present code is different
    absent: Collection[Part] = ()  # parts that a file of the user defines which is not loaded here

    @classmethod
    def of(cls, measured: Mapping[str, Facts], here: Iterable[Facts]) -> Code:
        """The code that counts. `measured`: the facts of all code measured in the environment, the newest last."""
        here = list(here)
        newest = {part: fact for facts in measured.values() for part, fact in _parts(facts)}
        now = {part: fact for facts in here for part, fact in _parts(facts) if not fact.endswith(_NOT_THERE)}
        whole = [dict(facts) for facts in measured.values()]  # no mix of parts that nobody has measured together
        counts = newest | dict(pair for facts in here if dict(facts) in whole for pair in _parts(facts))
        sources = {key for key, facts in measured.items() if all(counts[part] == fact for part, fact in _parts(facts))}
        changed = [part for part, fact in now.items() if counts.get(part, fact) != fact]
        known = {part: fact for part, fact in counts.items() if not fact.endswith(_NOT_THERE)}
        absent = [part for part in known if here and part.name in _KINDS and part not in now]
        return cls(counts, sources, changed, absent)

    def unknown(self, trials: DataFrame, backends: Mapping[str, str]) -> set[tuple[str, str]]:
        """The cells (key) and kinds of trials whose code was not recorded, and that do not count any more.

        They count as long as no known code of their backend was measured. `backends`: by the cell's key.
        """
        old = trials[trials["source"].isna()]
        pairs = zip(old["cell_key"], old["kind"], strict=True)
        return {(key, kind) for key, kind in pairs if Part("library", backends[key]) in self.facts}

    def notices(self) -> list[str]:
        """Notices if the numbers shown are not of the present code, or if that is not known."""
        return [*self._of_changed(), *self._of_absent()]

    def _of_absent(self) -> list[str]:
        if not self.absent:
            return []
        named = text.listed([f"the {_KINDS[part.name]} {part.subject}" for part in self.absent])
        is_, its = ("is", "its") if len(self.absent) == 1 else ("are", "their")
        return [
            f"{named} {is_} not loaded here: it is not known whether {its} code has changed since. "
            "`--use FILE` loads what a file adds."
        ]

    def _of_changed(self) -> list[str]:
        measures = [part.subject for part in self.changed if part.name == "measure" and part.subject != "twin"]
        named = [str(part) for part in self.changed if part.name != "measure"]
        if measures:
            named.append(f"the measuring of {text.listed(measures)}")
        if not named:
            return []
        have, them = ("has", "it") if len(named) == 1 else ("have", "them")
        return [
            f"{text.listed(named)} {have} changed here since: what is shown was measured of the code as it was. "
            f"`nodebench run` measures what follows from {them} again."
        ]


def _parts(facts: Facts) -> list[tuple[Part, str]]:
    return [(Part(name, fact.partition(" ")[0]), fact) for name, fact in facts.items()]
