"""The checker has power: whatever is wrong is named by the check that is there for it."""

import pytest

from tests.history.checker import check
from tests.history.correct import make_history
from tests.history.planted import PLANTED, Planted
from tests.history.verdict import Check

HISTORIES = {seed: make_history(seed) for seed in (2, 5)}


@pytest.mark.parametrize("seed", HISTORIES)
@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_what_is_wrong_is_caught_by_its_check(planted: Planted, seed: int) -> None:
    """The check that was named fails, and no other but those that see the same."""
    verdict = check(planted.plant(HISTORIES[seed]))

    assert planted.check in verdict.failures, verdict.describe()
    assert verdict.failures.keys() <= {planted.check} | planted.also, verdict.describe()


def test_every_check_has_something_planted() -> None:
    """No check is trusted that was never seen to fail."""
    assert {planted.check for planted in PLANTED} == set(Check)
    assert len(PLANTED) >= 24
