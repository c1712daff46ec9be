"""Each planted defect is found by the check that is meant to find it."""

import pytest

from tests.history.checker import check
from tests.history.correct import make_history
from tests.history.planted import PLANTED, Planted
from tests.history.verdict import Check

HISTORIES = {seed: make_history(seed) for seed in (2, 5)}


@pytest.mark.parametrize("seed", HISTORIES)
@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_what_is_wrong_is_found_by_its_check(planted: Planted, seed: int) -> None:
    """The check that is named for a planted defect fails, and only those that must fail with it."""
    verdict = check(planted.plant(HISTORIES[seed]))

    assert planted.check in verdict.failures, verdict.describe()
    assert verdict.failures.keys() <= {planted.check} | planted.also, verdict.describe()


def test_every_check_has_a_planted_defect() -> None:
    """Every check was seen to fail; none is trusted without that."""
    assert {planted.check for planted in PLANTED} == set(Check)
    assert len(PLANTED) >= 24
