"""Findings: what on a machine disturbs a measurement, and what helps against it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.machine.state import Facts

_NAMED = 5  # processes that are named; the others are only counted
_HOT = 85.0  # degrees Celsius; from here on a CPU is likely to lower its clock


@dataclass(frozen=True)
class Finding:
    """A disturbance and its remedy, each as a sentence."""

    what: str
    help: str


def findings(facts: Facts) -> list[Finding]:
    """The findings, worst first: what takes time away from a worker, then what changes its speed."""
    return [finding for check in _CHECKS for finding in check(facts)]


def _others(facts: Facts) -> Iterator[Finding]:
    if not facts.busy:
        return
    named = ", ".join(f"{busy.name} (process {busy.pid}, {busy.cores:.0%})" for busy in facts.busy[:_NAMED])
    more = f" and {len(facts.busy) - _NAMED} more" if len(facts.busy) > _NAMED else ""
    total = sum(busy.cores for busy in facts.busy)
    yield Finding(
        f"Other processes used {total:.0%} of a core meanwhile: {named}{more}.",
        "Stop them, or measure when they are done.",
    )


def _unseen(facts: Facts) -> Iterator[Finding]:
    """Load that no visible process explains: of other containers, say. Our own worker makes 1."""
    explained = 1 + sum(busy.cores for busy in facts.busy)
    if facts.load is not None and facts.load > explained + 1:
        yield Finding(
            f"The load is {facts.load:.1f}, and what is seen from here explains {explained:.1f} of it.",
            "It is of the last minute: wait for one; if it stays, it is short-lived processes, or other containers.",
        )


def _stolen(facts: Facts) -> Iterator[Finding]:
    if facts.steal >= 0.001:
        yield Finding(
            f"The host of this virtual machine gave {facts.steal:.1%} of its CPU time to others (steal).",
            "Take a machine with cores of its own (dedicated, not burstable).",
        )


def _quota(facts: Facts) -> Iterator[Finding]:
    if facts.quota is None:
        return
    stopped = f"; it was used up, and all that runs here stopped, in {facts.throttled:.0%} of its periods"
    yield Finding(
        f"A quota allows {facts.quota:.1f} cores{stopped if facts.throttled else ''}.",
        "Lift it (docker run --cpus, limits.cpu in Kubernetes); pin the container to cores instead (--cpuset-cpus).",
    )


def _few_cores(facts: Facts) -> Iterator[Finding]:
    if facts.cores_allowed == 1:
        yield Finding(
            f"There is one core to run on, of {facts.cores_present}: all else interrupts what is measured.",
            "Allow a second one (taskset, cpuset), which the rest can move to.",
        )
    elif facts.cores_allowed < facts.cores_present:
        yield Finding(
            f"There are {facts.cores_allowed} cores to run on, of {facts.cores_present}.",
            "This is well if nobody else may use them.",
        )


def _not_pinned(facts: Facts) -> Iterator[Finding]:
    if not facts.pinned:
        yield Finding(
            "Processes cannot be pinned to cores on this platform: each is moved about, and finds its caches cold.",
            "Measure on Linux for small differences.",
        )


def _hyperthreads(facts: Facts) -> Iterator[Finding]:
    if facts.hyperthreads:
        yield Finding(
            "Two hyperthreads share each core: who runs on the other one slows a worker down unseen.",
            "Keep the machine idle, or: echo off | sudo tee /sys/devices/system/cpu/smt/control",
        )


def _governor(facts: Facts) -> Iterator[Finding]:
    if facts.governor and facts.governor != "performance":
        yield Finding(
            f"The CPU governor is {facts.governor}: the clock follows the load, and every worker begins slow.",
            "sudo cpupower frequency-set --governor performance",
        )


def _boost(facts: Facts) -> Iterator[Finding]:
    if facts.boost:
        yield Finding(
            "Frequency boost is on: the clock depends on heat, and on what the other cores do.",
            "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo, "
            "or echo 0 | sudo tee /sys/devices/system/cpu/cpufreq/boost",
        )


def _heat(facts: Facts) -> Iterator[Finding]:
    if facts.temperature is not None and facts.temperature >= _HOT:
        yield Finding(
            f"The CPU is at {facts.temperature:.0f} degrees Celsius, where it lowers its clock.",
            "Let it cool down; look at its fan.",
        )


def _battery(facts: Facts) -> Iterator[Finding]:
    if facts.on_battery:
        yield Finding("This machine runs on its battery, and saves power.", "Plug it in.")


def _virtual(facts: Facts) -> Iterator[Finding]:
    if facts.virtual:
        yield Finding(
            f"This is a virtual machine ({facts.virtual}): its neighbours share caches and memory with it, unseen.",
            "Compare only what was timed in the same rounds, as nodebench does; bare metal is quieter.",
        )


_CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    _others, _unseen, _stolen, _quota, _few_cores, _not_pinned, _hyperthreads, _governor, _boost, _heat, _battery,
    _virtual,
)  # fmt: skip
