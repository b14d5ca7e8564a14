"""The check of a solver: every solver that ships passes it, and a claim that does not hold is seen."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest

from bench.own.check import findings
from node import SOLVERS
from node.registry import Origin, registering_from
from node.solvers import Solver

OF_TEST = Origin("file", "of this test")


@pytest.fixture
def forgotten() -> Iterator[None]:
    yield
    SOLVERS.forget(OF_TEST)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", SOLVERS)
def test_every_solver_that_ships_keeps_what_it_claims(name: str) -> None:
    assert [str(finding) for finding in findings("solver", name) if finding.verdict != "ok"] == []


@pytest.mark.parametrize(
    ("solver", "claimed", "seen"),
    [
        ("tsit5", {"order": 6}, "order 6 is kept: an order of 4.9"),
        ("dopri5", {"dense_order": 5}, "dense output is of order 5: an order of 5"),
        ("bosh3", {"error_order": 2}, r"the error estimate falls with dt^2: it falls with dt^3"),
        ("bosh3", {"error_order": 5}, r"the error estimate falls with dt^5: it falls with dt^3"),
    ],
)
@pytest.mark.usefixtures("forgotten")
def test_a_claim_that_does_not_hold_is_seen(solver: str, claimed: dict[str, Any], seen: str) -> None:
    wrong: Solver = replace(cast(Any, SOLVERS[solver]), name="of_test", **claimed)
    with registering_from(OF_TEST):
        SOLVERS.register(wrong)
    failed = [str(finding) for finding in findings("solver", "of_test") if finding.failed]
    assert any(seen in line for line in failed)
