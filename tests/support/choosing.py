"""The choice of the tests that run: all of them with --all, else a part that takes a few minutes.

The part leaves out tests marked `exhaustive`, and runs two cases of a test with many cases, evenly spread. The two
differ from test to test, so that together the tests try every solver and every mode. Of a test that is named by `::`
all cases run.
"""

import zlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pytest

T = TypeVar("T")

CASES = 2  # of each test


def everything(config: pytest.Config) -> bool:
    """Whether all tests are requested."""
    return bool(config.getoption("--all")) or any("::" in argument for argument in config.args)


def keep_few(metafunc: pytest.Metafunc, possible: Callable[[Any], bool]) -> None:
    """Leave a test two of those cases that are possible, before pytest makes an item of each of twenty thousand.

    pytest's list of a test's cases is private: where it has gone, `tests/test_choosing.py` fails.
    """
    cases = [case for case in metafunc._calls if possible(case)]
    if cases:
        metafunc._calls = spread(metafunc.definition.nodeid, cases)


def spread(name: str, cases: Sequence[T]) -> list[T]:
    """At most two cases of a test, evenly spread from a start that is a hash of the test's name."""
    count = len(cases)
    if count <= CASES:
        return list(cases)
    start = zlib.crc32(name.encode()) % count
    return [cases[(start + count * i // CASES) % count] for i in range(CASES)]
