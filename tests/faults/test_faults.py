"""Some of the faults, a few seconds each; `make faults` brings about all of them, many times."""

import asyncio
from pathlib import Path
from random import Random

import pytest

from tests.faults.catalogue import Fault
from tests.faults.faults import ALL
from tests.faults.trial import run_trial

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

# Of the seeds tried, the first that has kills, lost answers and a release among its six.
SEED = 20262155
COUNT = 6


def choose() -> list[Fault]:
    """Return the same faults each time, of those that every machine can bring about quickly."""
    return Random(SEED).sample([fault for fault in ALL if fault.is_quick], COUNT)


@pytest.mark.parametrize("fault", choose(), ids=lambda fault: fault.name)
def test_a_fault_loses_doubles_and_leaks_nothing(
    fault: Fault, template: Path, tmp_path: Path
) -> None:
    """What was acknowledged is stored once and told to whom it was for, and all is soon at rest."""
    (tmp_path / "trial").mkdir()

    row = asyncio.run(
        run_trial(fault, SEED, "gateway", template, tmp_path / "trial", tmp_path / "kept")
    )

    assert row.complaints == []
    assert row.verdict.ok, row.verdict.describe()
