"""An engine's errors as ours: the same messages for SQLite and PostgreSQL."""

from typing import Any

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError

from results.engine.location import RECOVER, MissingRowError, StoreError, UnwritableError

_NO_RIGHT = "42501"  # PostgreSQL's code for a missing right: the user may be allowed to read only

# A part of the engine's message, in lower case, and the advice on it.
_ADVICE = {
    "deadlock": "run the same command again",
    "depend on it": "drop what others have made of it (views), and make that anew afterwards",
    "row-level security": "it hides some rows from you: ask the database's owner for a role that may see all",
    "statement timeout": "the server ends what takes longer than its statement_timeout: ask its owner to raise it",
    "idle-in-transaction": "the server ends who is idle for longer than its limit: ask its owner to raise it",
    "idle-session": "the server ends who is idle for longer than its limit: run the same command again",
    "too many clients": "wait until others have finished, or ask the server's owner to raise max_connections",
    "connection slots": "wait until others have finished, or ask the server's owner to raise max_connections",
    "administrator command": "wait until the server has been started again",
    "malformed": RECOVER,
    " is locked": "wait for the process that uses it",
    "lock timeout": "wait for the process that uses it",
    "is full": "make room on its disk",
    "no space left": "make room on its disk",
    "readonly": "copy it to where it can be written, or pass --db with another path",
    "read-only": "pass --db with a database that can be written",
    "permission denied": "ask the database's owner for the right",
    "unable to open": "check the path; copy it to a folder that can be written, with its -wal file if there is one",
    "password": "check the user and the password in the URL",
    'role "': "check the user in the URL",
    'database "': "make it with createdb, or check its name in the URL",
    "resolve host": "check the host in the URL",
    "connection option": "check what the URL says after its question mark",
    "connection": "start the server, or check host and port in the URL",
}


def refusal(error: DBAPIError, *, place: str, verb: str) -> StoreError:
    """The error for the user; an UnwritableError unless the data or the code was wrong."""
    if isinstance(error, IntegrityError):
        return _broken_rule(error.orig, place)
    no_right = getattr(error.orig, "sqlstate", None) == _NO_RIGHT
    wrong = isinstance(error, DataError | ProgrammingError | NotSupportedError) and not no_right
    said = str(error.orig).partition("\n")[0]
    advice = next((advice for sign, advice in _ADVICE.items() if sign in said.lower()), "check the path and the disk")
    if "readonly" in said.lower():
        verb = "written"  # also if it was to be read
    seen = said.rpartition(" failed: ")[2].replace("  ", " ")  # `place` has the address already
    if "depend on it" in said:
        detail = getattr(error.orig, "diag", None)
        seen = f"{seen}: {' '.join(str(detail and detail.message_detail).split())}"  # the objects that depend
    return (StoreError if wrong else UnwritableError)(f"{place} cannot be {verb} ({seen}): {advice}")


def _broken_rule(error: Any, place: str) -> StoreError:
    rule, table = _rule_of_sqlite(str(error)) if hasattr(error, "sqlite_errorname") else _rule_of_postgresql(error)
    said = {
        "unique": f"{place} has this {table} already: each is written once, under a name of its own",
        "foreign key": f"{place} lacks what a row refers to (no such run, cell or trial): begin its run first",
    }.get(rule, f"{place} takes no such {table} (it breaks the rule {rule!r}): check what is written")
    return (MissingRowError if rule == "foreign key" else StoreError)(said)


def _rule_of_sqlite(said: str) -> tuple[str, str]:
    """The rule and the table in a message such as "UNIQUE constraint failed: run.id"."""
    rule, _, where = said.partition(" constraint failed")
    kind = rule.lower()
    return (where.removeprefix(": ") if kind == "check" else kind), where.removeprefix(": ").partition(".")[0] or "row"


def _rule_of_postgresql(error: Any) -> tuple[str, str]:
    kinds = {"23505": "unique", "23503": "foreign key", "23502": "not null"}
    return kinds.get(error.sqlstate, error.diag.constraint_name or ""), error.diag.table_name or "row"
