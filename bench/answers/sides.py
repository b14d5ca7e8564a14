"""The sides of a comparison by the names that people type: databases, and what is named within one."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.answers.reading import code_that_counts, explained, opened
from bench.failure import UsageError
from results.engine.location import MissingDatabaseError, expanded, is_url
from results.store import Store
from results.tools import sides
from results.tools.sides import Side

_SUFFIXES = (".db", ".sqlite", ".sqlite3")  # a name that ends so is meant as a file, whether it is there or not


@contextmanager
def opened_sides(*names: str, url: str, environment: str = "") -> Iterator[list[Side]]:
    """The sides that the names stand for, with their databases open for reading.

    A name is a database's path or URL, or what `results.tools.sides.named` finds in the database `url`. A name without
    a slash that is both a file and something in the database is refused.
    """
    with ExitStack() as stack:
        stores = _Stores(stack)
        yield [_side(name, url, stores, environment) for name in names]


class _Stores:
    """The stores that were opened so far, by path or URL."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._open: dict[str, Store] = {}

    def __getitem__(self, place: str) -> Store:
        if place not in self._open:
            self._open[place] = self._stack.enter_context(opened(place))
        return self._open[place]

    def has(self, place: str) -> bool:
        """Whether there is a database at this place."""
        try:
            self[place]
        except UsageError as error:
            if isinstance(error.__cause__, MissingDatabaseError):
                return False
            raise
        return True


def _side(name: str, url: str, stores: _Stores, environment: str) -> Side:
    is_whole = _is_database(name, url, stores)
    store = stores[name if is_whole else url]
    prefer = code_that_counts(store)
    if is_whole:
        return sides.whole(store, environment=environment, prefer=prefer)
    return sides.named(store, name, environment=environment, prefer=prefer)


def _is_database(name: str, url: str, stores: _Stores) -> bool:
    """Whether the name is a database's own, and no name within the database `url`."""
    if not name.strip():
        raise UsageError("a name is empty: give a database, a baseline, or the start of a run, revision or environment")
    if is_url(name):
        return True
    is_there = _is_file(name)
    if is_there and "/" in name:
        return True
    found = sides.candidates(stores[url], name) if stores.has(url) else []
    if is_there and found:
        kind, whole = found[0]
        raise UsageError(f"{name} is a file here, and {kind} {whole} in {url}: write ./{name} or {kind}:{name}")
    return is_there or (not found and ("/" in name or name.endswith(_SUFFIXES)))


def _is_file(name: str) -> bool:
    """Whether there is such a file, or anything else but a folder."""
    with explained():
        path = Path(expanded(name))
    try:
        return path.exists() and not path.is_dir()
    except OSError:  # a name that is too long for any file
        return False
