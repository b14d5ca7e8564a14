"""Version 6: options of a cell, which problems, libraries and solvers declare; a hash of the columns of `summary`."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_OPTIONS = "JSON object: what problem, library and solver declare themselves, by name; names sorted, no spaces"
_NAMED_BY_METRIC = ("metric", "sample", "noise_floor")


def upgrade() -> None:
    """Upgrade from version 5."""
    op.add_column("cell", sa.Column("options", sa.Text(), server_default="{}", nullable=False, comment=_OPTIONS))
    op.add_column(
        "nodebench",
        sa.Column(
            "summary_columns",
            sa.String(16),
            comment="hash of the columns that summary was made with; null: make it anew",
        ),
    )
    if op.get_bind().dialect.name != "sqlite":  # SQLite keeps no comments
        for table in _NAMED_BY_METRIC:
            op.alter_column(table, "name", existing_type=sa.String(), comment="name from results.METRICS")
