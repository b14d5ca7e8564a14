"""The choice of cases: two of a test, or all."""

import pytest

from tests.support.choosing import CASES, everything


@pytest.mark.parametrize("case", range(10))
def test_a_test_runs_with_two_of_its_cases_unless_all_are_requested(case: int, request: pytest.FixtureRequest) -> None:
    cases = [item for item in request.session.items if item.location[2].startswith("test_a_test_runs_with_two")]
    assert len(cases) == (10 if everything(request.config) else CASES)
    assert case in range(10)
