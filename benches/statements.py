"""How long PostgreSQL itself took for the statements of the API, from PostgreSQL's log."""

import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

LINE_PREFIX = "%p %a "
_LINE = re.compile(
    r"^(\d+) besedka-api LOG:  duration: ([\d.]+) ms  (parse|bind|execute|statement)", re.MULTILINE
)


@contextmanager
def recorded(url: str, log: Path) -> Iterator[list[float]]:
    """Fill the list, at the end of the block, with the ms of each statement that the API ran.

    Parsing and planning count. PostgreSQL writes its log without a buffer.
    """
    found: list[float] = []
    with psycopg.connect(url, autocommit=True) as connection:
        start = log.stat().st_size
        _set(connection, "0")
        try:
            yield found
        finally:
            _set(connection, "-1")
    with log.open("rb") as file:
        file.seek(start)
        found += _sum_up(file.read().decode(errors="replace"))


def _sum_up(text: str) -> Iterator[float]:
    begun: defaultdict[str, float] = defaultdict(float)
    for pid, milliseconds, step in _LINE.findall(text):
        begun[pid] += float(milliseconds)
        if step in {"execute", "statement"}:
            yield begun.pop(pid)


def _set(connection: psycopg.Connection[tuple[object, ...]], value: str) -> None:
    # Milliseconds; 0 logs every statement, -1 none. Sessions read it before their next statement.
    connection.execute(f"ALTER SYSTEM SET log_min_duration_statement = {value}".encode())
    connection.execute("SELECT pg_reload_conf()")
