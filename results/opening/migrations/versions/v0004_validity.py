"""Version 4: the code that was measured, how much was asked for, series of trials, the order of runs."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_PID_STARTED_AT = "start of that process, in seconds since the epoch or, on Linux, since that of its machine"
_SOURCE = "the code that was measured; null: not known"
_RUN = sa.table("run", sa.column("id"), sa.column("started_at"), sa.column("sequence"))


def upgrade() -> None:
    """Upgrade from version 3."""
    op.create_table(
        "source",
        sa.Column("key", sa.String(), nullable=False, comment="hash of the facts"),
        sa.Column("facts", sa.JSON(), nullable=False, comment="object of strings: library, adapter, problem, measure"),
        sa.PrimaryKeyConstraint("key"),
        comment="the code that was measured",
    )
    for column in (
        sa.Column(
            "merged",
            sa.Boolean(),
            server_default=sa.false(),
            nullable=False,
            comment="whether it came from another database",
        ),
        sa.Column(
            "sequence",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="order of runs: one more than the largest that its database knew; 0: from before there were any",
        ),
        sa.Column(
            "measure",
            sa.JSON(),
            server_default="{}",
            nullable=False,
            comment="object of numbers: how much was asked for",
        ),
        sa.Column(
            "goals",
            sa.JSON(),
            server_default="{}",
            nullable=False,
            comment="object: by study, the goals that it states",
        ),
    ):
        op.add_column("run", column)
    _extend_trials()
    _number_runs()
    if op.get_bind().dialect.name != "sqlite":  # SQLite keeps no comments
        op.create_table_comment("run", "one execution of a sweep", existing_comment="one going of a sweep")
        op.alter_column("lease", "pid_started_at", existing_type=sa.Double(), comment=_PID_STARTED_AT)


def _extend_trials() -> None:
    """Add source and series. SQLite can add a foreign key only together with its column."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("alter table trial add column source varchar references source (key)")
    else:
        source = sa.Column("source", sa.String(), sa.ForeignKey("source.key"), comment=_SOURCE)
        op.add_column("trial", source)
    series = sa.Column(
        "series",
        sa.String(),
        server_default="",
        nullable=False,
        comment="run that began to measure this kind of the cell anew: samples of one series belong together; "
        "empty: unknown",
    )
    op.add_column("trial", series)
    op.drop_index("trial_of_cell", "trial")
    newest = ["cell_key", "kind", "process_index", "status", "series", "run_id"]
    op.create_index("trial_of_cell", "trial", newest, unique=False)


def _number_runs() -> None:
    """Number the runs by their clocks: nothing else is known of older runs."""
    connection = op.get_bind()
    ids = connection.execute(sa.select(_RUN.c.id).order_by(_RUN.c.started_at, _RUN.c.id)).scalars().all()
    for number, id_ in enumerate(ids, start=1):
        connection.execute(sa.update(_RUN).where(_RUN.c.id == id_).values(sequence=number))
