"""Too much at once: a locked room, a transaction left open, a backlog, a herd of devices."""

import asyncio
import time

import httpx
import psycopg

from tests.faults.api import NoAnswerError
from tests.faults.catalogue import Trial, fault

LOCK_ROOM = "SELECT FROM chat_room WHERE id = %s FOR NO KEY UPDATE"
LOCKED_FOR = 6.0
CROWD = 60
HOUR = 36_000
"""Messages of an hour at ten a second, all told to twenty users."""
BACKLOG = 17_000
"""Messages of 4,000 characters: 64 MiB of them, and their outbox rows besides."""
HERD = 1000
HERD_ROOM = 50


@fault(
    "room locked, pool exhausted",
    rest_within=10,
    silence_within=7,
    environment={"DATABASE_POOL_SIZE": "4"},
)
async def exhaust_pool(trial: Trial) -> None:
    """A room stays locked for six seconds while sixty requests want it: 503s, none later than 5 s.

    The process is alive meanwhile, and everything goes on within two seconds of the lock's end.
    """
    async with await psycopg.AsyncConnection.connect(trial.stand.database_url) as holder:
        await holder.execute(LOCK_ROOM, [trial.workload.hot])
        crowd = [asyncio.create_task(_send_until(trial, n, LOCKED_FOR)) for n in range(CROWD)]
        await trial.workload.run_for(LOCKED_FOR / 2)
        await _require_life(trial)
        await trial.workload.run_for(LOCKED_FOR / 2)
        await holder.rollback()
    took = await trial.workload.wait_for_sends(20, within=20)
    trial.require(took < 2, f"no service {took:.1f} s after the lock was gone")
    await asyncio.gather(*crowd)


async def _send_until(trial: Trial, n: int, seconds: float) -> None:
    """Send to the hot room for so long, each time with the same key, as an impatient user."""
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
        trial.workload.recorder.info(op, why=str(answer.status_code))
        await asyncio.sleep(0.2)  # a client's back-off


async def _require_life(trial: Trial) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
        for url in trial.stand.api_urls:
            began = time.monotonic()
            answer = await http.get(f"{url}/health/live")
            took = time.monotonic() - began
            trial.require(answer.status_code == 200 and took < 1, f"liveness took {took:.1f} s")


# Their locks are the host's own, and all senders may wait for one room for as long as they last.
@fault("host's transactions deadlock", rest_within=10, silence_within=9)
async def deadlock_transactions(trial: Trial) -> None:
    """The host's own transactions take rooms in any order and deadlock: users hear it in time.

    Within two seconds of their end everything goes on.
    """
    ends = time.monotonic() + 8
    deadlocks = sum(
        await asyncio.gather(*(_write_in_transactions(trial, n, ends) for n in range(4)))
    )
    trial.require(deadlocks > 0, "nothing ever deadlocked: the fault did not happen")
    took = await trial.workload.wait_for_sends(20, within=20)
    trial.require(took < 2, f"no service {took:.1f} s after the last transaction")


async def _write_in_transactions(trial: Trial, n: int, ends: float) -> int:
    """Send to two rooms in one transaction until the time is over; count deadlocks."""
    deadlocks = count = 0
    rooms = [trial.workload.hot, trial.workload.cold[0]]
    async with await psycopg.AsyncConnection.connect(trial.stand.database_url) as connection:
        while time.monotonic() < ends:
            count += 1
            trial.random.shuffle(rooms)
            try:
                ops = await _send_to_both(trial, connection, list(rooms), f"host{n}-{count}")
            except psycopg.errors.DeadlockDetected:
                deadlocks += 1
                await connection.rollback()
                continue
            await connection.commit()
            for op, row in ops:
                trial.workload.recorder.ok(op, **row)
            await trial.workload.run_for(0.1)
    return deadlocks


async def _send_to_both(
    trial: Trial, connection: psycopg.AsyncConnection, rooms: list[int], key: str
) -> list[tuple[int, dict[str, int]]]:
    """Send to one room, dawdle, send to the other; what was rolled back stays unanswered."""
    done = []
    for room in rooms:
        op = trial.workload.recorder.invoke(
            "host", "send", room=room, user="user0", key=key, content=key
        )
        cursor = await connection.execute(
            "SELECT message_id, message_seq FROM chat_v1.send_messages("
            "ARRAY[%s]::bigint[], ARRAY['user0'], ARRAY[%s], ARRAY[%s])",
            [room, key, key],
        )
        row = await cursor.fetchone()
        assert row is not None
        done.append((op, {"id": row[0], "seq": row[1]}))
        await trial.workload.run_for(0.03)
    return done


@fault("transaction left open", rest_within=20, silence_within=3, is_realtimes=True, is_quick=False)
async def leave_transaction_open(trial: Trial) -> None:
    """A snapshot is held while an hour's messages pass through the outbox: it drains all the same.

    Vacuum may not remove what was drained, so the reader walks over 36,000 dead rows.
    """
    room = await trial.workload.create_room("busy", [f"absent{n}" for n in range(20)])
    async with await psycopg.AsyncConnection.connect(trial.stand.database_url) as holder:
        await holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await holder.execute("SELECT count(*) FROM chat_outbox")
        await trial.workload.import_messages(
            room, "absent0", "hour", count=HOUR, length=20, batch=200
        )
        await _wait_drained(trial, within=60)
        age = await _measure_outbox(trial)
        trial.require(age < 1, f"with {HOUR} dead rows a message waited {age:.1f} s")
        await holder.rollback()


async def _wait_drained(trial: Trial, within: float) -> float:
    began = time.monotonic()
    async with asyncio.timeout(within):
        while True:
            (row,) = await trial.stand.fetch("SELECT count(*) AS n FROM chat_outbox")
            if row["n"] < 100:
                return time.monotonic() - began
            await trial.workload.run_for(0.2)


async def _measure_outbox(trial: Trial) -> float:
    """Return the greatest age of an outbox row, in seconds, over three seconds of traffic."""
    ages = []
    for _ in range(15):
        await trial.workload.run_for(0.2)
        (row,) = await trial.stand.fetch(
            "SELECT extract(epoch FROM clock_timestamp() - min(created_at))::float AS age"
            " FROM chat_outbox"
        )
        ages.append(row["age"] or 0.0)
    return max(ages)


@fault("backlog of 64 MiB", rest_within=60, silence_within=3, is_realtimes=True, is_quick=False)
async def drain_backlog(trial: Trial) -> None:
    """The realtime server finds 64 MiB in the outbox when it starts, and tells it all in order."""
    room = await trial.workload.create_room("backlog", [f"absent{n}" for n in range(5)])
    await trial.stand.kill_realtime()
    await trial.workload.import_messages(room, "absent0", "backlog", count=BACKLOG, length=4000)
    await trial.stand.restart_realtime()


@fault("herd of 1,000 devices", rest_within=25, silence_within=3, is_realtimes=True, is_quick=False)
async def stampede(trial: Trial) -> None:
    """A thousand devices lose their server and its history at once: all are level in 20 seconds."""
    users = [f"herd{n}" for n in range(HERD)]
    rooms = [
        await trial.workload.create_room(f"herd {n}", users[n : n + HERD_ROOM])
        for n in range(0, HERD, HERD_ROOM)
    ]
    trial.workload.all_rooms += rooms
    for n in range(0, HERD, HERD_ROOM):
        await asyncio.gather(
            *(trial.workload.connect_device(user, user) for user in users[n : n + HERD_ROOM])
        )
    await trial.stand.kill_realtime()
    for n, room in enumerate(rooms):
        await trial.workload.import_messages(
            room, users[n * HERD_ROOM], f"herd{n}", count=5, length=20, batch=5
        )
    await trial.stand.restart_realtime()
    began = time.monotonic()
    async with asyncio.timeout(60):
        while _count_behind(trial):
            await trial.workload.run_for(0.2)
    took = time.monotonic() - began
    trial.require(took < 20, f"the last of {HERD} devices was level after {took:.1f} s")


def _count_behind(trial: Trial) -> int:
    """Count the herd's devices that have not applied the news."""
    return sum(
        not any(version > HERD_ROOM for version in device.reducer.versions().values())
        for device in trial.workload.devices
        if device.user.startswith("herd")
    )
