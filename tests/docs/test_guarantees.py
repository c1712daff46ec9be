"""docs/guarantees.md says what the tests say."""

import json

from tests.docs.guarantees import PAGE, REPORT, write_page
from tests.faults.faults import ALL


def test_the_page_is_what_the_tests_say() -> None:
    """Whoever changes a test's promise writes the page anew: `python -m tests.docs.guarantees`."""
    assert PAGE.read_text(encoding="utf-8") == write_page()


def test_the_figures_are_of_all_faults_and_keep_every_promise() -> None:
    """The run that the page reports left no fault out, and nothing was lost, doubled or late."""
    lines = json.loads(REPORT.read_text(encoding="utf-8"))["lines"]

    assert {line["fault"] for line in lines} == {fault.name for fault in ALL}
    assert len({line["fault"] for line in lines}) >= 20
    assert sum(line["checked"] for line in lines) >= 100_000
    for line in lines:
        assert (line["lost"], line["doubled"], line["leaked"]) == (0, 0, 0), line
        assert line["kept"] == line["trials"] >= 3, line
