"""High load: a transaction that stays open, a backlog, a thousand devices at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import psycopg

from chat.conf import compose_conninfo
from tests.rig.fault import fault
from tests.rig.trial import Trial, find_percentile
from tests.rig.unasked import UnaskedListener

HOUR = 36_000
"""The messages of an hour at ten a second, all sent to twenty users."""
BACKLOG = 17_000
"""Messages of 4,000 characters: 64 MiB of text, and as much again in the outbox."""
HERD = 1000
HERD_ROOM = 50
DEFAULT_POOL = 10
COMMIT_SECONDS = 2
DEVICES = 100
"""How many of the herd connect, where all ask for tokens."""
AS_THE_API = {"besedka.audience": "listeners"}
LAPSED = """
INSERT INTO chat_listener (user_id, channel, until, is_settled)
SELECT u.id, chat.personal_channel(u.id), now() - interval '5 days', true
FROM unnest(%s::text[]) AS u (id)
"""
"""Makes users such as took their last token a week ago."""


@fault("transaction left open", rest_within=20, silence_within=3, is_about_realtime=True)
async def leave_transaction_open(trial: Trial) -> None:
    """The outbox drains while a transaction keeps a snapshot from before an hour's messages.

    Vacuum may not remove the drained rows, so each read passes over 36,000 dead rows.
    """
    room = await _create_followed_room(trial, "busy", [f"absent{n}" for n in range(20)])
    async with await psycopg.AsyncConnection.connect(trial.stand.database_url) as holder:
        await holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await holder.execute("SELECT count(*) FROM chat_outbox")
        await trial.workload.import_messages(
            room, "absent0", "hour", count=HOUR, length=20, batch=200
        )
        await _wait_drained(trial, within=60)
        age = await trial.watch_outbox(3)
        trial.require(age < 1, f"with {HOUR} dead rows a message waited {age:.1f} s")
        await holder.rollback()


async def _create_followed_room(trial: Trial, name: str, users: list[str]) -> int:
    """Create a room with a device; the checks include it."""
    room = await trial.workload.create_room(name, users)
    trial.workload.all_rooms.append(room)
    await trial.workload.connect_device(name, users[0])
    return room


async def _wait_drained(trial: Trial, within: float) -> float:
    began = time.monotonic()
    async with asyncio.timeout(within):
        while True:
            (row,) = await trial.stand.fetch("SELECT count(*) AS n FROM chat_outbox")
            if row["n"] < 100:
                return time.monotonic() - began
            await trial.workload.run_for(0.2)


@fault("backlog of 64 MiB", rest_within=60, silence_within=3, is_about_realtime=True)
async def drain_backlog(trial: Trial) -> None:
    """The realtime server finds 64 MiB in the outbox when it starts, and publishes all in order."""
    room = await _create_followed_room(trial, "backlog", [f"absent{n}" for n in range(5)])
    await trial.stand.kill_realtime()
    await trial.workload.import_messages(room, "absent0", "backlog", count=BACKLOG, length=4000)
    await trial.stand.restart_realtime()


async def _create_herd(trial: Trial) -> tuple[list[str], list[int]]:
    """Create a thousand users, in twenty rooms with one half-hundred of them in each."""
    users = [f"herd{n}" for n in range(HERD)]
    rooms = [
        await trial.workload.create_room(f"herd {n}", users[n : n + HERD_ROOM])
        for n in range(0, HERD, HERD_ROOM)
    ]
    trial.workload.all_rooms += rooms
    return users, rooms


@fault("herd of 1,000 devices", rest_within=25, silence_within=3, is_about_realtime=True)
async def stampede(trial: Trial) -> None:
    """A thousand devices lose the server and its history at once: in 15 seconds all are current."""
    users, rooms = await _create_herd(trial)
    for n in range(0, HERD, HERD_ROOM):
        await asyncio.gather(
            *(trial.workload.connect_device(user, user) for user in users[n : n + HERD_ROOM])
        )
    trial.take_answer_times()
    await trial.stand.kill_realtime()
    for n, room in enumerate(rooms):
        await trial.workload.import_messages(
            room, users[n * HERD_ROOM], f"herd{n}", count=5, length=20, batch=5
        )
    await trial.stand.restart_realtime()
    began = time.monotonic()
    herd = [device for device in trial.workload.devices if device.user.startswith("herd")]
    await trial.wait_until_current(herd, within=60)
    took = time.monotonic() - began
    trial.require(took < 15, f"the last of {HERD} devices was current after {took:.1f} s")
    slow = find_percentile(trial.take_answer_times(), 99)
    trial.require(slow < 1, f"one in a hundred requests took {slow:.2f} s")
    await trial.require_pool(DEFAULT_POOL)


@fault("everyone returns after a lapse", rest_within=25, silence_within=3, is_about_realtime=True)
async def return_after_lapse(trial: Trial) -> None:
    """A thousand users ask for tokens at once, after days in which nothing was published to them.

    In each of their rooms a message is stored whose commit takes two seconds; no other follows it.
    Each token is answered within five seconds. The devices of a hundred users have the messages,
    because a token waits for the commit. A member who never asks for a token is sent nothing.
    """
    users, rooms = await _create_herd(trial)
    await trial.stand.fetch(LAPSED, [users])
    workload = trial.workload
    idler = await UnaskedListener.connect("user11", trial.stand.realtime_url, workload.recorder)
    slow = [await _send_slowly(trial, room, users[n * HERD_ROOM]) for n, room in enumerate(rooms)]
    present = users[:: HERD // DEVICES]
    # One of each room comes first: if its token did not wait, it would read its room too early.
    first = present[:: len(present) // len(rooms)]
    connecting = [asyncio.create_task(workload.connect_device(user, user)) for user in first]
    await workload.run_for(COMMIT_SECONDS / 2)
    connecting += [
        asyncio.create_task(workload.connect_device(user, user))
        for user in present
        if user not in first
    ]
    asking = [
        asyncio.create_task(_time_token(trial, user)) for user in users if user not in present
    ]
    await workload.run_for(COMMIT_SECONDS / 2)
    (waiting,) = await trial.stand.fetch(
        "SELECT count(*) AS n FROM chat_listener WHERE NOT is_settled"
    )
    trial.require(waiting["n"] > 0, "no token waited for a commit")
    for commit in slow:
        await commit()
    times = await asyncio.gather(*asking)
    await asyncio.gather(*connecting)
    trial.require(max(times) < 5, f"a token took {max(times):.1f} s")
    await idler.close()


async def _send_slowly(trial: Trial, room: int, user: str) -> Callable[[], Awaitable[None]]:
    """Send as the API does, but do not commit; return the commit."""
    recorder, key = trial.workload.recorder, f"slow-{room}"
    op = recorder.invoke(user, "send", room=room, user=user, key=key, content=key)
    conninfo = compose_conninfo(trial.stand.database_url, "besedka-api", **AS_THE_API)
    connection = await psycopg.AsyncConnection.connect(conninfo)
    cursor = await connection.execute(
        "SELECT message_id, message_seq FROM chat.send_messages(%s, %s, %s, %s)",
        [[room], [user], [key], [key]],
    )
    ((number, seq),) = await cursor.fetchall()

    async def commit() -> None:
        await connection.commit()
        await connection.close()
        recorder.ok(op, id=number, seq=seq)

    return commit


async def _time_token(trial: Trial, user: str) -> float:
    """Ask for a token; return how many seconds it took."""
    began = time.monotonic()
    status, _ = await trial.workload.api_of(user).read("/api/token/connection/")
    trial.require(status == 200, f"a token was answered with {status}")
    return time.monotonic() - began
