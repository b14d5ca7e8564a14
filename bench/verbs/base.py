"""VERBS: a verb is a function whose signature says what it takes, and some commands as examples.

All of them are loaded whatever is asked: a verb's file imports what it answers with inside its function.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from bench.verbs.parts.help import example
from node.registry import Registry

F = TypeVar("F", bound=Callable[..., None])


class Verb(NamedTuple):
    """One verb of the command line."""

    name: str
    function: Callable[..., Any]
    examples: tuple[str, ...]

    @property
    def epilog(self) -> str:
        """The end of its help."""
        return example(*self.examples)


# In the order in which they are needed: a sweep is measured, read and looked at; then what brings something new.
_ORDER = ("run", "plan", "report", "show", "list", "noise", "new", "check")

VERBS: Registry[Verb] = Registry(
    "verb",
    Verb,
    package="bench.verbs",
    order=lambda verb: (_ORDER.index(verb.name) if verb.name in _ORDER else len(_ORDER), verb.name),
    describe=lambda verb: (verb.function.__doc__ or "").partition("\n")[0],
)


def verb(*examples: str, name: str = "") -> Callable[[F], F]:
    """Register the decorated function as a verb, under its own name by default."""

    def register(function: F) -> F:
        VERBS.register(Verb(name or function.__name__, function, examples))
        return function

    return register
