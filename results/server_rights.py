"""Who may do what with the tables of a server: the same after an upgrade as before."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import Connection, text

from results.tables import curve, metadata, summary, trial
from results.views import VIEWS


class Right(NamedTuple):
    """What a role may do with a table or view, and whether it may let others."""

    role: str
    right: str
    passes_on: bool


# Whose rights a view has that was not there before.
_LIKE = {"latest": summary.name, "point": curve.name}


def known(connection: Connection) -> Mapping[str, list[Right]]:
    """The rights of all but the owner, by the name of what was there."""
    found: dict[str, list[Right]] = {}
    names = [*metadata.tables, *VIEWS]
    for name, *right in connection.execute(_KNOWN, {"ours": names}):
        of_name = found.setdefault(name, [])
        if right[0] is not None:
            of_name.append(Right(*right))
    return found


def restore(connection: Connection, before: Mapping[str, list[Right]]) -> None:
    """Give them again on what was made anew, and on what is new as on trials or on what it shows; one owner has all."""
    owner = connection.scalar(_OWNER, {"of": trial.name})
    for name in (*metadata.tables, *VIEWS):
        if connection.scalar(_OWNER, {"of": name}) != owner:
            connection.execute(text(f"alter {'view' if name in VIEWS else 'table'} {name} owner to {owner}"))
        like = name if name in before else _LIKE.get(name, trial.name)
        if name in before and name not in (summary.name, *VIEWS):
            continue  # it has been there all the time
        for role, right, passes_on in before.get(like, before[trial.name]):
            if right == "SELECT" or name not in VIEWS:
                connection.execute(text(f"grant {right} on {name} to {role}{' with grant option' * passes_on}"))


_KNOWN = text("""
select relname, case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end, privilege_type,
       is_grantable
from pg_class join pg_namespace on pg_namespace.oid = relnamespace
     left join lateral aclexplode(relacl) on grantee <> relowner
where nspname = current_schema() and relname = any(:ours) and relkind in ('r', 'v')
""")
_OWNER = text("""
select quote_ident(pg_get_userbyid(relowner)) from pg_class join pg_namespace on pg_namespace.oid = relnamespace
where nspname = current_schema() and relname = :of
""")
