"""The answers of a worker: its measurement, the reason why there is none, or how the machine hindered it."""

import errno
import threading
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from bench.failure import UsageError
from results.records import Curve, TrialStatus, TrueValues


@dataclass(frozen=True)
class Started:
    """The first message of a worker."""

    obstacle: str = ""  # why the worker cannot go on; empty: it goes on


@dataclass(frozen=True)
class Outcome:
    """The measurement of a task, or the reason why there is none."""

    status: TrialStatus = "ok"
    reason: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    true_values: tuple[TrueValues, ...] = ()  # those that had to be computed


@dataclass(frozen=True)
class Sampled:
    """One sample of each clock: name -> (seconds per call, number of calls)."""

    seconds: Mapping[str, tuple[float, int]]
    busy_s: float
    readings: Mapping[str, float] = field(default_factory=dict)  # of the device, as metrics


@dataclass(frozen=True)
class Hindered:
    """A failure that says nothing about the worker's cell: of the machine, or of a user's file that does not load."""

    reason: str
    remedy: str = "make room"


# Of OSError: a full, a read-only or a broken disk, and too many open files.
_OF_THE_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE}
_NO_MEMORY = ("can't allocate memory", "bad_alloc", "out of memory", "cannot allocate memory", "not enough memory")
_NO_THREAD = "can't start new thread"
_NEAR = 2**25  # bytes: an unclear error this close to the memory limit counts as lack of memory


def unexpected(error: Exception, limit: int | None = None, left: int | None = None) -> Outcome | Hindered:
    """The answer to send for an unforeseen error.

    limit: the bytes that the worker may take, if they are limited. left: how many of them were left.
    """
    from node import SolveError

    text = (f"{type(error).__name__}: {error}".splitlines() or [""])[0][:300]
    if isinstance(error, SolveError) and error.status is not None:  # of a backward pass
        return Outcome(cast(TrialStatus, error.status.name), text)
    chain = list(_chain(error))
    if any(isinstance(cause, OSError) and cause.errno in _OF_THE_MACHINE for cause in chain):
        return Hindered(text)
    if _NO_THREAD in text and not (limit and _threads_start()):
        return Hindered(f"{text}: the machine's limit on processes or threads")
    near = left is not None and left < _NEAR and isinstance(error, OSError | RuntimeError | SystemError | ImportError)
    if near or _NO_THREAD in text or any(map(_lacks_memory, chain)):
        may = "" if limit is None else f" (the worker may take {limit / 2**30:.3g} GiB more than it starts with)"
        return Outcome("out_of_memory", f"{text}: raise memory_gib{may}, or ask for less")
    if isinstance(error, UsageError):  # of a user's file, which has loaded where the sweep was read
        return Hindered(str(error), "make it load in a process of its own too")
    where = traceback.extract_tb(error.__traceback__)[-1:]
    return Outcome("error", text + "".join(f" ({Path(frame.filename).name}:{frame.lineno})" for frame in where))


def lacks_memory(text: str) -> bool:
    """Whether an error's text says that memory was lacking."""
    return any(words in text.lower() for words in _NO_MEMORY)


def _lacks_memory(error: BaseException) -> bool:
    import torch

    of_kind = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return of_kind or (isinstance(error, OSError) and error.errno == errno.ENOMEM) or lacks_memory(str(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, its cause, the cause's cause, and so on."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return iter(seen)


def _threads_start() -> bool:
    """Whether a thread can be started now, without the limit on memory."""
    try:
        threading.Thread(target=len, args=("",)).start()
    except RuntimeError:
        return False
    return True
