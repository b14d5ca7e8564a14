"""The answers of the verbs that only read the database, loaded without torch, so that they are quick."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench.answers.notices import notify
from bench.failure import InfrastructureError, UsageError
from bench.source import sources_of
from results.read.code import Code
from results.read.only import FilterError, check, parse
from results.read.where import Where
from results.store import Store, StoreError


def code_that_counts(store: Store) -> list[str]:
    """The keys of the code whose trials the report shows: as it is here, or as it was measured last, by environment."""
    here = [source.facts for source in sources_of(store.cells_by_code())]
    measured = (store.sources(fingerprint) for fingerprint in store.fingerprints())
    return sorted({key for sources in measured for key in Code.of(sources, here).sources})


def chosen(store: Store, only: Sequence[str]) -> Where:
    """The parsed filter; an error if no cell of the database meets it."""
    where = parse(only)
    if only:
        check(store.database, where)
    return where


@contextmanager
def opened(url: str, *, write: bool = False, create: bool = False, as_it_is: bool = False) -> Iterator[Store]:
    """An open store whose errors become UsageErrors, and whose notices are printed when it is opened and closed."""
    with explained():
        store = Store.open(url, write=write, create=create, as_it_is=as_it_is)
        at_opening = len(store.notices)
        notify(*store.notices)
        try:
            with store, _sound(store):
                yield store
        finally:
            notify(*store.notices[at_opening:])


@contextmanager
def _sound(store: Store) -> Iterator[None]:
    """A body whose unexpected error becomes a UsageError that names a fault of the database, if one is found.

    Another program may have written into the database. If the database is sound, the error is a mistake of ours.
    """
    try:
        yield
    except (UsageError, InfrastructureError, StoreError, FilterError, OSError):
        raise
    except Exception as error:
        from results.tools.check import first_fault

        if not (fault := first_fault(store)):
            raise
        raise UsageError(
            f"{store.database.place} has what nodebench did not write ({fault}): nodebench db check tells all of it"
        ) from error


@contextmanager
def explained() -> Iterator[None]:
    """A body whose StoreErrors and FilterErrors become UsageErrors, because the user can mend them."""
    try:
        yield
    except (StoreError, FilterError) as error:
        raise UsageError(str(error)) from error
