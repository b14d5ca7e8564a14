"""The rights to the tables of a server, which an upgrade preserves."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from results.engine.database import Database
from results.engine.location import StoreError
from results.schema.tables import curve, metadata, summary, trial
from results.schema.views import VIEWS


class Right(NamedTuple):
    """A right of a role to a table or view, or to one column, and whether the role may pass it on."""

    role: str
    right: str
    passes_on: bool
    column: str | None = None  # None: all columns


# The table whose rights a new view gets.
_RIGHTS_OF_NEW = {"latest": summary.name, "point": curve.name}
_RECREATED = (summary.name, *VIEWS)  # dropped and created by each upgrade


def demand_ownership(database: Database, connection: Connection) -> None:
    """Raise a StoreError that names the owners of our tables on a server whose role the user does not have.

    Only the owner of a table can change it.
    """
    if database.is_file:
        return
    if owners := list(connection.scalars(_OTHER_OWNERS, {"ours": list(metadata.tables)})):
        raise StoreError(f"{database.place} belongs to {' and '.join(owners)}, who alone can upgrade it: log in so")


@contextmanager
def kept(connection: Connection) -> Iterator[None]:
    """A body after which recreated tables and views have the rights and owner of before; a file has none."""
    before = known(connection) if connection.dialect.name == "postgresql" else None
    yield
    if before:
        restore(connection, before)


def known(connection: Connection) -> Mapping[str, list[Right]]:
    """The rights of all roles except the owner, by the name of the table or view."""
    found: dict[str, list[Right]] = {}
    for name, *right in connection.execute(_KNOWN, {"ours": [*metadata.tables, *VIEWS]}):
        of_name = found.setdefault(name, [])
        if right[0] is not None:
            of_name.append(Right(*right))
    return found


def restore(connection: Connection, before: Mapping[str, list[Right]]) -> None:
    """Grant the earlier rights on recreated tables and views, and set their owner to that of the table `trial`.

    A new table gets the rights of `trial`, a new view those of the table that it shows.
    """
    now = known(connection)
    owner = connection.scalar(_OWNER, {"of": trial.name})
    for name in now:
        if name in before and name not in _RECREATED:
            continue  # it was not recreated
        if connection.scalar(_OWNER, {"of": name}) != owner:
            _execute(connection, f"alter {'view' if name in VIEWS else 'table'} {name} owner to {owner}")
        for role in sorted({right.role for right in now[name]}):  # granted by the server's default privileges
            _execute(connection, f"revoke all on {name} from {role}")
        for statement in _grants(name, before.get(name, before.get(_RIGHTS_OF_NEW.get(name, ""), before[trial.name]))):
            _execute(connection, statement)


def _grants(name: str, rights: list[Right]) -> Iterator[str]:
    names = metadata.tables[name].columns.keys() if name in metadata.tables else ()
    for role, right, passes_on, column in rights:
        if (name in VIEWS and right != "SELECT") or (column and column not in names):
            continue
        what = f'{right} ("{column}")' if column else right
        yield f"grant {what} on {name} to {role}{' with grant option' * passes_on}"


def _execute(connection: Connection, statement: str) -> None:
    """Run a statement by the driver itself, for which a colon or a percent sign in a role's name means nothing."""
    driver: Any = connection.connection.driver_connection
    try:
        driver.execute(statement)
    except connection.dialect.loaded_dbapi.Error as error:
        raise OperationalError(statement, None, error) from error


_KNOWN = text("""
with ours as (
    select pg_class.oid, relname, relowner, relacl
    from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where nspname = current_schema() and relname = any(:ours) and relkind in ('r', 'v')
)
select relname, case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end, privilege_type,
       is_grantable, null
from ours left join lateral aclexplode(relacl) on grantee <> relowner
union all
select relname, case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end, privilege_type,
       is_grantable, attname
from ours join pg_attribute on attrelid = oid, lateral aclexplode(attacl)
where grantee <> relowner
""")
_OTHER_OWNERS = text(
    "select distinct tableowner from pg_tables where schemaname = current_schema() and tablename = any(:ours) "
    "and not pg_has_role(tableowner, 'usage') order by 1"
)
_OWNER = text("""
select quote_ident(pg_get_userbyid(relowner)) from pg_class join pg_namespace on pg_namespace.oid = relnamespace
where nspname = current_schema() and relname = :of
""")
