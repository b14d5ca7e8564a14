"""What a worker sends: what it measured, why it could not, or what the machine did to it."""

import errno
import threading
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from results.records import Curve, TrialStatus, TrueValues


@dataclass(frozen=True)
class Started:
    """The first word of a worker."""

    obstacle: str = ""  # why it cannot go on; empty: it goes on


@dataclass(frozen=True)
class Outcome:
    """What was measured, or why it could not be."""

    status: TrialStatus = "ok"
    reason: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    true_values: tuple[TrueValues, ...] = ()  # those that had to be computed


@dataclass(frozen=True)
class Sampled:
    """One sample of each clock: name -> (seconds a call, calls)."""

    seconds: Mapping[str, tuple[float, int]]
    busy_s: float
    readings: Mapping[str, float] = field(default_factory=dict)  # of the device, as metrics


@dataclass(frozen=True)
class Hindered:
    """The machine did not let the worker work: nothing is known of its cell."""

    reason: str


# Of OSError: a full, a read-only or a broken disk, and too many open files.
_OF_THE_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE}
_NO_MEMORY = ("can't allocate memory", "bad_alloc", "out of memory", "cannot allocate memory", "not enough memory")
_NO_THREAD = "can't start new thread"
_NEAR = 2**25  # bytes below the limit on memory: who fails there for no clear reason, fails for it


def unexpected(error: Exception, limit: int | None = None, left: int | None = None) -> Outcome | Hindered:
    """What to send when something was raised that nobody has foreseen.

    limit: the bytes that the worker may take, if they are limited. left: how many of them were left.
    """
    from node import SolveError

    text = (f"{type(error).__name__}: {error}".splitlines() or [""])[0][:300]
    if isinstance(error, SolveError) and error.status is not None:  # of a backward pass
        return Outcome(cast(TrialStatus, error.status.name), text)
    chain = list(_chain(error))
    if any(isinstance(one, OSError) and one.errno in _OF_THE_MACHINE for one in chain):
        return Hindered(text)
    if _NO_THREAD in text and not (limit and _threads_start()):
        return Hindered(f"{text}: the machine's limit on processes or threads")
    near = left is not None and left < _NEAR and isinstance(error, OSError | RuntimeError | SystemError | ImportError)
    if near or _NO_THREAD in text or any(map(_lacks_memory, chain)):
        may = "" if limit is None else f" (the worker may take {limit / 2**30:.3g} GiB more than it starts with)"
        return Outcome("out_of_memory", f"{text}: raise memory_gib{may}, or ask for less")
    where = traceback.extract_tb(error.__traceback__)[-1:]
    return Outcome("error", text + "".join(f" ({Path(one.filename).name}:{one.lineno})" for one in where))


def lacks_memory(text: str) -> bool:
    """Whether this was said for want of memory."""
    return any(words in text.lower() for words in _NO_MEMORY)


def _lacks_memory(error: BaseException) -> bool:
    import torch

    of_kind = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return of_kind or (isinstance(error, OSError) and error.errno == errno.ENOMEM) or lacks_memory(str(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what it was raised from, and so on."""
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
