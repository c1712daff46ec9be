"""`python -m benches.report`: writes the measured parts of the documentation from the records.

A record is what `python -m benches --json FILE` writes; those of the documentation are in
docs/performance/. Between two marks of a page everything is written by this command.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from benches.code import PROJECT
from benches.figures import Row
from benches.plots import draw_bars, draw_curve
from benches.record import Record, read_record
from benches.sizing import write_sizing
from benches.table import format_number

PAGE = PROJECT / "docs" / "performance.md"
PAGES = (PAGE, PROJECT / "README.md", PROJECT / "README.ru.md")
RECORDS = PROJECT / "docs" / "performance"
HEAD = (
    "| path | figure | limit | measure | bar | | API | PostgreSQL | realtime | generator | lost "
    "| doubled |\n| --- | --: | --- | --: | --- | --- | --: | --: | --: | --: | --: | --: |"
)


def write_plots(record: Record, folder: Path) -> None:
    """Write a record's plots as SVG files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for curve in record.curves:
        (folder / f"{curve.name}.svg").write_text(draw_curve(curve), encoding="utf-8")
    for bars in record.bars:
        (folder / f"{bars.name}.svg").write_text(draw_bars(bars), encoding="utf-8")


def write_markdown(record: Record) -> str:
    """Return the table of a record, and the sentence that says how it was made."""
    machine = record.machine
    against = f", against commit {record.against}" if record.against else ""
    made = (
        f"Commit {record.commit}{against}, {record.realtime}, {record.postgres}, Python "
        f"{machine.python}; {machine.cores} cores of {machine.processor}, {machine.memory_gb} GB, "
        f"{machine.system}; {record.date}. Load generator and everything else on the same cores. "
        f"{record.rounds} rounds of {record.seconds:g} s, medians."
    )
    missed = [row for row in record.rows if row.is_met is False]
    judged = [row for row in record.rows if row.is_met is not None]
    verdict = f"{len(judged) - len(missed)} of {len(judged)} bars met."
    lines = map(_write_line, record.rows)
    return "\n".join([" ".join([made, *record.facts, verdict]), "", HEAD, *lines])


def _write_line(row: Row) -> str:
    parts = ("api", "postgres", "realtime", "generator")
    costs = [getattr(row.cost, part) if row.cost else 0.0 for part in parts]
    cells = [
        row.path,
        f"{format_number(row.figure)} {row.unit}",
        "" if row.limit is None else f"{format_number(row.limit)}: {row.limit_name}",
        "" if row.measure is None else f"{format_number(row.measure)} {row.measure_unit}",
        row.bar,
        f"**{row.verdict}**" if row.is_met is False else row.verdict,
        *(format_number(cost) if cost else "" for cost in costs),
        "" if row.lost is None else str(row.lost),
        "" if row.doubled is None else str(row.doubled),
    ]
    return f"| {' | '.join(cells)} |"


SPEED = """\
{cores} cores acknowledge {rate} messages a second in 100 rooms, and {hot} in one room, with the
load generator on the same cores. A message costs {cost} ms of CPU in all; PostgreSQL alone takes
{limit} ms for the same send, one at a time (median of the ratios within the run: {ratio} ×). A lone
send is answered after {lone} ms."""
SPEED_RU = """\
Ядер: {cores}. Сообщений в секунду: {rate} в 100 комнатах и {hot} в одной; генератор нагрузки
работает на тех же ядрах. Сообщение стоит {cost} мс процессорного времени всего; один PostgreSQL
тратит на ту же отправку, по одной за раз, {limit} мс (медиана отношений внутри прогона: {ratio} ×).
Ответ на одиночную отправку приходит через {lone} мс."""


def _write_speed(record: Record, text: str) -> str:
    """Return the few sentences of a README."""
    rows = {row.path: row for row in record.rows}
    cost = rows["send, 100 rooms of 20: CPU of everything"]
    figures = {
        "rate": rows["send, 100 rooms of 20: acknowledged"].figure,
        "hot": rows["hot room of 20, 32 senders: acknowledged"].figure,
        "lone": rows["lone send: acknowledged, p50"].figure,
        "cost": cost.figure,
        "limit": cost.limit or 0,
        "ratio": cost.measure or 0,
    }
    named = {name: format_number(figure) for name, figure in figures.items()}
    return text.format(cores=record.machine.cores, **named)


WRITERS: Mapping[str, Callable[[Record], str]] = {
    "table": write_markdown,
    "sizing": write_sizing,
    "speed": partial(_write_speed, text=SPEED),
    "скорость": partial(_write_speed, text=SPEED_RU),
}


def render(page: str, records: Path = RECORDS) -> str:
    """Return the page with its measured parts written again; a part without a record stays."""

    def write(found: re.Match[str]) -> str:
        path = records / f"{found['record']}.json"
        if not path.exists():
            return found[0]
        text = WRITERS[found["part"]](read_record(path))
        return f"{found['begin']}\n{text}\n{found['end']}"

    pattern = (
        r"(?P<begin><!-- (?P<part>\w+) of (?P<record>\w+) -->)\n(?s:.*?)\n?(?P<end><!-- end -->)"
    )
    return re.sub(pattern, write, page)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(render(page.read_text(encoding="utf-8")), encoding="utf-8")
    for found in RECORDS.glob("centrifugo.json"):
        write_plots(read_record(found), PROJECT / "docs" / "plots")
