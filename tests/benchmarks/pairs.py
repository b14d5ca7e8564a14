"""Paired timings: the peers are timed before each timed call of node, so that a disturbance affects all of them."""

import random
import statistics
import time
from collections.abc import Callable
from typing import TypeVar

from pytest_benchmark.fixture import BenchmarkFixture

SECONDS = 2.0  # about the time of a benchmark: few rounds of a slow workload, many of a fast one

T = TypeVar("T")


def timed_in_pairs(benchmark: BenchmarkFixture, call: Callable[[], T], peers: dict[str, Callable[[], object]]) -> T:
    """The result of `call`; the medians of its paired ratios to the peers become `extra_info["ratio"]`."""
    seconds: dict[str, list[float]] = {name: [] for name in peers}
    inner = max(1, round(2e-3 / min(_seconds(call) for _ in range(2))))  # a sample lasts some milliseconds

    def time_peers() -> None:
        for name in random.sample(list(peers), len(peers)):
            seconds[name].append(sum(_seconds(peers[name]) for _ in range(inner)) / inner)

    time_peers()  # to warm up
    start = time.perf_counter()
    time_peers()
    rounds = min(51, max(11, int(SECONDS / (time.perf_counter() - start))))
    for times in seconds.values():
        times.clear()

    def repeated() -> T:
        for _ in range(inner - 1):
            call()
        return call()

    y = benchmark.pedantic(repeated, setup=time_peers, rounds=rounds, iterations=1)
    ours = [s / inner for s in benchmark.stats.stats.data]
    benchmark.extra_info["ratio"] = {
        name: statistics.median(a / b for a, b in zip(ours, times, strict=True)) for name, times in seconds.items()
    }
    return y


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
