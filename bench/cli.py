"""The command line, made of its verbs. stdout carries the answer, stderr the progress."""

import os
from collections.abc import Sequence
from typing import Annotated

import typer

from bench.failure import UsageError
from bench.verbs import VERBS
from bench.verbs.db import db
from bench.verbs.parts.help import example
from bench.verbs.parts.refusals import Verbs, refusal

NAME = "nodebench"

app = typer.Typer(
    name=NAME,
    cls=Verbs,
    help="Benchmarks for Neural ODEs: which solver, tolerance, gradient, library, device?",
    epilog=example("nodebench run smoke && nodebench report"),
    rich_markup_mode=None,  # rich takes longer to load than all else together
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

VERBS.collect()
app.add_typer(db, name="db")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        print(f"{NAME} {metadata.version(NAME)}")
        raise typer.Exit


@app.callback()
def nodebench(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """The options of the program itself, without a verb."""


for _verb in VERBS.values():
    app.command(_verb.name, epilog=_verb.epilog)(_verb.function)


def answer(arguments: Sequence[str]) -> int:
    """Run the verb that the arguments name; the exit code. A UsageError of one line if the arguments are wrong."""
    command = typer.main.get_command(app)
    try:
        if f"_{NAME.upper()}_COMPLETE" in os.environ:  # a shell asks for completions, and gets them instead
            command.main(list(arguments), NAME)
        with command.make_context(NAME, list(arguments)) as context:
            command.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    except typer.TyperException as error:
        raise UsageError(refusal(error)) from None
    return 0
