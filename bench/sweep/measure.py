"""The amount of measuring for each cell, and its limits of time and memory: a sweep's table [measure]."""

from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bench.machine.limits import default_limit

Asked = Mapping[str, float]  # how much is measured: the fields of Measure, and memory_bytes

_LONGEST_S = 604_800.0  # a week: the operating system's timers allow at most 24 days
_MOST_GIB = 2.0**20  # above any machine's memory, and below the largest limit that the operating system takes


class Measure(BaseModel):
    """How much is measured of each cell; not part of the cell, so not part of its key.

    Every number is finite, because it is written to the database, and JSON has no infinity.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    processes: int = Field(default=3, ge=1, le=100)  # timing processes a cell, at least
    max_processes: int = Field(default=12, ge=1, le=100)  # at most
    rounds: int = Field(default=16, ge=1, le=10_000)  # rounds a process: one sample of each cell in each
    # of a process; after this time a slow cell takes part in two rounds only
    sampling_s: float = Field(default=1.0, gt=0, le=_LONGEST_S)
    # half-width of the ratio's interval at which a cell is done; no clock resolves a millionth
    precision: float = Field(default=0.03, ge=1e-6, lt=1)
    max_s: float = Field(default=300.0, gt=0, le=_LONGEST_S)  # of timing a group of cells; no round begins after it
    # a cell this many times slower than one that is no less exact is timed no further
    cut_ratio: float = Field(default=30.0, gt=1, le=1e9)
    timeout_s: float = Field(default=60.0, gt=0, le=_LONGEST_S)  # of one trial, and of one sample
    # memory that a worker may take; None: half of the machine's
    memory_gib: float | None = Field(default=None, gt=0, le=_MOST_GIB)

    @model_validator(mode="after")
    def _least_is_not_above_most(self) -> Self:
        if self.processes > self.max_processes:
            raise ValueError(f"processes = {self.processes} is above max_processes = {self.max_processes}")
        return self


def asked(measure: Measure) -> Asked:
    """What a run asks for, as recorded with the run: the keys of a sweep's [measure], with memory in bytes."""
    gib = measure.memory_gib
    limit = default_limit() if gib is None else int(gib * 2**30)
    return {**measure.model_dump(exclude={"memory_gib"}), "memory_bytes": limit}
