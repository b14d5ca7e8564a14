"""VERBS: the registry of verbs. A verb is a function whose signature gives its parameters, with example commands.

All verbs are loaded for every command, so a verb's file imports inside its function what the answer needs.
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
        """The end of the verb's help."""
        return example(*self.examples)


# In the order in which users need them: to measure and read a sweep first, then to add something of their own.
_ORDER = ("run", "plan", "report", "figure", "compare", "history", "show", "list", "noise", "new", "check")

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
