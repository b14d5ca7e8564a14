"""Version 5: an identity of the database, curves as JSON beside their arrays. Summary and views are made after it."""

import json
import math
import struct
import uuid
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_MOST = 10_000  # numbers of a curve that is kept as JSON too
_CHUNK = 100  # curves in memory
_CURVE = sa.table("curve", *map(sa.column, ("trial_id", "name", "length", "width", "x", "y", "points")))


def upgrade() -> None:
    """Upgrade from version 4."""
    op.add_column(
        "nodebench",
        sa.Column(
            "identity",
            sa.String(32),
            comment="this database's name, unique over machines: what is spooled goes by it",
        ),
    )
    op.get_bind().execute(sa.text("update nodebench set identity = :name"), {"name": uuid.uuid4().hex})
    op.add_column(
        "curve",
        sa.Column(
            "points", sa.Text(), comment="the same as JSON, n arrays [x, y1, ..., yd]; null above 10,000 numbers"
        ),
    )
    _fill()


def _fill() -> None:
    connection = op.get_bind()
    key = (_CURVE.c.trial_id, _CURVE.c.name)
    small = _CURVE.c.length * (1 + _CURVE.c.width) <= _MOST
    keys = connection.execute(sa.select(*key).where(small).order_by(*key)).all()
    to_fill = sa.update(_CURVE).where(key[0] == sa.bindparam("of_trial"), key[1] == sa.bindparam("of_name"))
    for start in range(0, len(keys), _CHUNK):
        found = connection.execute(sa.select(_CURVE).where(sa.tuple_(*key).in_(keys[start : start + _CHUNK])))
        filled = [{"of_trial": row.trial_id, "of_name": row.name, "points": _points(row)} for row in found]
        connection.execute(to_fill, filled)


def _points(row: Any) -> str:
    x = struct.unpack(f"<{row.length}d", row.x)
    y = struct.unpack(f"<{row.length * row.width}d", row.y)
    rows = ([x[n], *y[n * row.width : (n + 1) * row.width]] for n in range(row.length))
    return "[" + ", ".join(f"[{', '.join(map(_number, values))}]" for values in rows) + "]"


def _number(value: float) -> str:
    """The number as JSON, which has no infinity: 1e999 is read as one. NaN is null."""
    if math.isfinite(value):
        return json.dumps(value)
    return "null" if math.isnan(value) else "1e999" if value > 0 else "-1e999"
