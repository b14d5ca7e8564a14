"""Version 2: leases, true values, noise floors, baselines and annotations; a trial's place and what it printed.

In SQLite the tables that are read only by their key lose their row numbers, and with them a second copy of the key.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

KEYED = {
    "planned": ("run_id", "study", "cell_key"),
    "metric": ("trial_id", "name"),
    "sample": ("trial_id", "name", "round_index"),
}


def upgrade() -> None:
    """Upgrade from version 1."""
    if op.get_bind().dialect.name == "sqlite":
        for table in KEYED:
            _rebuild(table)
    op.create_table(
        "baseline",
        sa.Column("name", sa.String(), nullable=False, comment="what the user calls it"),
        sa.Column("note", sa.Text(), nullable=False, comment="why it was kept; may be empty"),
        sa.Column("created_at", sa.Double(), nullable=False, comment="seconds since the epoch"),
        sa.PrimaryKeyConstraint("name"),
        comment="measurements under a name, to compare later ones with; never pruned",
    )
    op.create_table(
        "reference",
        sa.Column(
            "key", sa.String(), nullable=False, comment="hash of the problem and of all that decides its true values"
        ),
        sa.Column("problem", sa.String(), nullable=False, comment="name of the initial value problem"),
        sa.Column("name", sa.String(), nullable=False, comment="solution or gradient"),
        sa.Column("asked", sa.JSON(), nullable=False, comment="object: what the key is the hash of"),
        sa.Column(
            "provenance", sa.JSON(), nullable=False, comment="object of strings: method, tolerance, versions, source"
        ),
        sa.Column("shape", sa.JSON(), nullable=False, comment="array of integers: the values' shape"),
        sa.Column(
            "array", sa.LargeBinary(), nullable=False, comment="little-endian 8-byte floats, the last axis fastest"
        ),
        sa.Column("created_at", sa.Double(), nullable=False, comment="seconds since the epoch"),
        sa.PrimaryKeyConstraint("key"),
        comment="true values of a problem",
    )
    op.create_table(
        "annotation",
        sa.Column("id", sa.String(), nullable=False, comment="the note's name, unique over machines"),
        sa.Column("run_id", sa.String(), nullable=True, comment="the run that it is about, or null"),
        sa.Column("cell_key", sa.String(), nullable=True, comment="the cell that it is about, or null"),
        sa.Column("text", sa.Text(), nullable=False, comment="what somebody has to say of it"),
        sa.Column("author", sa.String(), nullable=False, comment="who wrote it; may be empty"),
        sa.Column("created_at", sa.Double(), nullable=False, comment="seconds since the epoch"),
        sa.CheckConstraint("run_id is not null or cell_key is not null", name="annotation_is_about_something"),
        sa.ForeignKeyConstraint(
            ["cell_key"],
            ["cell.key"],
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["run.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        comment="a note on a run, on a cell, or on a cell in a run",
    )
    op.create_table(
        "lease",
        sa.Column("fingerprint", sa.String(), nullable=False, comment="where it is measured"),
        sa.Column("cell_key", sa.String(), nullable=False, comment="the cell that is being measured"),
        sa.Column("run_id", sa.String(), nullable=False, comment="the run that measures it"),
        sa.Column(
            "host", sa.String(), nullable=False, comment="machine and process namespace of the measuring process"
        ),
        sa.Column("pid", sa.Integer(), nullable=False, comment="number of the measuring process on its host"),
        sa.Column(
            "pid_started_at", sa.Double(), nullable=False, comment="start of that process, seconds since the epoch"
        ),
        sa.Column(
            "expires_at", sa.Double(), nullable=False, comment="seconds since the epoch; until then it is nobody else's"
        ),
        sa.ForeignKeyConstraint(
            ["cell_key"],
            ["cell.key"],
        ),
        sa.ForeignKeyConstraint(
            ["fingerprint"],
            ["environment.fingerprint"],
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["run.id"],
        ),
        sa.PrimaryKeyConstraint("fingerprint", "cell_key"),
        comment="a cell that is being measured now, so that no two runs do it at once",
    )
    op.create_table(
        "noise_floor",
        sa.Column("run_id", sa.String(), nullable=False, comment="the run that measured it"),
        sa.Column("cell_key", sa.String(), nullable=False, comment="the cell that was timed as two"),
        sa.Column("name", sa.String(), nullable=False, comment="name from results.records.METRICS"),
        sa.Column("ratio", sa.Double(), nullable=False, comment="median ratio of the twins, no unit; 1 without noise"),
        sa.Column("low", sa.Double(), nullable=False, comment="lower end of the ratio's 95 % interval, no unit"),
        sa.Column("high", sa.Double(), nullable=False, comment="upper end of the ratio's 95 % interval, no unit"),
        sa.Column("pairs", sa.Integer(), nullable=False, comment="number of paired samples"),
        sa.ForeignKeyConstraint(
            ["cell_key"],
            ["cell.key"],
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["run.id"],
        ),
        sa.PrimaryKeyConstraint("run_id", "cell_key", "name"),
        comment="what two timings of the same thing differ by",
    )
    op.create_table(
        "baseline_trial",
        sa.Column("name", sa.String(), nullable=False, comment="the baseline"),
        sa.Column("trial_id", sa.Integer(), nullable=False, comment="a trial that it keeps"),
        sa.ForeignKeyConstraint(
            ["name"],
            ["baseline.name"],
        ),
        sa.ForeignKeyConstraint(
            ["trial_id"],
            ["trial.id"],
        ),
        sa.PrimaryKeyConstraint("name", "trial_id"),
        comment="the trials of a baseline",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_baseline_trial_trial_id", "baseline_trial", ["trial_id"], unique=False)
    op.drop_index("trial_of_cell", "trial")
    newest = ["cell_key", "kind", "process_index", "status", "started_at", "run_id"]
    op.create_index("trial_of_cell", "trial", newest, unique=False)
    op.add_column(
        "trial",
        sa.Column(
            "position",
            sa.Integer(),
            nullable=True,
            comment="place in the run's order of trials, counted from 0; null: not known",
        ),
    )
    op.add_column(
        "trial",
        sa.Column(
            "log_tail", sa.Text(), server_default="", nullable=False, comment="the end of what the process printed"
        ),
    )


def _rebuild(name: str) -> None:
    """Rebuild a table of SQLite without row numbers."""
    old = sa.Table(name, sa.MetaData(), autoload_with=op.get_bind(), resolve_fks=False)
    op.rename_table(name, f"old_{name}")
    columns = [sa.Column(c.name, c.type, nullable=c.nullable) for c in old.columns]
    targets = {"run_id": "run.id", "cell_key": "cell.key", "trial_id": "trial.id"}
    keys = [sa.ForeignKeyConstraint([c.name], [targets[c.name]]) for c in old.columns if c.name in targets]
    op.create_table(name, *columns, *keys, sa.PrimaryKeyConstraint(*KEYED[name]), sqlite_with_rowid=False)
    op.execute(f"insert into {name} select * from old_{name} order by {', '.join(KEYED[name])}")
    op.drop_table(f"old_{name}")
