"""Runs and cells by the start of their keys, which is what people type."""

from typing import Literal

from sqlalchemy import Connection, select

from results.engine.location import StoreError
from results.names import LISTED
from results.read.where import begins
from results.schema.tables import cell, run
from results.schema.tables import environment as environment_table

# By the order of recording; runs of databases that were merged may share a place in it.
NEWEST_RUN_FIRST = (run.c.sequence.desc(), run.c.started_at.desc(), run.c.id.desc())
# Runs that were merged from other databases come after all that were recorded here.
OWN_RUN_FIRST = (run.c.merged, *NEWEST_RUN_FIRST)

Kind = Literal["run", "cell"]


def run_id(connection: Connection, start: str) -> str:
    """The run whose id is the text or begins with it."""
    return _only(_starting(connection, "run", start), start, "run")[1]


def environment(connection: Connection, start: str) -> str:
    """The environment whose fingerprint is the text or begins with it."""
    column = environment_table.c.fingerprint
    found = list(connection.scalars(select(column).where(column.startswith(start, autoescape=True)).order_by(column)))
    if len(found) != 1:
        known = connection.scalars(select(column).order_by(column)).all()
        count = len(found) or "no"
        raise StoreError(
            f"{count} environments begin with {start!r}: pass another start. There are: {', '.join(known)}"
        )
    return str(found[0])


def run_or_cell(connection: Connection, start: str) -> tuple[Kind, str]:
    """The run or the cell whose key begins with the text: its kind and its whole key."""
    found = [*_starting(connection, "run", start), *_starting(connection, "cell", start)]
    return _only(found, start, "run or cell")


def _starting(connection: Connection, kind: Kind, start: str) -> list[tuple[Kind, str]]:
    if kind == "run":
        column, alike = run.c.id, run.c.id.startswith(start, autoescape=True)
    else:
        column, alike = cell.c.key, begins(start)
    keys = connection.scalars(select(column).where(alike).order_by(column))
    found: list[tuple[Kind, str]] = [(kind, key) for key in keys]
    return [(kind, start)] if (kind, start) in found else found


def _only(found: list[tuple[Kind, str]], start: str, wanted: str) -> tuple[Kind, str]:
    if not found:
        where = {"run": "nodebench db stats prints runs", "cell": "nodebench plan SWEEP prints cells"}
        known = " and ".join(told for kind, told in where.items() if kind in wanted)
        raise StoreError(f"no {wanted} begins with {start!r}: {known}")
    if len(found) > 1:
        named = ", ".join(f"{kind} {key}" for kind, key in found[:LISTED])
        more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
        raise StoreError(f"{len(found)} begin with {start!r}: add digits. {named}{more}")
    return found[0]
