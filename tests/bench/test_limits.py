"""The cores and the memory that a worker may use."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.machine import cgroup, limits
from bench.machine.cores import _best_first, chosen

PINS = """
import os, sys, threading
from bench.machine.cores import chosen, pin
started, done = threading.Event(), threading.Event()
def allowed():
    started.set()
    done.wait()
    print(sorted(os.sched_getaffinity(0)))
before = threading.Thread(target=allowed)
before.start()
started.wait()
pin(chosen(1))
done.set()
before.join()
after = threading.Thread(target=allowed)
after.start()
after.join()
allowed()
"""

TAKES = """
import sys, torch
from bench.machine.limits import limit_memory
limit_memory(72 * 2**20)
held = []
try:
    for _ in range(100):
        held.append({what})
except (MemoryError, RuntimeError) as error:
    n_held = len(held)
    del held
    print(n_held, type(error).__name__, error)
"""

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux pins processes and limits their memory")


def said(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()


def ranked(pairs: dict[int, list[int]], capacities: dict[int, int] | None = None) -> list[int]:
    return _best_first(pairs, lambda core: pairs[core], lambda core: (capacities or {}).get(core, 0))


def test_the_last_cores_come_first() -> None:
    assert ranked({0: [0], 1: [1], 2: [2]}) == [2, 1, 0]


def test_a_second_hyperthread_comes_after_all_first_ones() -> None:
    assert ranked({0: [0, 2], 1: [1, 3], 2: [0, 2], 3: [1, 3]}) == [3, 2, 1, 0]
    assert ranked({0: [0, 1], 1: [0, 1], 2: [2, 3], 3: [2, 3]}) == [3, 1, 2, 0]


def test_a_hyperthread_that_may_not_be_used_is_ignored() -> None:
    assert _best_first({0, 2}, lambda core: [core, core + 1], lambda core: 0) == [2, 0]
    assert _best_first({0}, lambda core: [0, 1], lambda core: 0) == [0]


def test_fast_cores_come_before_slow_ones_with_higher_numbers() -> None:
    pairs = {0: [0, 1], 1: [0, 1], 2: [2], 3: [3]}
    assert ranked(pairs, {0: 1024, 1: 1024, 2: 400, 3: 400}) == [1, 3, 2, 0]


@needs_linux
def test_as_many_cores_as_threads_are_chosen_and_no_more_than_are_allowed() -> None:
    allowed = os.sched_getaffinity(0)
    assert len(chosen(1)) == 1
    assert chosen(10_000) == tuple(sorted(allowed))


@needs_linux
def test_a_pinned_process_has_all_its_threads_pinned() -> None:
    assert said(PINS) == [str(list(chosen(1)))] * 3


@pytest.mark.exhaustive
@needs_linux
@pytest.mark.parametrize(
    ("what", "n_held"),
    [("torch.empty(2**22, dtype=torch.int32)", 4), ("bytearray(2**24)", 4), ("torch.ones(2**30)", 0)],
    ids=["tensors", "bytes", "one tensor"],
)
def test_an_allocation_beyond_the_limit_fails_and_the_process_lives(what: str, n_held: int) -> None:
    [line] = said(TAKES.format(what=what))
    held, error, _ = line.split(" ", 2)
    assert int(held) == n_held  # of 16 MiB each
    assert error in ("MemoryError", "RuntimeError")


@needs_linux
def test_the_limit_is_above_what_the_process_holds_already() -> None:
    """Memory that libraries have taken before the limit was set is no reason to fail."""
    held = "from bench.machine.limits import limit_memory; held = bytearray(2**28)"
    assert said(held + "; limit_memory(2**26); bytearray(2**25); print('lives')") == ["lives"]


def test_as_many_workers_are_held_at_once_as_memory_has_room_for_the_largest() -> None:
    assert limits.together([1, 1, 1, 1], 4) == 4
    assert limits.together([3, 1, 1, 2], 5) == 2
    assert limits.together([10, 1], 5) == 1
    assert limits.together([], 5) == 1


def groups(tmp_path: Path, membership: str, files: dict[str, str]) -> dict[str, Path]:
    """An artificial /sys/fs/cgroup and the process's membership in it, as arguments of `cgroup.read`."""
    for name, text in {"membership": membership, **files}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return {"root": tmp_path, "membership": tmp_path / "membership"}


def test_a_control_group_and_its_parents_are_read_innermost_first(tmp_path) -> None:
    files = {"a/b/memory.max": "max", "a/memory.max": "100", "other/memory.max": "1"}
    found = cgroup.read("memory", "memory.max", "memory.limit_in_bytes", **groups(tmp_path, "0::/a/b", files))
    assert list(found.values()) == ["max", "100"]


def test_version_1_of_control_groups_has_a_tree_for_each_controller(tmp_path) -> None:
    files = {"memory/a/memory.limit_in_bytes": "7", "memory/memory.limit_in_bytes": "9", "cpu,cpuacct/cpu.stat": "x"}
    place = groups(tmp_path, "4:memory:/a\n3:cpu,cpuacct:/nowhere/at/all", files)
    assert list(cgroup.read("memory", "memory.max", "memory.limit_in_bytes", **place).values()) == ["7", "9"]
    assert list(cgroup.read("cpu", "cpu.stat", **place).values()) == ["x"]


def test_without_control_groups_nothing_is_read(tmp_path) -> None:
    assert cgroup.read("memory", "memory.max", root=tmp_path, membership=tmp_path / "missing") == {}


def test_the_default_limit_of_a_worker_is_half_of_the_smallest_limit(monkeypatch, tmp_path) -> None:
    files = {"a/memory.max": "max", "memory.max": "4000"}
    place = groups(tmp_path, "0::/a", files)
    read = cgroup.read
    monkeypatch.setattr(cgroup, "read", lambda *names: read(*names, **place))
    assert limits.default_limit() == 2000


def test_memory_of_cached_files_counts_as_available(monkeypatch, tmp_path) -> None:
    second = {"memory.max": "4000", "memory.stat": "anon 1000\nfile 3000\nanon_thp 5", "a/memory.max": "max"}
    read = cgroup.read
    place = groups(tmp_path, "0::/a", second)
    monkeypatch.setattr(cgroup, "read", lambda *names: read(*names, **place))
    assert limits.available() == 3000
    first = {"memory/memory.limit_in_bytes": "4000", "memory/memory.stat": "rss 1\ntotal_rss 500\ntotal_cache 3500"}
    place = groups(tmp_path, "4:memory:/a", first)
    assert limits.available() == 3500
