"""The state of this machine that measured times can depend on; what is not known is None or empty."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bench.machine import cgroup
from bench.machine.files import text_of

_CPU = Path("/sys/devices/system/cpu")
_CPUINFO = Path("/proc/cpuinfo")
_PRODUCT = Path("/sys/class/dmi/id")
_BUSY = 0.02  # of a core: a process that uses less is not counted


@dataclass(frozen=True)
class Busy:
    """Another process that used the CPU during the measurement."""

    name: str
    pid: int
    cores: float  # seconds of CPU a second


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The facts of a machine over a period between two snapshots."""

    cores_present: int
    cores_allowed: int  # to this process
    pinned: tuple[int, ...] = ()  # cores of a worker with one thread; empty: the platform cannot pin
    load: float | None = None  # processes that ran or waited to run, mean of the last minute, our own included
    busy: tuple[Busy, ...] = ()  # the busiest first
    governor: str = ""  # the policy that sets the clock
    boost: bool | None = None  # whether the clock may rise above its base while power and heat allow it
    hyperthreads: bool | None = None
    virtual: str = ""  # the kind of virtual machine; empty on bare metal
    steal: float = 0.0  # share of the CPU time that the host gave to others
    quota: float | None = None  # cores that the control group may use
    throttled: float = 0.0  # share of the quota's periods in which it was used up
    temperature: float | None = None  # the hottest sensor of the CPU, degrees Celsius
    on_battery: bool = False


@dataclass(frozen=True)
class Snapshot:
    """The machine's counters at one time; the difference of two snapshots describes the period between them."""

    cpu_s: float  # of all cores, idle or not
    stolen_s: float
    periods: int  # of the control group's quota
    throttled: int
    processes: dict[int, tuple[str, float]] = field(default_factory=dict)  # pid -> name and seconds of CPU


def snapshot() -> Snapshot:
    """The machine's counters now."""
    times = psutil.cpu_times()
    stat = _innermost("cpu.stat")
    counted = dict(line.split() for line in stat.splitlines() if len(line.split()) == 2)
    return Snapshot(
        cpu_s=sum(times),
        stolen_s=getattr(times, "steal", 0.0),
        periods=int(counted.get("nr_periods", 0)),
        throttled=int(counted.get("nr_throttled", 0)),
        processes=dict(_processes()),
    )


def facts(before: Snapshot, after: Snapshot, pinned: tuple[int, ...]) -> Facts:
    """The facts of the machine between two snapshots; `pinned`: the cores that were measured on."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    present = psutil.cpu_count() or 1
    cpu_s, periods = after.cpu_s - before.cpu_s, after.periods - before.periods
    return Facts(
        cores_present=present,
        cores_allowed=allowed or present,
        pinned=pinned,
        load=os.getloadavg()[0],
        busy=_busy(before, after, cpu_s / present),
        governor=governor(max(pinned, default=0)),
        boost=boost(),
        hyperthreads=_truth(_CPU / "smt/active"),
        virtual=virtual(),
        steal=(after.stolen_s - before.stolen_s) / cpu_s if cpu_s > 0 else 0.0,
        quota=quota(),
        throttled=(after.throttled - before.throttled) / periods if periods > 0 else 0.0,
        temperature=temperature(),
        on_battery=_on_battery(),
    )


def governor(core: int) -> str:
    """The governor of the core's clock, such as performance or powersave."""
    return text_of(_CPU / f"cpu{core}/cpufreq/scaling_governor")


def boost() -> bool | None:
    """Whether the clock may rise above its base."""
    forbidden = _truth(_CPU / "intel_pstate/no_turbo")
    return _truth(_CPU / "cpufreq/boost") if forbidden is None else not forbidden


def virtual() -> str:
    """The name of the virtual machine that this is; empty on bare metal."""
    if "hypervisor" not in text_of(_CPUINFO).split():
        return ""
    return " ".join(filter(None, (text_of(_PRODUCT / "sys_vendor"), text_of(_PRODUCT / "product_name")))) or "unnamed"


def quota() -> float | None:
    """The number of cores that the tightest control group around this process may use; None for all."""
    second = [text.split() for text in cgroup.read("cpu", "cpu.max").values()]
    first, period = cgroup.read("cpu", "cpu.cfs_quota_us"), cgroup.read("cpu", "cpu.cfs_period_us")
    pairs = second + [[first[group], period[group]] for group in first if group in period]
    limits = [int(quota) / int(period_us) for quota, period_us in pairs if quota.isdigit()]  # max or -1: no limit
    return min(limits, default=None)


def temperature() -> float | None:
    """The temperature of the CPU's hottest sensor, degrees Celsius; None if there is no sensor."""
    sensors = psutil.sensors_temperatures() if hasattr(psutil, "sensors_temperatures") else {}
    of_cpu = (sensors.get(name, ()) for name in ("coretemp", "k10temp", "zenpower", "cpu_thermal"))
    return max((sensor.current for group in of_cpu for sensor in group), default=None)


def steal() -> float | None:
    """The share of the CPU time since boot that the host gave to others; None if the system does not count it."""
    times = psutil.cpu_times()
    return times.steal / sum(times) if hasattr(times, "steal") and sum(times) else None


def _busy(before: Snapshot, after: Snapshot, seconds: float) -> tuple[Busy, ...]:
    """The processes that used the CPU between two snapshots, except this process and its descendants, busiest first."""
    ours = {os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))}
    used = [
        Busy(name, pid, (cpu_s - before.processes[pid][1]) / seconds)
        for pid, (name, cpu_s) in after.processes.items()
        if pid in before.processes and before.processes[pid][0] == name and pid not in ours and seconds > 0
    ]
    return tuple(sorted((busy for busy in used if busy.cores > _BUSY), key=lambda busy: -busy.cores))


def _processes() -> Iterator[tuple[int, tuple[str, float]]]:
    for process in psutil.process_iter(["pid", "name", "cpu_times"]):
        if times := process.info["cpu_times"]:
            yield process.info["pid"], (process.info["name"] or "?", times.user + times.system)


def _on_battery() -> bool:
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    return battery is not None and battery.power_plugged is False


def _innermost(name: str) -> str:
    return next(iter(cgroup.read("cpu", name).values()), "")


def _truth(path: Path) -> bool | None:
    """The truth value of a file that holds 0 or 1; None for any other text."""
    return {"0": False, "1": True}.get(text_of(path))
