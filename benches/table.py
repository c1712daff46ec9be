"""The table in the terminal, and how numbers are written."""

from collections.abc import Sequence

from benches.figures import Row
from embedded.terminal import GREEN, RED, Terminal

HEAD = ("path", "figure", "limit", "measure", "bar", "")
COST_HEAD = ("API", "PostgreSQL", "realtime", "generator", "lost", "doubled")
LEFT = {"path", "limit", "bar", ""}
MARKS = {None: " ", True: "✔", False: "✘"}


def format_number(value: float) -> str:
    """Return a number with two or three significant digits."""
    size = abs(value)
    if size >= 100 or value == 0:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 0.1 else f"{value:.3f}"


def write_table(rows: Sequence[Row]) -> str:
    """Return the table; the mark before a path says whether its bar was met."""
    head = *HEAD, *COST_HEAD
    cells = [head, *map(_write_cells, rows)]
    widths = [max(len(line[n]) for line in cells) for n in range(len(head))]
    lines = [
        "  ".join(
            text.ljust(width) if name in LEFT else text.rjust(width)
            for name, text, width in zip(head, line, widths, strict=True)
        ).rstrip()
        for line in cells
    ]
    over = len("  ".join(" " * width for width in widths[: len(HEAD)])) + 4
    rule = "─" * (max(map(len, lines)) + 2)
    terminal = Terminal()
    return "\n".join(
        [
            " " * over + "CPU ms for each",
            f"  {lines[0]}",
            rule,
            *(_paint(row, line, terminal) for row, line in zip(rows, lines[1:], strict=True)),
            rule,
            summarize(rows),
        ]
    )


def summarize(rows: Sequence[Row]) -> str:
    """Return one sentence about the bars, and about what was lost and doubled."""
    judged = [row for row in rows if row.is_met is not None]
    met = sum(row.is_met is True for row in judged)
    lost, doubled = (sum(getattr(row, name) or 0 for row in rows) for name in ("lost", "doubled"))
    return f"  {met} of {len(judged)} bars met; {lost} messages lost, {doubled} doubled"


def _paint(row: Row, line: str, terminal: Terminal) -> str:
    mark = MARKS[row.is_met]
    return f"{terminal.paint(mark, GREEN if row.is_met else RED) if mark.strip() else mark} {line}"


def _write_cells(row: Row) -> tuple[str, ...]:
    cost = row.cost
    parts = (cost.api, cost.postgres, cost.realtime, cost.generator) if cost else (0.0,) * 4
    return (
        row.path,
        f"{format_number(row.figure)} {row.unit}",
        "" if row.limit is None else f"{format_number(row.limit)}  {row.limit_name}",
        "" if row.measure is None else f"{format_number(row.measure)} {row.measure_unit}",
        row.bar,
        row.verdict,
        *(format_number(part) if part else "" for part in parts),
        "" if row.lost is None else str(row.lost),
        "" if row.doubled is None else str(row.doubled),
    )
