"""Leases: a cell that is being measured belongs to a run until the run ends, its process dies or the lease expires."""

import os
import platform
import sys
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from results.engine.database import Database
from results.engine.location import MissingRowError, UnwritableError
from results.records import Run
from results.schema.tables import lease, run

_LEASE_LOCK = 0x6C656173  # advisory lock of a server for changes to leases
_MARGIN_S = 60.0  # what starting and ending a process, a late clock and a slow server may add to a trial's time
_ENDED = ("Z", "X")  # states of a process that its parent has not waited for, as in a container without an init
_CLOCK_STEP_S = 2.0  # a corrected clock may seem to move a process's start by this


@dataclass(frozen=True)
class Holder:
    """The process that has a lease."""

    host: str  # name and id of the machine, and process namespace, within which a pid is unique
    pid: int
    pid_started_at: float  # by a clock that nobody sets, if the system has one

    @classmethod
    def this_process(cls) -> Self:
        """The holder that stands for this process."""
        return cls(_host(), os.getpid(), _started_at(os.getpid()) or 0.0)

    def lives(self, *, expires_at: float, now: float) -> bool:
        """Whether the holder is alive; a process of another machine counts as alive until the lease expires."""
        if self.host != _host():
            return now < expires_at
        started_at = _started_at(self.pid)
        # Another process may have got the same number later.
        return started_at is not None and abs(started_at - self.pid_started_at) < _CLOCK_STEP_S

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host.partition(' ')[0]}"


class Leases:
    """The leases of one run, which are renewed together."""

    def __init__(self, database: Database, run: Run, *, longest_s: float, holder: Holder | None = None) -> None:
        """`longest_s`: the longest time between two renewals, seconds."""
        self._database = database
        self._run_id = run.id
        self._fingerprint = run.environment.fingerprint
        self._lasting_s = 2 * (longest_s + _MARGIN_S)
        self._holder = holder or Holder.this_process()
        self._tried_at = 0.0  # when they were last renewed, or could not be; monotonic

    def take(self, cell_keys: Collection[str]) -> list[Holder]:
        """Lease all cells; or none, if others hold some: these holders. Leases of dead processes are taken over."""
        try:
            return self._take(cell_keys)
        except MissingRowError as error:  # the run and its cells were written when it began
            raise UnwritableError(f"{self._database.place} was overwritten while it was written") from error

    def _take(self, cell_keys: Collection[str]) -> list[Holder]:
        of_cells = (lease.c.fingerprint == self._fingerprint, lease.c.cell_key.in_(cell_keys))
        with self._database.exclusive(_LEASE_LOCK) as connection:
            now = self._database.now(connection)
            others = self._living(connection, of_cells, now)
            if not others:
                self._end_dead_runs(connection, of_cells)
                connection.execute(delete(lease).where(*of_cells))
                self._insert(connection, cell_keys, expires_at=now + self._lasting_s)
        return others

    def _end_dead_runs(self, connection: Connection, of_cells: Sequence[ColumnElement[bool]]) -> None:
        """Write that the runs of dead holders were interrupted, at an unknown time. A living run writes its own end."""
        dead = select(lease.c.run_id).where(*of_cells, lease.c.run_id != self._run_id)
        ended = update(run).where(run.c.id.in_(dead), run.c.state == "running")
        connection.execute(ended.values(state="interrupted"))

    def renew(self) -> None:
        """Renew the leases; cheap enough to be called between any two measurements.

        Nothing happens if the database cannot be written now: here a lease is valid as long as its process lives.
        """
        if time.monotonic() - self._tried_at < self._lasting_s / 4:
            return
        self._tried_at = time.monotonic()
        with suppress(UnwritableError), self._database.exclusive(_LEASE_LOCK) as connection:
            expires_at = self._database.now(connection) + self._lasting_s
            connection.execute(update(lease).where(lease.c.run_id == self._run_id).values(expires_at=expires_at))

    def release(self) -> None:
        """Give the leases up; if that cannot be written, they end with this process."""
        with suppress(UnwritableError), self._database.exclusive(_LEASE_LOCK) as connection:
            connection.execute(delete(lease).where(lease.c.run_id == self._run_id))

    def _living(self, connection: Connection, of_cells: Sequence[ColumnElement[bool]], now: float) -> list[Holder]:
        columns = (lease.c.host, lease.c.pid, lease.c.pid_started_at, lease.c.expires_at)
        found = connection.execute(select(*columns).distinct().where(*of_cells, lease.c.run_id != self._run_id))
        held = [(Holder(host, pid, started_at), expires_at) for host, pid, started_at, expires_at in found]
        return list(dict.fromkeys(holder for holder, until in held if holder.lives(expires_at=until, now=now)))

    def _insert(self, connection: Connection, cell_keys: Collection[str], *, expires_at: float) -> None:
        of_all = {
            "fingerprint": self._fingerprint,
            "run_id": self._run_id,
            "host": self._holder.host,
            "pid": self._holder.pid,
            "pid_started_at": self._holder.pid_started_at,
            "expires_at": expires_at,
        }
        if cell_keys:
            connection.execute(insert(lease), [{"cell_key": key, **of_all} for key in dict.fromkeys(cell_keys)])
        self._tried_at = time.monotonic()


def holders(connection: Connection, *, now: float) -> dict[str, tuple[Holder, bool]]:
    """The holders of leases by run, and whether each holder's process is alive, as far as can be known from here."""
    columns = (lease.c.run_id, lease.c.host, lease.c.pid, lease.c.pid_started_at, func.max(lease.c.expires_at))
    found = connection.execute(select(*columns).group_by(*columns[:-1]))
    held = ((run_id, Holder(*process), until) for run_id, *process, until in found)
    return {run_id: (holder, holder.lives(expires_at=until, now=now)) for run_id, holder, until in held}


def _started_at(pid: int) -> float | None:
    """The time when a process of this machine started, in seconds; None if there is no such process.

    On Linux since the start of the machine: seconds since the epoch would move when the clock is set.
    """
    if sys.platform == "linux":
        try:
            # The process's name, in brackets, may contain spaces and brackets.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in _ENDED else int(fields[19]) / os.sysconf("SC_CLK_TCK")
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


@cache
def _host() -> str:
    """The name of this machine and its process namespace. Names alone repeat: many a machine is called localhost."""
    parts = [platform.node() or "localhost"]
    for path in (Path("/etc/machine-id"), Path("/proc/self/ns/pid")):
        try:
            parts.append(str(path.readlink()) if path.is_symlink() else path.read_text().strip())
        except OSError:
            continue  # not on this system
    return " ".join(parts)
