"""The table in the terminal."""

from collections.abc import Sequence

from benches.figures import Row

HEAD = (
    "path", "figure", "limit", "ratio", "bar", "verdict",
    "API", "PG", "realtime", "generator", "lost", "doubled",
)  # fmt: skip
LEFT = {"path", "limit", "bar", "verdict"}


def format_number(value: float) -> str:
    """Return three significant digits, without an exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 or value == 0 else f"{value:.3f}"


def write_table(rows: Sequence[Row]) -> str:
    """Return the table as lines of equal width."""
    cells = [HEAD, *map(_cells, rows)]
    widths = [max(len(line[n]) for line in cells) for n in range(len(HEAD))]
    lines = [
        "  ".join(
            text.ljust(width) if name in LEFT else text.rjust(width)
            for name, text, width in zip(HEAD, line, widths, strict=True)
        ).rstrip()
        for line in cells
    ]
    return "\n".join([lines[0], "─" * max(map(len, lines)), *lines[1:]])


def _cells(row: Row) -> tuple[str, ...]:
    cost = row.cost
    parts = (cost.api, cost.postgres, cost.realtime, cost.generator) if cost else (0.0,) * 4
    limit = "" if row.limit is None else f"{format_number(row.limit)} {row.limit_name}"
    return (
        row.path,
        f"{format_number(row.figure)} {row.unit}",
        limit,
        "" if row.measure is None else f"{format_number(row.measure)} {row.measure_unit}",
        row.bar,
        row.verdict,
        *(format_number(part) if part else "" for part in parts),
        "" if row.lost is None else str(row.lost),
        "" if row.doubled is None else str(row.doubled),
    )
