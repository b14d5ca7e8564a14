"""Which tests run: all of them with --all, else a part that stands for all and takes a few minutes.

The part leaves out what is marked `exhaustive`, and of a test with many cases it runs a few, spread over them; which
ones differs from test to test, so that together they try every solver and every mode. Who names tests by ::, gets all
of those.
"""

import zlib
from collections import defaultdict
from collections.abc import Sequence

import pytest

CASES = 3  # of a test


def everything(config: pytest.Config) -> bool:
    """Whether all tests are wanted."""
    return bool(config.getoption("--all")) or any("::" in argument for argument in config.args)


def part(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """The tests that stand for all."""
    by_test: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if item.get_closest_marker("exhaustive") is None:
            by_test[item.nodeid.partition("[")[0]].append(item)
    kept = {item for name, cases in by_test.items() for item in spread(name, cases)}
    return [item for item in items if item in kept]


def spread(name: str, cases: Sequence[pytest.Item]) -> list[pytest.Item]:
    """A few of a test's cases, evenly spread, from a place that follows from its name."""
    count = len(cases)
    if count <= CASES:
        return list(cases)
    start = zlib.crc32(name.encode()) % count
    return [cases[(start + count * i // CASES) % count] for i in range(CASES)]
