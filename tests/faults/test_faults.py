"""A few of the faults, each once; `make faults` runs all of them, several times."""

import asyncio
from pathlib import Path

import pytest

from tests.faults.catalogue import ALL, IN_TEST, IN_TEST_LONG, get_fault
from tests.rig.running import run_trial

SEED = 1
RUN_HERE = [
    *IN_TEST,
    *(pytest.param(name, marks=pytest.mark.long) for name in IN_TEST_LONG),
]


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", RUN_HERE)
def test_a_fault_loses_doubles_and_leaks_nothing(name: str, template: Path, tmp_path: Path) -> None:
    """Each acknowledged message is stored once and reaches its members, and no work is left."""
    fault = get_fault(name)
    if reason := fault.find_reason_unavailable():
        pytest.skip(reason)
    (tmp_path / "trial").mkdir()

    row = asyncio.run(
        run_trial(fault, SEED, "gateway", template, tmp_path / "trial", tmp_path / "kept")
    )

    assert row.complaints == []
    assert row.verdict.ok, row.verdict.describe()


def test_every_fault_has_a_name_of_its_own() -> None:
    """A fault can be named on a command line, and the lists of the tests name faults that exist."""
    names = [fault.name for fault in ALL]

    assert len(names) == len(set(names))
    assert {*IN_TEST, *IN_TEST_LONG} <= set(names)
    assert not IN_TEST.keys() & IN_TEST_LONG.keys()
