"""The limit of a path: PostgreSQL alone, driven by `pgbench`, on a database without a consumer."""

import re
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benches.cpu import read_cpu_seconds
from benches.seed import API_SESSION, Rooms
from embedded.cluster import binary, english_environment
from embedded.postgres import PostgresServer

CLIENTS = 10
"""As many as an API process has connections by default."""
BATCH = 32

SINGLE = """\\set room random({first}, {last})
\\set member random(1, {members})
\\set key random(1, 1000000000000000)
SELECT outcome, message::text FROM chat.send_messages_v2(ARRAY[:room]::bigint[],
    ARRAY['{name}' || :room || '-' || :member], ARRAY['b' || :key], ARRAY['{text}'],
    NULL, NULL, NULL, true, NULL);
"""
MANY = """\\set key random(1, 1000000000000000)
SELECT outcome, message::text FROM chat.send_messages_v2(
    ARRAY(SELECT {first} + (n * 7919 + :key::bigint) % {count}
          FROM generate_series(1, {batch}) AS n)::bigint[],
    ARRAY(SELECT '{name}' || ({first} + (n * 7919 + :key::bigint) % {count})
                 || '-' || (1 + n % {members})
          FROM generate_series(1, {batch}) AS n),
    ARRAY(SELECT 'b' || :key || '-' || n FROM generate_series(1, {batch}) AS n),
    ARRAY(SELECT '{text}' FROM generate_series(1, {batch})), NULL, NULL, NULL, true, NULL);
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """What PostgreSQL alone does: messages a second, CPU and latency of a message in ms."""

    rate: float
    cpu_ms: float
    latency_ms: float
    """The median."""


@dataclass(frozen=True, slots=True)
class _Calls:
    count: float
    rate: float
    latency_ms: float


class Pgbench:
    """Runs scripts on one database; the outbox is emptied after each, since nothing drains it."""

    def __init__(self, postgres: PostgresServer, database: str, folder: Path, text: str) -> None:
        self._postgres = postgres
        self._url = postgres.url(database)
        self._folder = folder
        self._text = text

    def send(
        self, rooms: Rooms, seconds: float, *, hot: bool, batch: int = 1, clients: int = CLIENTS
    ) -> Limit:
        """Send into these rooms, or into the first of them; `batch` messages in each call."""
        count = 1 if hot else rooms.count
        script = (SINGLE if batch == 1 else MANY).format(
            name=rooms.name,
            first=rooms.first_id,
            last=rooms.first_id + count - 1,
            count=count,
            members=rooms.members,
            batch=batch,
            text=self._text,
        )
        return self._run(script, seconds, clients, batch)

    def _run(self, script: str, seconds: float, clients: int, batch: int) -> Limit:
        path = self._folder / "pgbench.sql"
        path.write_text(script, encoding="utf-8")
        # What a session costs at its beginning is measured by itself and taken off.
        few, few_used = self._call(path, clients, "--transactions=10")
        calls, used = self._call(path, clients, f"--time={max(1, round(seconds))}")
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute("TRUNCATE chat_outbox")
        return Limit(
            rate=calls.rate * batch,
            cpu_ms=(used - few_used) * 1000 / ((calls.count - few.count) * batch),
            latency_ms=calls.latency_ms,
        )

    def _call(self, path: Path, clients: int, how_long: str) -> tuple[_Calls, float]:
        """Run a script; return what pgbench says and the CPU seconds of PostgreSQL."""
        before = read_cpu_seconds(self._postgres.process.pid)
        done = subprocess.run(
            [
                *(binary("pgbench"), "--no-vacuum", "--protocol=prepared", "--jobs=1"),
                *(f"--client={clients}", how_long, f"--file={path}"),
                *("--log", f"--log-prefix={path}", self._url),
            ],
            capture_output=True,
            text=True,
            check=False,
            env=english_environment() | API_SESSION,
        )
        used = read_cpu_seconds(self._postgres.process.pid) - before
        if done.returncode:
            raise RuntimeError(f"pgbench: {done.stderr}")
        count = _find(r"transactions actually processed: (\d+)", done.stdout)
        rate = _find(r"tps = ([\d.]+)", done.stdout)
        return _Calls(count, rate, self._read_latency(path)), used

    def _read_latency(self, prefix: Path) -> float:
        """Return the median of the calls; the third column of the log has their microseconds."""
        found = []
        for log in prefix.parent.glob(f"{prefix.name}.*"):
            found += [int(line.split()[2]) for line in log.read_text().splitlines()]
            log.unlink()
        return statistics.median(found) / 1000


def _find(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"pgbench printed no {pattern}: {text}")
    return float(found[1])
