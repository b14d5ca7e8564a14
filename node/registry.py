"""Registries: named values of one kind, each with a line of documentation and the origin of its registration.

One class serves everything that can be added: solvers, gradient modes, models, problems, backends, sections of the
report. This module does not import torch.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from importlib import import_module
from pkgutil import walk_packages
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, overload

from node.errors import CallError, CallTypeError, NodeError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_NAME = re.compile(r"\w[\w.+-]*")  # what a filter, a sweep and a file's name can hold without quotes

T = TypeVar("T")
S = TypeVar("S")


class RegistryError(NodeError, ValueError):
    """An error of one line: a value that cannot be registered, or an entry point that registers nothing."""


class UnknownNameError(NodeError, KeyError):
    """An unknown name; the text is one line with the nearest known name."""

    def __str__(self) -> str:
        return str(self.args[0])


class Origin(NamedTuple):
    """The origin of a value: a kind, such as "built in", "file" or "entry point", and a path or a distribution."""

    kind: str
    place: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.place}".rstrip()


BUILT_IN = Origin("built in")
BY_CALL = Origin("a call")
_origin: ContextVar[Origin] = ContextVar("origin", default=BY_CALL)


@contextmanager
def registering_from(origin: Origin) -> Iterator[None]:
    """A context in which every value that is registered gets this origin."""
    token = _origin.set(origin)
    try:
        yield
    finally:
        _origin.reset(token)


class _Entry(NamedTuple, Generic[T]):
    value: T
    doc: str
    origin: Origin


class Registry(Mapping[str, T]):
    """Named values of one kind, sorted by the key `order`, or in the order of their registration.

    kind: the noun in error messages, such as "solver". of: the type of the values. entry_points: the group of entry
    points by which installed distributions add values; an entry point is imported when its name is first used.
    package: the package whose modules register the built-in values when they are imported. describe: the function that
    gives a line of documentation for a value, by default the first line of its docstring.
    """

    def __init__(
        self,
        kind: str,
        of: type | tuple[type, ...] = object,
        *,
        entry_points: str = "",
        package: str = "",
        order: Callable[[T], Any] | None = None,
        describe: Callable[[T], str] | None = None,
    ) -> None:
        self.kind = kind
        self._type = of
        self._group = entry_points
        self._package = package
        self._order = order
        self._describe = describe or _first_line
        self._entries: dict[str, _Entry[T]] = {}

    @overload
    def register(self, value: S, *, name: str = "", doc: str = "") -> S: ...

    @overload
    def register(self, *, name: str = "", doc: str = "") -> Callable[[S], S]: ...

    def register(self, value: Any = None, *, name: str = "", doc: str = "") -> Any:
        """Add a value and return it; without a value, return a decorator that does so.

        name: by default the value's own `name`, or its `__name__`. doc: its line of documentation, by default from
        `describe`. Raises a RegistryError if the value is of another kind, or if the name is taken.
        """
        if value is None:
            return lambda decorated: self.register(decorated, name=name, doc=doc)
        if not self.is_one(value):
            raise RegistryError(f"a {self.kind} is {_type_names(self._type)}, and this is {value!r:.60}")
        name = name or _name_of(value)
        if not name:
            raise RegistryError(f"this {self.kind} has no name: give it one, register(..., name='...')")
        if not _NAME.fullmatch(name):
            raise RegistryError(
                f"the {self.kind} {name!r:.60}: a name is of letters, digits and _ . + -, and begins with none of the "
                "last three: give it such a one"
            )
        origin = _origin.get()
        if name in self._entries and self._entries[name].value is not value:
            raise RegistryError(
                f"two of the name {name!r} are registered as {self.kind}: one by {self._entries[name].origin}, "
                f"one by {origin}: give one of them another name"
            )
        registered: T = value  # checked above by `is_one`
        self._entries.setdefault(name, _Entry(registered, doc or self._describe(registered), origin))
        return value

    def forget(self, origin: Origin) -> None:
        """Remove all values of this origin, such as those of a file before it is loaded again."""
        self._entries = {name: entry for name, entry in self._entries.items() if entry.origin != origin}

    def is_one(self, value: object) -> bool:
        """Whether the value is of this registry's kind."""
        return isinstance(value, self._type)

    def collect(self) -> None:
        """Import every module of the package, and give the registered values the origin "built in"."""
        for module in walk_packages(import_module(self._package).__path__, f"{self._package}."):
            import_module(module.name)
        self._entries = {name: entry._replace(origin=BUILT_IN) for name, entry in self._entries.items()}

    def __getitem__(self, name: str) -> T:
        if name not in self._entries:
            self._load(name)
        if name not in self._entries:
            raise UnknownNameError(self.unknown(name))
        return self._entries[name].value

    def __iter__(self) -> Iterator[str]:
        order = self._order
        if order is None:
            return iter(list(self._entries))
        return iter(sorted(self._entries, key=lambda name: order(self._entries[name].value)))

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries or name in self._installed

    @overload
    def get(self, name: str, default: None = None, /) -> T | None: ...

    @overload
    def get(self, name: str, default: T | S, /) -> T | S: ...

    def get(self, name: str, default: Any = None, /) -> Any:
        """The value of a name; the default for an unknown one, without the search for the nearest name."""
        if name not in self:
            return default
        return self[name]

    def __hash__(self) -> int:
        return id(self)

    def named(self, given: str | T) -> T:
        """The value of a name, or `given` itself if it is a value.

        Raises a CallError with the nearest name for an unknown name, and a CallTypeError for any other type.
        """
        if isinstance(given, str):
            if (entry := self._entries.get(given)) is not None:  # each solve asks for two
                return entry.value
            if given in self._installed:
                return self[given]
            raise CallError(self.unknown(given))
        if not isinstance(given, self._type):
            raise CallTypeError(f"{self.kind} is {given!r:.60}: pass a name or {_type_names(self._type)}")
        return given

    def unknown(self, name: str) -> str:
        """The error message for an unknown name."""
        return unknown(self.kind, name, dict.fromkeys([*self, *self._installed]))

    def doc(self, name: str) -> str:
        """The line of documentation of a value."""
        self[name]
        return self._entries[name].doc

    def origin(self, name: str) -> Origin:
        """The origin of a value."""
        self[name]
        return self._entries[name].origin

    def installed(self) -> list[str]:
        """The names of entry points of installed distributions that have not been loaded yet."""
        return [name for name in self._installed if name not in self._entries]

    @cached_property
    def _installed(self) -> Mapping[str, EntryPoint]:
        from importlib.metadata import entry_points  # it is slow to import, and most names are built in

        return {found.name: found for found in entry_points(group=self._group)} if self._group else {}

    def _load(self, name: str) -> None:
        """Load the entry point of this name, if there is one: a value, or a module that registers the value."""
        found = self._installed.get(name)
        if found is None:
            return
        place = found.dist.name if found.dist else found.value
        with registering_from(Origin("entry point", place)):
            try:
                value = found.load()
            except Exception as error:
                line = f"{type(error).__name__}: {error}"
                raise RegistryError(f"{self.kind} {name!r} of {place} cannot be loaded: {line}") from error
            if name not in self._entries and isinstance(value, self._type):
                self.register(value, name=name)
        if name not in self._entries:
            raise RegistryError(f"the entry point {name!r} of {place} registers no {self.kind} of this name")


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The error message for an unknown name, with the nearest known name and the list of all known names."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {name!r}.{hint} Known: {', '.join(known)}"


def choice(what: str, name: str, choices: Mapping[str, S]) -> S:
    """The value of a name in `choices`; a CallError with the nearest name for an unknown one."""
    if name in choices:
        return choices[name]
    raise CallError(unknown(what, name, choices))


def _name_of(value: object) -> str:
    own = getattr(value, "name", None)
    return own if isinstance(own, str) else getattr(value, "__name__", "")


def _first_line(value: object) -> str:
    text = value.__doc__ if isinstance(value, type) or callable(value) else type(value).__doc__
    return (text or "").strip().partition("\n")[0]


def _type_names(kind: type | tuple[type, ...]) -> str:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return " or ".join(k.__name__ for k in kinds)
