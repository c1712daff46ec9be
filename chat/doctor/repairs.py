"""Repairing what was found, where that is surely safe.

Each repair looks again under the lock, so a finding that is no longer true changes nothing.
"""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import psycopg

from chat.doctor.catalogue import Place

REPAIRS: Mapping[str, bytes] = {
    "member_count": b"SELECT before, after FROM chat.repair_member_count(%(room)s)",
    "member_channel": b"SELECT before, after FROM chat.repair_member_channel(%(room)s, %(user)s)",
    "listener_channel": b"SELECT before, after FROM chat.repair_listener_channel(%(user)s)",
    "sequence_behind": b"SELECT before, after FROM chat.repair_sequence(%(table)s)",
    "outbox_partition": b"SELECT before, after FROM chat.repair_outbox_partition(%(outbox)s)",
    "outbox_undeliverable": b"SELECT before, after FROM chat.repair_outbox_row(%(outbox)s)",
}
"""The repair of each code that has one, for a place. One row if it changed something; `after` is
null for a row that was removed, and `before` is then the whole row."""


def repair(
    connect: Callable[[], psycopg.Connection[Any]],
    code: str,
    places: list[Place],
    deadline: float,
    say: Callable[[str], None],
) -> int:
    """Repair places, each in a transaction of its own; return how many have nothing wrong any more.

    `connect`: opens a session in autocommit. `deadline`: no repair begins after it, on the
    monotonic clock in seconds. `say`: receives a line of JSON for what was changed, or why not.
    """
    count = 0
    with closing(connect()) as connection:
        # Writers hold a room for milliseconds; a room that stays locked is left for the next run.
        connection.execute("SET lock_timeout = '2s'; SET statement_timeout = '60s'")
        for place in places:
            if time.monotonic() >= deadline:
                break
            try:
                rows = connection.execute(REPAIRS[code], place).fetchall()
            except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled) as error:
                say(json.dumps({"not_mended": code, **place, "why": str(error)}))
                continue
            count += 1
            for before, after in rows:
                line = {"mended": code, **place, "before": before, "after": after}
                say(json.dumps(line))
    return count
