"""Options: axes that a problem, a solver, a gradient mode or a backend declares, with a type, a default and a meaning.

An option is a parameter of its owner: a keyword-only parameter of a problem's function, a field of a mode's or a
solver's dataclass. A cell holds those that differ from their defaults as canonical JSON.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from bench.failure import seen, shortened
from results.records import Cell, OptionValue, canonical

_KINDS: Mapping[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
_LARGEST = 2**31 - 1  # of a whole number
_LONGEST = 200  # text, in characters


@dataclass(frozen=True)
class Option:
    """A parameter that a sweep can vary."""

    name: str  # with its namespace: problem.width
    kind: str  # int, float, str or bool
    default: OptionValue
    meaning: str = ""  # a line for people
    choices: tuple[OptionValue, ...] = ()  # empty: any value of its kind

    @property
    def allowed(self) -> str:
        """The allowed values, as a text for people."""
        if self.choices:
            return " or ".join(json.dumps(choice) for choice in self.choices)
        return next(word for kind, word in _KINDS.items() if kind.__name__ == self.kind)

    def checked(self, value: object) -> OptionValue:
        """The value as a cell stores it; a ValueError of one line if the option does not allow it."""
        if self.choices:
            if value not in self.choices or isinstance(value, bool) != isinstance(self.choices[0], bool):
                raise ValueError(f"{seen(value)} does not do: it should be {self.allowed}")
            return self.choices[self.choices.index(value)]
        kind = type(value).__name__
        if isinstance(value, int) and kind == "int" and self.kind == "float":
            kind, value = "float", float(value)
        if kind != self.kind:
            raise ValueError(f"{seen(value)} does not do: it should be {self.allowed}")
        return _kept(value)


def _kept(value: object) -> OptionValue:
    """The value, if JSON and every database can store it; else a ValueError."""
    if isinstance(value, float):
        if value != 0 and not 1e-30 <= abs(value) <= 1e30:  # NaN is not within either
            raise ValueError(f"{seen(value)} does not do: it must be between 1e-30 and 1e+30")
        return value + 0.0  # no negative zero
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise ValueError(f"{seen(value)} does not do: it must be at most {_LARGEST}")
    if isinstance(value, str) and (len(value) > _LONGEST or not value.isprintable()):
        raise ValueError(f"{seen(value)} does not do: it should be one line of at most {_LONGEST} characters")
    return value if isinstance(value, int | str) else None


def options_of_function(function: Callable[..., Any], namespace: str) -> tuple[Option, ...]:
    """An option for each keyword-only parameter of a function.

    Raises a TypeError for a parameter without a default, or of a kind that no sweep can write.
    """
    hints = _hints(function)
    documented = _documented(function)
    parameters = inspect.signature(function).parameters.values()
    found = []
    for parameter in parameters:
        if parameter.kind is not parameter.KEYWORD_ONLY:
            continue
        if parameter.default is parameter.empty:
            raise TypeError(f"the option {parameter.name} has no default: write `{parameter.name}: int = 64`")
        option = _option(namespace, parameter.name, hints.get(parameter.name), parameter.default, documented)
        if option is None:
            raise TypeError(f"the option {parameter.name} is {hints.get(parameter.name)}: {_MAY_BE}")
        found.append(option)
    return tuple(found)


_MAY_BE = "annotate it as int, float, str, bool, or as a Literal of a few"


def options_of_value(owner: object, namespace: str, *, beside: type = object) -> tuple[Option, ...]:
    """An option for each simple field of a dataclass's instance, whose own values are the defaults.

    `beside`: what this class declares, such as a solver's name and order, is left out. So is what a sweep cannot write,
    such as a function.
    """
    if not is_dataclass(owner):
        return ()
    left_out = {*dir(beside), *getattr(beside, "__dataclass_fields__", ())}
    hints = _hints(type(owner))
    documented = _documented(type(owner))
    named = [field.name for field in fields(owner) if field.name not in left_out]
    found = (_option(namespace, name, hints.get(name), getattr(owner, name), documented) for name in named)
    return tuple(option for option in found if option is not None)


def _hints(owner: Any) -> Mapping[str, Any]:
    try:
        return get_type_hints(owner, include_extras=True)
    except NameError:  # an annotation that names what only a type checker imports
        return {}


def _option(namespace: str, name: str, hint: Any, default: Any, documented: Mapping[str, str]) -> Option | None:
    """The option of a parameter or a field; None if a sweep cannot write a value of its annotation."""
    meaning = documented.get(name, "")
    if get_origin(hint) is Annotated:
        hint, *notes = get_args(hint)
        meaning = next((note for note in notes if isinstance(note, str)), meaning)
    full = f"{namespace}.{name}" if namespace else name
    if get_origin(hint) is Literal:
        return Option(full, type(default).__name__, default, meaning, get_args(hint))
    if get_origin(hint) in (Union, UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not NoneType]
        hint = kinds[0] if len(kinds) == 1 else None
    if hint is None and isinstance(default, tuple(_KINDS)):  # without an annotation, the default tells its type
        hint = type(default)
    if hint not in _KINDS or not isinstance(default, (*_KINDS, NoneType)):
        return None
    if hint is float and isinstance(default, int) and not isinstance(default, bool):
        default = float(default)
    return Option(full, hint.__name__, default, meaning)


def _documented(owner: Any) -> Mapping[str, str]:
    """The sentence about each name in the owner's docstring that begins with "name: " or "name, other: "."""
    text = " ".join(inspect.cleandoc(owner.__doc__ or "").split())
    entries = list(re.finditer(r"(?:^|(?<=[.:] ))(\w+(?:, \w+)*): ", text))
    found: dict[str, str] = {}
    ends = [entry.start() for entry in entries[1:]]
    for entry, end in zip(entries, [*ends, len(text)][: len(entries)], strict=True):
        sentence = text[entry.end() : end].strip()
        for name in entry[1].split(", "):
            found.setdefault(name, re.split(r"(?<=\.) ", sentence)[0].rstrip("."))
    return found


def stored(chosen: Mapping[str, OptionValue], declared: Mapping[str, Option]) -> str:
    """The JSON that a cell holds: the options that differ from their defaults, by name."""
    return canonical({name: value for name, value in chosen.items() if value != declared[name].default})


def chosen_of(cell: Cell, namespace: str = "") -> dict[str, OptionValue]:
    """The cell's options in a namespace, by their names within it: those that differ from their defaults."""
    start = f"{namespace}." if namespace else ""
    return {name[len(start) :]: value for name, value in cell.option_values.items() if name.startswith(start)}


def unknown_option(name: str, owner: str, declared: Iterable[str]) -> str:
    """The message about an option that its owner does not declare."""
    from node.registry import unknown

    names = list(declared)
    if not names:
        return f"{shortened(name)}: {owner} has no options: leave it out"
    return f"{unknown(f'option of {owner}', shortened(name), names)}"


def lines(options: Iterable[Option]) -> Iterator[tuple[str, ...]]:
    """A row for each option: its name, its allowed values, its default and its meaning."""
    for option in options:
        yield option.name, option.allowed, json.dumps(option.default), option.meaning
