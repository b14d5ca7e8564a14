"""The records: frozen dataclasses of plain values. No torch, no SQL."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal, get_args

TrialKind = Literal["counts", "accuracy", "timing", "twin", "memory", "training"]  # twin: a control again
TRIAL_KINDS: tuple[TrialKind, ...] = get_args(TrialKind)

TrialStatus = Literal[
    "ok",
    "diverged",
    "non_finite",
    "dt_underflow",
    "max_steps",
    "timeout",
    "out_of_memory",
    "crashed",
    "error",
    "unsupported",
    "unavailable",
    "interrupted",
]
TRIAL_STATUSES: tuple[TrialStatus, ...] = get_args(TrialStatus)

RunState = Literal["running", "complete", "interrupted"]
RUN_STATES: tuple[RunState, ...] = get_args(RunState)

EXPECTED: tuple[TrialStatus, ...] = ("unsupported", "unavailable")  # nothing went wrong

CURVES: Mapping[str, str] = {  # of a training: y as a function of x
    "loss": "loss on the batch, by iteration",
    "loss_seconds": "loss on the batch, by seconds of training",
    "whole_loss": "loss on the whole trajectory, by iteration",
    "nfe": "calls forward, calls backward, vector-Jacobian products, by iteration",
    "trajectory_true": "the true state, by time",
    "trajectory_learned": "the trained model's state, by time",
    "evaluation": "loss on the whole trajectory, NFE, whether its own library solved it, by the way of evaluation",
}

OptionValue = str | bool | int | float | None
NO_OPTIONS = "{}"
OPTION_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)  # problem.width


def canonical(named: Mapping[str, Any]) -> str:
    """The canonical JSON of the names and values: names sorted, no spaces."""
    return json.dumps(named, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell of a sweep's grid: all that decides what is measured, and nothing else."""

    problem: str
    backend: str
    solver: str
    horizon: float  # end time; the start is the problem's
    n_outputs: int  # output times, evenly spaced, the start included
    rtol: float | None = None  # adaptive: rtol and atol; fixed step: dt
    atol: float | None = None
    dt: float | None = None
    gradient: str = "none"
    batch_size: int = 1
    dtype: str = "float32"
    device: str = "cpu"
    threads: int = 1
    seed: int = 0
    iterations: int = 0  # training iterations; 0: not trained
    optimiser: str = ""  # a class of torch.optim; empty: the problem's own
    learning_rate: float | None = None  # None: the problem's own; another optimiser's default
    evaluate: str = ""  # other solves of the trained model: "euler dt=0.1; dopri5 rtol=1e-6 atol=1e-8"
    options: str = NO_OPTIONS  # that problem, library and solver declare, as `canonical` writes them

    @cached_property
    def key(self) -> str:
        """Hash of the canonical JSON. A field at its default is left out, so that a new axis keeps old keys."""
        return _hash({name: value for name, value in vars(self).items() if value != _DEFAULTS.get(name, _NO_DEFAULT)})

    @property
    def block(self) -> tuple[Any, ...]:
        """The values that cells must share to be compared with each other, and so to be timed in the same rounds."""
        return (
            self.problem, self.horizon, self.n_outputs, self.batch_size,
            self.dtype, self.device, self.threads, self.seed, self.iterations, self.problem_options,
        )  # fmt: skip

    @property
    def option_values(self) -> dict[str, OptionValue]:
        """The values of the options, by name."""
        values: dict[str, OptionValue] = json.loads(self.options)
        return values

    @property
    def problem_options(self) -> str:
        """The canonical JSON of the options of the problem alone."""
        if self.options == NO_OPTIONS:
            return NO_OPTIONS
        return canonical({name: value for name, value in self.option_values.items() if name.startswith("problem.")})

    def without_options(self, *namespaces: str) -> "Cell":
        """The cell with all options of these namespaces at their defaults."""
        if self.options == NO_OPTIONS:
            return self
        left = {name: value for name, value in self.option_values.items() if name.partition(".")[0] not in namespaces}
        return replace(self, options=canonical(left))

    @property
    def options_label(self) -> str:
        """The options except the problem's, for a person: "budget=8, batching=independent"; empty if there are none."""
        named = {name: value for name, value in self.option_values.items() if not name.startswith("problem.")}
        return ", ".join(f"{name.rpartition('.')[2]}={value}" for name, value in named.items())

    @property
    def label(self) -> str:
        """The cell in one line for a person, which tells it from other cells."""
        named = {"dt": self.dt, "rtol": self.rtol, "atol": self.atol}
        step = "".join(f" {name}={value:g}" for name, value in named.items() if value is not None)
        gradient = "" if self.gradient == "none" else f" {self.gradient}"
        scale = f"T={self.horizon:g} outputs={self.n_outputs} batch={self.batch_size} {self.dtype} {self.device}"
        rest = ("threads", "seed", "iterations", "optimiser", "learning_rate", "evaluate")
        others = ((name, getattr(self, name)) for name in rest)
        said = "".join(f" {name}={value}" for name, value in others if value != _DEFAULTS[name])
        said += "".join(f" {name}={json.dumps(value)}" for name, value in self.option_values.items())
        return f"{self.problem} {self.backend} {self.solver}{step}{gradient} {scale}{said}"


_NO_DEFAULT = object()
_DEFAULTS = {each.name: each.default for each in fields(Cell) if each.default is not MISSING}


@dataclass(frozen=True)
class Sample:
    """A timing. Medians are derived when they are read, and never stored."""

    round_index: int  # all cells of a block are timed once a round: samples of one round are pairs
    position: int  # place in the round's order
    value: float  # seconds a call
    repeats: int = 1  # calls that this sample is the mean of


@dataclass(frozen=True)
class Curve:
    """A sampled function: x of length n, and n rows of d values."""

    x: Sequence[float]
    y: Sequence[Sequence[float]]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """An isolated process that measured one kind of metrics of a cell, or the reason why it could not."""

    cell_key: str
    kind: TrialKind
    process_index: int = 0
    status: TrialStatus = "ok"
    reason: str = ""  # for a person: what happened and what to do
    started_at: float = 0.0  # seconds since the epoch
    duration_s: float = 0.0
    position: int | None = None  # place in the run's order of trials
    log_tail: str = ""  # the end of what the process printed
    source: str | None = None  # key of the Source that was measured; None: not known
    series: str = ""  # id of the run that began the series of trials; empty: the trial's own run
    metrics: Mapping[str, float] = field(default_factory=dict)
    samples: Mapping[str, Sequence[Sample]] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)


@dataclass(frozen=True)
class NoiseFloor:
    """The ratio of the twin's time to the control's, which are two timings of the same cell."""

    cell_key: str
    name: str  # of results.METRICS
    ratio: float  # median of the paired ratios
    low: float  # its 95 % interval
    high: float
    pairs: int


@dataclass(frozen=True, kw_only=True)
class TrueValues:
    """True values of a problem, which are computed once."""

    problem: str
    name: str  # solution or gradient
    asked: Mapping[str, Any]  # all that decides the values, in the types of JSON
    provenance: Mapping[str, str]  # method, tolerance, versions, source
    shape: tuple[int, ...]
    array: bytes  # little-endian 8-byte floats, the last axis fastest

    @cached_property
    def key(self) -> str:
        """Hash of what decides the values."""
        return _hash({"problem": self.problem, "name": self.name, **self.asked})


@dataclass(frozen=True)
class Source:
    """The code that a trial measured. When it has changed, the trial must be measured again.

    Each fact is a name, a space, and versions or hashes. `library`: the backend's library. `adapter`: the backend, and
    the code that calls its library. `problem`: the problem, and its definition. `measure`: the kind of trial, and the
    code that measures it.
    """

    facts: Mapping[str, str]

    @cached_property
    def key(self) -> str:
        """Hash of the facts."""
        return _hash(dict(self.facts))


@dataclass(frozen=True)
class Goal:
    """The error or loss that a study wants reached in the least time; a smaller one has no value. None: not stated."""

    error: float | None = None  # of results.METRICS
    gradient_error: float | None = None  # of results.METRICS
    loss: float | None = None  # on the whole trajectory


NO_GOAL = Goal()


@dataclass(frozen=True)
class Environment:
    """The machine and its software. Seconds are compared only where these are equal."""

    facts: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        """Hash of the facts: only trials under equal fingerprints are compared."""
        return _hash(dict(self.facts))


@dataclass(frozen=True)
class Planned:
    """A cell that a sweep plans; the study is the report's section that shows it."""

    study: str
    cell: Cell


@dataclass(frozen=True, kw_only=True)
class Run:
    """One execution of a sweep: its text verbatim, what it asked for, where and from which code it ran."""

    id: str
    sweep_name: str
    sweep_text: str
    environment: Environment
    started_at: float
    git_revision: str = ""
    git_dirty: bool = False
    volatile: Mapping[str, str] = field(default_factory=dict)  # load, clock: not in the fingerprint
    measure: Mapping[str, float] = field(default_factory=dict)  # how much was asked for of each trial
    goals: Mapping[str, Goal] = field(default_factory=dict)  # by study


def _hash(named: Mapping[str, Any]) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the canonical JSON."""
    return hashlib.sha256(canonical(named).encode()).hexdigest()[:16]
