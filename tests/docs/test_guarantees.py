"""docs/guarantees.md has what the tests have."""

import json

from tests.docs.guarantees import PAGE, REPORT, write_page
from tests.faults.catalogue import ALL


def test_the_page_is_what_the_tests_say() -> None:
    """After a change of a docstring the page is written again, see `tests.docs.guarantees`."""
    assert PAGE.read_text(encoding="utf-8") == write_page()


def test_the_figures_are_of_all_faults_and_keep_every_promise() -> None:
    """The figures include every fault, and nothing was lost, doubled or late.

    After a change of its bounds a fault has to be run again.
    """
    lines = json.loads(REPORT.read_text(encoding="utf-8"))["lines"]

    assert {line["fault"] for line in lines} == {fault.name for fault in ALL}
    assert len({line["fault"] for line in lines}) >= 20
    assert sum(line["checked"] for line in lines) >= 100_000
    bounds = {fault.name: (fault.rest_within, fault.silence_within) for fault in ALL}
    for line in lines:
        assert (line["rest_within"], line["silence_within"]) == bounds[line["fault"]], line
        assert (line["lost"], line["doubled"], line["leaked"]) == (0, 0, 0), line
        assert line["kept"] == line["trials"] >= 3, line
