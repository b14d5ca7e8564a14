"""The verb list, which lists what can be measured."""

from enum import StrEnum
from typing import Annotated

import typer

from bench.failure import UsageError
from bench.verbs.base import verb
from bench.verbs.parts.place import Use


class Registry(StrEnum):
    """The registries that `nodebench list` can list."""

    problems = "problems"
    solvers = "solvers"
    backends = "backends"
    gradients = "gradients"
    options = "options"
    sweeps = "sweeps"


@verb("nodebench list solvers", "nodebench list options checkpointed", name="list")
def list_(
    registry: Annotated[Registry, typer.Argument(metavar="WHAT", help="What to list.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose options: a solver's, a problem's, ...")] = "",
    use: Use = None,
) -> None:
    """List problems, solvers, sweeps, options and the like."""
    from bench.answers.sweeps import print_options, print_registry

    if (registry is Registry.options) != bool(name):
        raise UsageError(
            "list options needs the NAME of a problem, solver, gradient mode or backend"
            if registry is Registry.options
            else f"list {registry.value} takes no NAME: {name!r} belongs to nodebench list options NAME"
        )
    if registry is Registry.options:
        print_options(name, use or [])
    else:
        print_registry(registry.value, use or [])
