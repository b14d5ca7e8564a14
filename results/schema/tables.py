"""The schema: every column says what it holds and in which unit."""

import hashlib

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from results.metrics import METRICS
from results.records import NO_OPTIONS

SCHEMA_VERSION = "0006"  # the newest of results/opening/migrations/versions

metadata = MetaData()

nodebench = Table(
    "nodebench",
    metadata,
    Column("version_num", String(32), primary_key=True, comment="version of this schema, four digits; one row"),
    Column("identity", String(32), comment="this database's name, unique over machines: what is spooled goes by it"),
    Column("summary_columns", String(16), comment="hash of the columns that summary was made with; null: make it anew"),
    comment="marks the database as ours; Alembic's",
)

sweep = Table(
    "sweep",
    metadata,
    Column("id", Integer, primary_key=True, comment="row number"),
    Column("name", String, nullable=False, comment="the sweep's name, by which its runs succeed each other"),
    Column("text", Text, nullable=False, comment="the sweep file verbatim, TOML"),
    Column("sha", String, nullable=False, unique=True, comment="SHA-256 of name, newline, text; hexadecimal"),
    comment="what was asked for",
)

environment = Table(
    "environment",
    metadata,
    Column("fingerprint", String, primary_key=True, comment="hash of the facts: equal or not comparable"),
    Column("facts", JSON, nullable=False, comment="object of strings: machine, software versions, threads"),
    comment="where it was measured",
)

source = Table(
    "source",
    metadata,
    Column("key", String, primary_key=True, comment="hash of the facts"),
    Column("facts", JSON, nullable=False, comment="object of strings: library, adapter, problem, measure"),
    comment="the code that was measured",
)

# A clock may be wrong, and another machine's differs: runs are ordered by Lamport's (1978) logical clock.
_SEQUENCE = "order of runs: one more than the largest that its database knew; 0: from before there were any"

run = Table(
    "run",
    metadata,
    Column("id", String, primary_key=True, comment="the run's name, unique over machines"),
    Column("sweep_id", ForeignKey("sweep.id"), nullable=False, comment="the sweep that was run"),
    Column("fingerprint", ForeignKey("environment.fingerprint"), nullable=False, comment="where it ran"),
    Column("state", String, nullable=False, comment="running, complete or interrupted"),
    Column("started_at", Double, nullable=False, comment="seconds since the epoch"),
    Column("finished_at", Double, comment="seconds since the epoch; null while running or when killed"),
    Column("git_revision", String, nullable=False, comment="commit of the measuring code; empty if unknown"),
    Column("git_dirty", Boolean, nullable=False, comment="whether the code differed from that commit"),
    Column("volatile", JSON, nullable=False, comment="object of strings: load, clock"),
    Column("merged", Boolean, nullable=False, server_default=false(), comment="whether it came from another database"),
    Column("sequence", Integer, nullable=False, server_default="0", comment=_SEQUENCE),
    Column("measure", JSON, nullable=False, server_default="{}", comment="object of numbers: how much was asked for"),
    Column("goals", JSON, nullable=False, server_default="{}", comment="object: by study, the goals that it states"),
    comment="one execution of a sweep",
)

_OPTIONS = "JSON object: what problem, library and solver declare themselves, by name; names sorted, no spaces"

cell = Table(
    "cell",
    metadata,
    Column("key", String, primary_key=True, comment="hash of the other columns' canonical JSON"),
    Column("problem", String, nullable=False, comment="name of the initial value problem"),
    Column("backend", String, nullable=False, comment="name of the library that solves it"),
    Column("solver", String, nullable=False, comment="name of the method"),
    Column("horizon", Double, nullable=False, comment="end time, in the problem's unit of time"),
    Column("n_outputs", Integer, nullable=False, comment="number of output times, the start included"),
    Column("rtol", Double, comment="relative tolerance, no unit; null with a fixed step"),
    Column("atol", Double, comment="absolute tolerance, in the state's unit; null with a fixed step"),
    Column("dt", Double, comment="fixed step, in the problem's unit of time; null if adaptive"),
    Column("gradient", String, nullable=False, comment="way to differentiate the solve; none: not done"),
    Column("batch_size", Integer, nullable=False, comment="number of initial values solved at once"),
    Column("dtype", String, nullable=False, comment="floating point type of the state"),
    Column("device", String, nullable=False, comment="device the state lives on"),
    Column("threads", Integer, nullable=False, comment="number of CPU threads the library may use"),
    Column("seed", Integer, nullable=False, comment="seed of all that is random"),
    Column("iterations", Integer, nullable=False, comment="number of training iterations; 0: not trained"),
    Column("optimiser", String, nullable=False, server_default="", comment="of torch.optim; empty: the problem's own"),
    Column("learning_rate", Double, comment="the optimiser's, no unit; null: the problem's or the optimiser's own"),
    Column("evaluate", String, nullable=False, server_default="", comment="how else the trained model is solved"),
    Column("options", Text, nullable=False, server_default=NO_OPTIONS, comment=_OPTIONS),
    comment="all that decides what is measured",
)

planned = Table(
    "planned",
    metadata,
    Column("run_id", ForeignKey("run.id"), primary_key=True, comment="the run that asked for it"),
    Column("study", String, primary_key=True, comment="the report's section that shows it"),
    Column("cell_key", ForeignKey("cell.key"), primary_key=True, comment="the cell asked for"),
    Column("position", Integer, nullable=False, comment="place in the sweep, counted from 0"),
    comment="which cells a run set out to measure",
    sqlite_with_rowid=False,
)

_PID_STARTED_AT = "start of that process, in seconds since the epoch or, on Linux, since that of its machine"

lease = Table(
    "lease",
    metadata,
    Column("fingerprint", ForeignKey("environment.fingerprint"), primary_key=True, comment="where it is measured"),
    Column("cell_key", ForeignKey("cell.key"), primary_key=True, comment="the cell that is being measured"),
    Column("run_id", ForeignKey("run.id"), nullable=False, comment="the run that measures it"),
    Column("host", String, nullable=False, comment="machine and process namespace of the measuring process"),
    Column("pid", Integer, nullable=False, comment="number of the measuring process on its host"),
    Column("pid_started_at", Double, nullable=False, comment=_PID_STARTED_AT),
    Column("expires_at", Double, nullable=False, comment="seconds since the epoch; until then it is nobody else's"),
    comment="a cell that is being measured now, so that no two runs do it at once",
)

_SERIES = "run that began to measure this kind of the cell anew: samples of one series belong together; empty: unknown"

trial = Table(
    "trial",
    metadata,
    Column("id", Integer, primary_key=True, comment="row number, in the order of recording"),
    Column("run_id", ForeignKey("run.id"), nullable=False, comment="the run that measured it"),
    Column("cell_key", ForeignKey("cell.key"), nullable=False, comment="the cell that was measured"),
    Column("kind", String, nullable=False, comment="counts, accuracy, timing, twin, memory or training"),
    Column("process_index", Integer, nullable=False, comment="which of the cell's processes, counted from 0"),
    Column("status", String, nullable=False, comment="ok, or the word for how it failed"),
    Column("reason", Text, nullable=False, comment="what happened and what to do; empty if ok"),
    Column("started_at", Double, nullable=False, comment="seconds since the epoch"),
    Column("duration_s", Double, nullable=False, comment="wall time of the whole trial, seconds"),
    Column("position", Integer, comment="place in the run's order of trials, counted from 0; null: not known"),
    Column("log_tail", Text, nullable=False, server_default="", comment="the end of what the process printed"),
    Column("source", ForeignKey("source.key"), comment="the code that was measured; null: not known"),
    Column("series", String, nullable=False, server_default="", comment=_SERIES),
    UniqueConstraint("run_id", "cell_key", "kind", "process_index"),
    # All that decides which trials of a cell are the newest: the index alone is read, and not the table.
    Index("trial_of_cell", "cell_key", "kind", "process_index", "status", "series", "run_id"),
    comment="one isolated process that measured one kind of thing of one cell",
)

metric = Table(
    "metric",
    metadata,
    Column("trial_id", ForeignKey("trial.id"), primary_key=True, comment="the trial that measured it"),
    Column("name", String, primary_key=True, comment="name from results.METRICS"),
    Column("value", Double, comment="in the unit that the name stands for; null: not a number"),
    comment="one number of a trial",
    sqlite_with_rowid=False,
)

sample = Table(
    "sample",
    metadata,
    Column("trial_id", ForeignKey("trial.id"), primary_key=True, comment="the trial that measured it"),
    Column("name", String, primary_key=True, comment="name from results.METRICS"),
    Column("round_index", Integer, primary_key=True, comment="round of the block, counted from 0"),
    Column("position", Integer, nullable=False, comment="place in the round's order, counted from 0"),
    Column("value", Double, nullable=False, comment="in the unit that the name stands for, for one call"),
    Column("repeats", Integer, nullable=False, comment="number of calls that the value is the mean of"),
    comment="one timing",
    sqlite_with_rowid=False,
)

curve = Table(
    "curve",
    metadata,
    Column("trial_id", ForeignKey("trial.id"), primary_key=True, comment="the trial that measured it"),
    Column("name", String, primary_key=True, comment="what y is a function of x of"),
    Column("length", Integer, nullable=False, comment="number n of points"),
    Column("width", Integer, nullable=False, comment="number d of values a point"),
    Column("x", LargeBinary, nullable=False, comment="n little-endian 8-byte floats"),
    Column("y", LargeBinary, nullable=False, comment="n rows of d little-endian 8-byte floats"),
    Column("points", Text, comment="the same as JSON, n arrays [x, y1, ..., yd]; null above 10,000 numbers"),
    comment="one sampled function",
)

# The table keeps its old name: queries and programs that use it would not find a renamed table.
reference = Table(
    "reference",
    metadata,
    Column("key", String, primary_key=True, comment="hash of the problem and of all that decides its true values"),
    Column("problem", String, nullable=False, comment="name of the initial value problem"),
    Column("name", String, nullable=False, comment="solution or gradient"),
    Column("asked", JSON, nullable=False, comment="object: what the key is the hash of"),
    Column("provenance", JSON, nullable=False, comment="object of strings: method, tolerance, versions, source"),
    Column("shape", JSON, nullable=False, comment="array of integers: the values' shape"),
    Column("array", LargeBinary, nullable=False, comment="little-endian 8-byte floats, the last axis fastest"),
    Column("created_at", Double, nullable=False, comment="seconds since the epoch"),
    comment="true values of a problem",
)

noise_floor = Table(
    "noise_floor",
    metadata,
    Column("run_id", ForeignKey("run.id"), primary_key=True, comment="the run that measured it"),
    Column("cell_key", ForeignKey("cell.key"), primary_key=True, comment="the cell that was timed as two"),
    Column("name", String, primary_key=True, comment="name from results.METRICS"),
    Column("ratio", Double, nullable=False, comment="median ratio of the twins, no unit; 1 without noise"),
    Column("low", Double, nullable=False, comment="lower end of the ratio's 95 % interval, no unit"),
    Column("high", Double, nullable=False, comment="upper end of the ratio's 95 % interval, no unit"),
    Column("pairs", Integer, nullable=False, comment="number of paired samples"),
    comment="what two timings of the same thing differ by",
)

baseline = Table(
    "baseline",
    metadata,
    Column("name", String, primary_key=True, comment="what the user calls it"),
    Column("note", Text, nullable=False, comment="why it was kept; may be empty"),
    Column("created_at", Double, nullable=False, comment="seconds since the epoch"),
    comment="measurements under a name, to compare later ones with; never pruned",
)

baseline_trial = Table(
    "baseline_trial",
    metadata,
    Column("name", ForeignKey("baseline.name"), primary_key=True, comment="the baseline"),
    Column("trial_id", ForeignKey("trial.id"), primary_key=True, index=True, comment="a trial that it keeps"),
    comment="the trials of a baseline",
    sqlite_with_rowid=False,
)

annotation = Table(
    "annotation",
    metadata,
    Column("id", String, primary_key=True, comment="the note's name, unique over machines"),
    Column("run_id", ForeignKey("run.id"), comment="the run that it is about, or null"),
    Column("cell_key", ForeignKey("cell.key"), comment="the cell that it is about, or null"),
    Column("text", Text, nullable=False, comment="what somebody has to say of it"),
    Column("author", String, nullable=False, comment="who wrote it; may be empty"),
    Column("created_at", Double, nullable=False, comment="seconds since the epoch"),
    CheckConstraint("run_id is not null or cell_key is not null", name="annotation_is_about_something"),
    comment="a note on a run, on a cell, or on a cell in a run",
)

summary = Table(
    "summary",
    metadata,
    Column("run_id", ForeignKey("run.id"), primary_key=True, comment="the last run that measured some of it"),
    Column("cell_key", ForeignKey("cell.key"), primary_key=True, comment="the cell"),
    Column("fingerprint", ForeignKey("environment.fingerprint"), nullable=False, comment="where it was measured"),
    Column("sweep", String, nullable=False, comment="the sweep's name"),
    *(Column(c.name, c.type, nullable=c.nullable, comment=c.comment) for c in cell.c if c.name != "key"),
    Column("status", String, nullable=False, comment="ok, or the word for how the first failed trial failed"),
    Column("reason", Text, nullable=False, comment="what happened to that trial and what to do; empty if ok"),
    Column("trials", Integer, nullable=False, comment="number of the trials that it is made of"),
    Column("measured_at", Double, nullable=False, comment="start of the last of them, seconds since the epoch"),
    *(Column(each.name, Double, comment=f"{each.meaning}; median, null if not measured") for each in METRICS.values()),
    Index("summary_of_cell", "cell_key", "fingerprint"),
    comment="what stood of a cell after a run, in one row; made from trial, metric and sample, and rebuilt at will",
)

# Stored in a database, it tells whether the table `summary` has the columns of this program's metrics.
SUMMARY_COLUMNS = hashlib.sha256(
    "\n".join(f"{one.name} {type(one.type).__name__} {one.nullable} {one.primary_key}" for one in summary.c).encode()
).hexdigest()[:16]
