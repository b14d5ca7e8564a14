"""The messages about wrong usage, in one line: what was wrong, what was seen, what to do."""

from typing import Any

import typer
from typer.core import TyperGroup

from bench.failure import UsageError
from node.registry import unknown


class Verbs(TyperGroup):
    """A group of verbs that prints its help if no verb is given, and names the nearest verb for an unknown one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments that are left for the verb; without any, print the help and exit."""
        if not args and not ctx.resilient_parsing:
            print(ctx.get_help())
            raise typer.Exit(2)
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The name, the command and the arguments of a verb; a UsageError if there is no such verb."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise UsageError(_of_verb(ctx) + unknown("verb", args[0], self.list_commands(ctx)))
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and not isinstance(command, TyperGroup) and not ctx.resilient_parsing:
            _check_options(command.context_class(command, info_name=name, parent=ctx, **command.context_settings), rest)
        return name, command, rest


def _check_options(context: Any, args: list[str]) -> None:
    """Refuse an empty option, as an unset shell variable makes it, and a repeated option that takes one value."""
    try:
        values, _, given = context.command.make_parser(context).parse_args(list(args))
    except typer.TyperException:  # the verb itself will report it
        return
    for option in dict.fromkeys(o for o in given if o.param_type_name == "option" and not o.is_flag):
        value = values[option.name]
        if any(not str(text).strip() for text in (value if option.multiple else [value])):
            raise UsageError(f"{_of_verb(context)}{option.opts[0]} is empty: give it a value, or leave it out")
        if given.count(option) > 1 and not option.multiple:
            raise UsageError(f"{_of_verb(context)}{option.opts[0]} is given {given.count(option)} times: give it once")


def refusal(error: typer.TyperException) -> str:
    """The message for an error of the parser, whose errors are distinguished by their attributes."""
    context: Any = getattr(error, "ctx", None)
    if context is None:
        return f"{_lowered(error.message)}: nodebench --help lists the verbs, nodebench VERB --help its options"
    verb = _of_verb(context)
    if hasattr(error, "possibilities"):
        return verb + unknown("option", str(getattr(error, "option_name", "")), _options(context))
    parameter: Any = getattr(error, "param", None)
    if parameter is None:
        return f"{verb}{_lowered(error.message)}: {context.command_path} --help says how it is called"
    known = [item.value for item in parameter.shell_complete(context, "")]
    name = parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar or parameter.name
    if error.__cause__ is None and not error.message:
        choices = f" Known: {', '.join(known)}" if known else ""
        return f"{verb}{name} is missing: {parameter.help}{choices}"
    seen = _seen(error)
    if known and seen is not None:
        return verb + unknown(name, str(seen), known)
    shown = "" if seen is None else f"{seen!r} does not do: "
    return f"{verb}{name}: {shown}{_lowered(error.message)}"


def _of_verb(context: Any) -> str:
    words = context.command_path.split()[1:]
    return f"{' '.join(words)}: " if words else ""


def _options(context: Any) -> list[str]:
    return [name for parameter in context.command.get_params(context) for name in parameter.opts if name[:1] == "-"]


def _lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].rstrip(".")


def _seen(error: typer.TyperException) -> object:
    """The value that was checked; None if the error does not contain it."""
    errors = getattr(error.__cause__, "errors", None)  # of pydantic, by which typer checks
    return errors()[0]["input"] if errors else None
