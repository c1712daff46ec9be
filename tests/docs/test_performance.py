"""docs/performance.md says what was measured: its tables are made from the records beside it."""

import re
from pathlib import Path

import pytest

from benches.plots import draw_bars, draw_curve
from benches.record import read_record
from benches.report import PAGE, PAGES, RECORDS, render
from tests.support.processes import PROJECT

PLOTS = PROJECT / "docs" / "plots"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_figures_are_those_of_the_records(path: Path) -> None:
    """No figure was changed by hand; `python -m benches.report` writes them again."""
    page = path.read_text(encoding="utf-8")

    assert page == render(page)
    assert "<!-- end -->" in page


def test_each_table_has_a_record_that_met_what_it_says() -> None:
    """Each measured part of the page names a record that exists and lost no message."""
    named = set(re.findall(r"<!-- \w+ of (\w+) -->", PAGE.read_text(encoding="utf-8")))

    assert named == {path.stem for path in RECORDS.glob("*.json")}
    for name in named:
        record = read_record(RECORDS / f"{name}.json")
        assert all(not row.lost and not row.doubled for row in record.rows)


@pytest.mark.parametrize("path", sorted(PLOTS.glob("*.svg")), ids=lambda path: path.stem)
def test_each_plot_is_drawn_from_the_record(path: Path) -> None:
    """A plot shows the figures of the same run as the table."""
    record = read_record(RECORDS / "centrifugo.json")
    drawn = {curve.name: draw_curve(curve) for curve in record.curves}
    drawn |= {bars.name: draw_bars(bars) for bars in record.bars}

    assert path.read_text(encoding="utf-8") == drawn[path.stem]
