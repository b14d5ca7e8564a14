"""Version 3: a cell's optimiser, learning rate and evaluation; trials of the kind `twin`."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Upgrade from version 2."""
    for column in (
        sa.Column(
            "optimiser",
            sa.String(),
            server_default="",
            nullable=False,
            comment="of torch.optim; empty: the problem's own",
        ),
        sa.Column(
            "learning_rate",
            sa.Double(),
            nullable=True,
            comment="the optimiser's, no unit; null: the problem's or the optimiser's own",
        ),
        sa.Column(
            "evaluate", sa.String(), server_default="", nullable=False, comment="how else the trained model is solved"
        ),
    ):
        op.add_column("cell", column)
    if op.get_bind().dialect.name != "sqlite":  # SQLite keeps no comments
        op.alter_column(
            "trial", "kind", existing_type=sa.String(), comment="counts, accuracy, timing, twin, memory or training"
        )
