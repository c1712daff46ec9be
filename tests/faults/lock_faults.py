"""Waiting for the lock of a room: many users, importers, transactions that deadlock."""

import asyncio
import time
from typing import Any

import httpx
import psycopg

from tests.rig.fault import fault
from tests.rig.http_client import NoAnswerError
from tests.rig.trial import Trial

LOCK_ROOM = "SELECT FROM chat_room WHERE id = %s FOR NO KEY UPDATE"
LOCKED_FOR = 6.0
CATCH_UP = 20
"""Sends after which the service counts as working again."""
SMALL_POOL = 4
CROWD = 200

Sent = tuple[int, int, int]
"""The operation of a send, and the message's id and seq."""


@fault(
    "room locked, pool exhausted",
    rest_within=10,
    silence_within=7,
    environment={"DATABASE_POOL_SIZE": str(SMALL_POOL)},
)
async def exhaust_pool(trial: Trial) -> None:
    """A room stays locked for six seconds while 200 users send to it: 503s, none later than 5 s.

    Meanwhile the process answers `/health/live` and opens no connection beyond its pool. The
    service works again within two seconds of the lock's end.
    """
    before = trial.count_failures()
    async with await psycopg.AsyncConnection.connect(trial.stand.database_url) as holder:
        await holder.execute(LOCK_ROOM, [trial.workload.hot])
        crowd = [asyncio.create_task(send_until(trial, n, LOCKED_FOR)) for n in range(CROWD)]
        await trial.workload.run_for(LOCKED_FOR / 2)
        await _require_life(trial)
        await trial.workload.run_for(LOCKED_FOR / 2)
        await holder.rollback()
    trial.require_failures(before)
    took = await trial.workload.wait_for_sends(CATCH_UP, within=20)
    trial.require(took < 2, f"no service {took:.1f} s after the lock was gone")
    await asyncio.gather(*crowd)
    await trial.require_pool(SMALL_POOL)


async def send_until(trial: Trial, n: int, seconds: float) -> None:
    """Send one message to the hot room, again and again with the same key, for so many seconds."""
    api = trial.workload.api_of(f"user{n % 8}")
    key, content = f"crowd-{n}", f"crowd {n}"
    user, room = f"user{n % 8}", trial.workload.hot
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        op = trial.workload.recorder.invoke(
            f"crowd{n}", "send", room=room, user=user, key=key, content=content
        )
        try:
            answer = await api.request(
                "POST", f"/api/rooms/{room}/messages/", {"content": content, "client_id": key}
            )
        except NoAnswerError as error:
            trial.workload.recorder.info(op, why=str(error))
            continue
        if answer.is_success:
            body = answer.json()
            trial.workload.recorder.ok(op, id=body["id"], seq=body["seq"])
            return
        assert answer.status_code >= 500, answer.text
        trial.workload.recorder.info(op, why=str(answer.status_code))
        await asyncio.sleep(0.2)  # a client's back-off


async def _require_life(trial: Trial) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
        for url in trial.stand.api_urls:
            began = time.monotonic()
            answer = await http.get(f"{url}/health/live")
            took = time.monotonic() - began
            trial.require(answer.status_code == 200 and took < 1, f"liveness took {took:.1f} s")


@fault("sends to many rooms at once", rest_within=10, silence_within=2)
async def send_to_many_rooms(trial: Trial) -> None:
    """Eight importers send to several rooms in each call, in any order, without a deadlock."""
    workload = trial.workload
    imported = [await workload.create_room(f"imported {n}", ["user0"]) for n in range(3)]
    workload.all_rooms += imported
    rooms = [workload.hot, workload.cold[0], *imported]
    before = await _count_deadlocks(trial)
    ends = time.monotonic() + 8
    await asyncio.gather(*(_import_to_many(trial, rooms, n, ends) for n in range(8)))
    deadlocks = await _count_deadlocks(trial) - before
    trial.require(deadlocks == 0, f"{deadlocks} deadlocks")


async def _import_to_many(trial: Trial, rooms: list[int], n: int, ends: float) -> None:
    """Send to all these rooms with every call, each time in another order, until the time ends."""
    count = 0
    async with await _connect(trial, autocommit=True) as connection:
        while time.monotonic() < ends:
            count += 1
            shuffled = trial.random.sample(rooms, len(rooms))
            _acknowledge(trial, await _send_to(trial, connection, shuffled, f"importer{n}-{count}"))
            await trial.workload.run_for(0.02)


@fault("host's transactions deadlock", rest_within=10, silence_within=3)
async def deadlock_transactions(trial: Trial) -> None:
    """The host's own transactions deadlock over rooms, four times: no request is the victim.

    At worst users get `room_busy`. The service works again within two seconds of each deadlock.
    """
    hot, cold = trial.workload.rooms[:2]
    before = await _count_deadlocks(trial)
    for turn in range(4):
        async with await _connect(trial) as one, await _connect(trial) as other:
            first = await _send_to(trial, one, [hot], f"one-{turn}")
            second = await _send_to(trial, other, [cold], f"other-{turn}")
            await asyncio.gather(
                _commit_or_roll_back(trial, one, cold, f"one-{turn}-second", first),
                _commit_or_roll_back(trial, other, hot, f"other-{turn}-second", second),
            )
        took = await trial.workload.wait_for_sends(CATCH_UP, within=20)
        trial.require(took < 2, f"no service {took:.1f} s after a deadlock")
    deadlocks = await _count_deadlocks(trial) - before
    trial.require(deadlocks == 4, f"{deadlocks} deadlocks, not 4")
    codes = {code for api in trial.workload.apis.values() for code in api.codes}
    trial.require(codes <= {"room_busy"}, f"users got {', '.join(codes)}")


async def _connect(trial: Trial, **options: Any) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(trial.stand.database_url, **options)


async def _commit_or_roll_back(
    trial: Trial, connection: psycopg.AsyncConnection, room: int, key: str, sent: list[Sent]
) -> None:
    """Send to one more room and commit, or be rolled back as the deadlock's victim.

    `sent` is what the transaction has sent so far; the commit acknowledges it.
    """
    try:
        sent += await _send_to(trial, connection, [room], key)
        await connection.commit()
    except psycopg.errors.DeadlockDetected:
        await connection.rollback()
    else:
        _acknowledge(trial, sent)


async def _send_to(
    trial: Trial, connection: psycopg.AsyncConnection, rooms: list[int], key: str
) -> list[Sent]:
    """Send to several rooms in one call."""
    keys = [f"{key}-{room}" for room in rooms]
    ops = [
        trial.workload.recorder.invoke(
            key, "send", room=room, user="user0", key=key, content="from the host", by="sql"
        )
        for room, key in zip(rooms, keys, strict=True)
    ]
    cursor = await connection.execute(
        "SELECT message_id, message_seq, outcome FROM chat.send_messages("
        "%s::bigint[], array_fill('user0'::text, ARRAY[%s]), %s::text[],"
        " array_fill('from the host'::text, ARRAY[%s])) ORDER BY ordinal",
        [rooms, len(rooms), keys, len(rooms)],
    )
    rows = await cursor.fetchall()
    assert all(outcome == "sent" for *_, outcome in rows), rows
    return [(op, message, seq) for op, (message, seq, _) in zip(ops, rows, strict=True)]


def _acknowledge(trial: Trial, sent: list[Sent]) -> None:
    for op, message, seq in sent:
        trial.workload.recorder.ok(op, id=message, seq=seq)


async def _count_deadlocks(trial: Trial) -> int:
    """Return the number of deadlocks in the database so far."""
    (row,) = await trial.stand.fetch(
        "SELECT deadlocks AS n FROM pg_stat_database WHERE datname = current_database()"
    )
    count: int = row["n"]
    return count
