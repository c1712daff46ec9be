"""The checker has power: whatever is wrong is named by the check that is there for it."""

import pytest

from tests.history.checker import check
from tests.history.good import make_history
from tests.history.planted import PLANTED, Planted

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
    checks = {
        "C0",
        "C1",
        "C2",
        "C3",
        "C4",
        "C5",
        "C6",
        "C6a",
        "C6b",
        "C6c",
        "C6d",
        "C7",
        "C8",
        "C10",
        "power",
    }

    assert {planted.check for planted in PLANTED} == checks
    assert len(PLANTED) >= 24
