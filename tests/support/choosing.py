"""The choice of the tests that run: all of them with --all, else a part that takes a few minutes.

The part leaves out tests marked `exhaustive`, and runs three cases of a test with many cases, evenly spread. The three
differ from test to test, so that together the tests try every solver and every mode. Of a test that is named by `::`
all cases run.
"""

import zlib
from collections import defaultdict
from collections.abc import Sequence

import pytest

CASES = 2  # of each test


def everything(config: pytest.Config) -> bool:
    """Whether all tests are requested."""
    return bool(config.getoption("--all")) or any("::" in argument for argument in config.args)


def part(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """The part of the tests that runs without --all."""
    by_test: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if item.get_closest_marker("exhaustive") is None:
            by_test[item.nodeid.partition("[")[0]].append(item)
    kept = {item for name, cases in by_test.items() for item in spread(name, cases)}
    return [item for item in items if item in kept]


def spread(name: str, cases: Sequence[pytest.Item]) -> list[pytest.Item]:
    """At most three cases of a test, evenly spread from a start that is a hash of the test's name."""
    count = len(cases)
    if count <= CASES:
        return list(cases)
    start = zlib.crc32(name.encode()) % count
    return [cases[(start + count * i // CASES) % count] for i in range(CASES)]
