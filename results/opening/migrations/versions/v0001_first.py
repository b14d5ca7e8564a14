"""Version 1: sweeps, environments, runs, cells and their trials."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables of version 1."""
    op.create_table(
        "cell",
        sa.Column("key", sa.String(), nullable=False, comment="hash of the other columns' canonical JSON"),
        sa.Column("problem", sa.String(), nullable=False, comment="name of the initial value problem"),
        sa.Column("backend", sa.String(), nullable=False, comment="name of the library that solves it"),
        sa.Column("solver", sa.String(), nullable=False, comment="name of the method"),
        sa.Column("horizon", sa.Double(), nullable=False, comment="end time, in the problem's unit of time"),
        sa.Column("n_outputs", sa.Integer(), nullable=False, comment="number of output times, the start included"),
        sa.Column("rtol", sa.Double(), nullable=True, comment="relative tolerance, no unit; null with a fixed step"),
        sa.Column(
            "atol",
            sa.Double(),
            nullable=True,
            comment="absolute tolerance, in the state's unit; null with a fixed step",
        ),
        sa.Column(
            "dt", sa.Double(), nullable=True, comment="fixed step, in the problem's unit of time; null if adaptive"
        ),
        sa.Column("gradient", sa.String(), nullable=False, comment="way to differentiate the solve; none: not done"),
        sa.Column("batch_size", sa.Integer(), nullable=False, comment="number of initial values solved at once"),
        sa.Column("dtype", sa.String(), nullable=False, comment="floating point type of the state"),
        sa.Column("device", sa.String(), nullable=False, comment="device the state lives on"),
        sa.Column("threads", sa.Integer(), nullable=False, comment="number of CPU threads the library may use"),
        sa.Column("seed", sa.Integer(), nullable=False, comment="seed of all that is random"),
        sa.Column("iterations", sa.Integer(), nullable=False, comment="number of training iterations; 0: not trained"),
        sa.PrimaryKeyConstraint("key"),
        comment="all that decides what is measured",
    )
    op.create_table(
        "environment",
        sa.Column("fingerprint", sa.String(), nullable=False, comment="hash of the facts: equal or not comparable"),
        sa.Column("facts", sa.JSON(), nullable=False, comment="object of strings: machine, software versions, threads"),
        sa.PrimaryKeyConstraint("fingerprint"),
        comment="where it was measured",
    )
    op.create_table(
        "sweep",
        sa.Column("id", sa.Integer(), nullable=False, comment="row number"),
        sa.Column(
            "name", sa.String(), nullable=False, comment="the sweep's name, by which its runs succeed each other"
        ),
        sa.Column("text", sa.Text(), nullable=False, comment="the sweep file verbatim, TOML"),
        sa.Column("sha", sa.String(), nullable=False, comment="SHA-256 of name, newline, text; hexadecimal"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("sha"),
        comment="what was asked for",
    )
    op.create_table(
        "run",
        sa.Column("id", sa.String(), nullable=False, comment="the run's name, unique over machines"),
        sa.Column("sweep_id", sa.Integer(), nullable=False, comment="the sweep that was run"),
        sa.Column("fingerprint", sa.String(), nullable=False, comment="where it ran"),
        sa.Column("state", sa.String(), nullable=False, comment="running, complete or interrupted"),
        sa.Column("started_at", sa.Double(), nullable=False, comment="seconds since the epoch"),
        sa.Column(
            "finished_at",
            sa.Double(),
            nullable=True,
            comment="seconds since the epoch; null while running or when killed",
        ),
        sa.Column(
            "git_revision", sa.String(), nullable=False, comment="commit of the measuring code; empty if unknown"
        ),
        sa.Column("git_dirty", sa.Boolean(), nullable=False, comment="whether the code differed from that commit"),
        sa.Column("volatile", sa.JSON(), nullable=False, comment="object of strings: load, clock"),
        sa.ForeignKeyConstraint(
            ["fingerprint"],
            ["environment.fingerprint"],
        ),
        sa.ForeignKeyConstraint(
            ["sweep_id"],
            ["sweep.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        comment="one going of a sweep",
    )
    op.create_table(
        "planned",
        sa.Column("run_id", sa.String(), nullable=False, comment="the run that asked for it"),
        sa.Column("study", sa.String(), nullable=False, comment="the report's section that shows it"),
        sa.Column("cell_key", sa.String(), nullable=False, comment="the cell asked for"),
        sa.Column("position", sa.Integer(), nullable=False, comment="place in the sweep, counted from 0"),
        sa.ForeignKeyConstraint(
            ["cell_key"],
            ["cell.key"],
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["run.id"],
        ),
        sa.PrimaryKeyConstraint("run_id", "study", "cell_key"),
        comment="which cells a run set out to measure",
    )
    op.create_table(
        "trial",
        sa.Column("id", sa.Integer(), nullable=False, comment="row number, in the order of recording"),
        sa.Column("run_id", sa.String(), nullable=False, comment="the run that measured it"),
        sa.Column("cell_key", sa.String(), nullable=False, comment="the cell that was measured"),
        sa.Column("kind", sa.String(), nullable=False, comment="counts, accuracy, timing, memory or training"),
        sa.Column(
            "process_index", sa.Integer(), nullable=False, comment="which of the cell's processes, counted from 0"
        ),
        sa.Column("status", sa.String(), nullable=False, comment="ok, or the word for how it failed"),
        sa.Column("reason", sa.Text(), nullable=False, comment="what happened and what to do; empty if ok"),
        sa.Column("started_at", sa.Double(), nullable=False, comment="seconds since the epoch"),
        sa.Column("duration_s", sa.Double(), nullable=False, comment="wall time of the whole trial, seconds"),
        sa.ForeignKeyConstraint(
            ["cell_key"],
            ["cell.key"],
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["run.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("run_id", "cell_key", "kind", "process_index"),
        comment="one isolated process that measured one kind of thing of one cell",
    )
    op.create_index("trial_of_cell", "trial", ["cell_key", "kind", "process_index"], unique=False)
    op.create_table(
        "curve",
        sa.Column("trial_id", sa.Integer(), nullable=False, comment="the trial that measured it"),
        sa.Column("name", sa.String(), nullable=False, comment="what y is a function of x of"),
        sa.Column("length", sa.Integer(), nullable=False, comment="number n of points"),
        sa.Column("width", sa.Integer(), nullable=False, comment="number d of values a point"),
        sa.Column("x", sa.LargeBinary(), nullable=False, comment="n little-endian 8-byte floats"),
        sa.Column("y", sa.LargeBinary(), nullable=False, comment="n rows of d little-endian 8-byte floats"),
        sa.ForeignKeyConstraint(
            ["trial_id"],
            ["trial.id"],
        ),
        sa.PrimaryKeyConstraint("trial_id", "name"),
        comment="one sampled function",
    )
    op.create_table(
        "metric",
        sa.Column("trial_id", sa.Integer(), nullable=False, comment="the trial that measured it"),
        sa.Column("name", sa.String(), nullable=False, comment="name from results.records.METRICS"),
        sa.Column(
            "value", sa.Double(), nullable=True, comment="in the unit that the name stands for; null: not a number"
        ),
        sa.ForeignKeyConstraint(
            ["trial_id"],
            ["trial.id"],
        ),
        sa.PrimaryKeyConstraint("trial_id", "name"),
        comment="one number of a trial",
    )
    op.create_table(
        "sample",
        sa.Column("trial_id", sa.Integer(), nullable=False, comment="the trial that measured it"),
        sa.Column("name", sa.String(), nullable=False, comment="name from results.records.METRICS"),
        sa.Column("round_index", sa.Integer(), nullable=False, comment="round of the block, counted from 0"),
        sa.Column("position", sa.Integer(), nullable=False, comment="place in the round's order, counted from 0"),
        sa.Column("value", sa.Double(), nullable=False, comment="in the unit that the name stands for, for one call"),
        sa.Column("repeats", sa.Integer(), nullable=False, comment="number of calls that the value is the mean of"),
        sa.ForeignKeyConstraint(
            ["trial_id"],
            ["trial.id"],
        ),
        sa.PrimaryKeyConstraint("trial_id", "name", "round_index"),
        comment="one timing",
    )
