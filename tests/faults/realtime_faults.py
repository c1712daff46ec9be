"""Realtime servers that are killed, stopped or frozen, compete, or get rows they cannot publish."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from tests.conformance.clients import blocked_deletes
from tests.rig.devices import RecordedDevice
from tests.rig.fault import fault
from tests.rig.trial import Trial, find_percentile

HISTORY = 100
"""Events of a channel that Centrifugo keeps."""


@fault("realtime killed", rest_within=15, silence_within=2, is_about_realtime=True)
async def kill_realtime(trial: Trial) -> None:
    """The realtime server is killed three times and loses its history: devices catch up."""
    for _ in range(3):
        await trial.workload.run_for(trial.random.uniform(1, 2))
        await trial.stand.kill_realtime()
        await trial.workload.run_for(trial.random.uniform(0, 1))
        await trial.stand.restart_realtime()


@fault("realtime away", rest_within=10, silence_within=2, is_about_realtime=True)
async def stop_realtime(trial: Trial) -> None:
    """There is no realtime server for twenty seconds: sends go on, all is published afterwards."""
    await trial.stand.kill_realtime()
    await trial.workload.run_for(20)
    await trial.require_devices_cut_off()
    await trial.stand.restart_realtime()


@fault("realtime frozen", rest_within=15, silence_within=2, is_about_realtime=True)
async def freeze_realtime(trial: Trial) -> None:
    """The realtime server is frozen for five seconds, twice: sends go on."""
    for _ in range(2):
        trial.stand.realtime.process.send_signal(signal.SIGSTOP)
        await trial.workload.run_for(5)
        await trial.require_devices_cut_off()
        trial.stand.realtime.process.send_signal(signal.SIGCONT)
        await trial.workload.run_for(1)


@fault("realtime killed after publishing", rest_within=15, silence_within=2, is_about_realtime=True)
async def kill_between_publishing_and_deleting(trial: Trial) -> None:
    """Killed after publishing and before deleting, it publishes twice, and devices apply once."""
    partition = trial.workload.hot % 6
    for _ in range(3):
        repeats = _count_repeats(trial)
        block = blocked_deletes(trial.stand.database_url, partition)
        # In a thread: it waits for sessions whose connections go through proxies of this one.
        await asyncio.to_thread(block.__enter__)
        await trial.workload.run_for(1)
        await trial.stand.kill_realtime()
        # Its session still waits; it ends, with its lock of the partition, when it may go on.
        await asyncio.to_thread(block.__exit__, None, None, None)
        # What is published again before the devices are connected reaches nobody.
        async with _keep_partition(trial, partition):
            subscriptions = {d.name: d.observer.subscriptions for d in trial.workload.devices}
            await trial.stand.restart_realtime()
            async with asyncio.timeout(20):
                while any(
                    d.observer.subscriptions == subscriptions[d.name]
                    for d in trial.workload.devices
                ):
                    await trial.workload.run_for(0.05)
        await trial.workload.run_for(1.5)
        trial.require(_count_repeats(trial) > repeats, "nothing was published twice")


def _count_repeats(trial: Trial) -> int:
    return sum(device.observer.repeats for device in trial.workload.devices)


@asynccontextmanager
async def _keep_partition(trial: Trial, partition: int) -> AsyncIterator[None]:
    """Hold a partition's lock, as another server would, so that nothing of it is published."""
    name = f"centrifugo_partition_lock_outbox{partition}"
    async with await psycopg.AsyncConnection.connect(trial.stand.database_url) as connection:
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [name])
        yield


@fault(
    "rival realtime servers",
    rest_within=15,
    silence_within=2,
    is_about_realtime=True,
    is_continuous=False,
)
async def race_for_partitions(trial: Trial) -> None:
    """Three servers without a broker between them drain one outbox while they are killed in turn.

    Another server publishes the rows of a killed one within two seconds. Each row goes to one
    server, so a device misses the rows of the others. When one server is left and the devices have
    connected again, they hold everything.
    """
    for _ in range(2):
        await trial.stand.start_another_realtime()
    for _ in range(3):
        await trial.workload.run_for(1.5)
        rival = trial.random.choice(trial.stand.others)
        await trial.stand.in_thread(rival.kill)
        trial.stand.others.remove(rival)
        age = await trial.watch_outbox(3)
        trial.require(age < 2, f"a row of a dead server waited {age:.1f} s for another")
        await trial.stand.start_another_realtime()
    for rival in trial.stand.others:
        await trial.stand.in_thread(rival.kill)
    trial.stand.others.clear()
    await trial.stand.kill_realtime()
    await trial.stand.restart_realtime()


@fault(
    "more events than the history keeps", rest_within=15, silence_within=2, is_about_realtime=True
)
async def overrun_history(trial: Trial) -> None:
    """Devices are offline for three times the events that are kept: they fetch all of them."""
    away = [device for device in trial.workload.devices if device.name in {"device0", "device2"}]
    before = [device.observer.unrecovered for device in away]
    for device in away:
        await device.device.pause()
    await trial.workload.wait_for_sends(3 * HISTORY, within=60)
    for device in away:
        await device.device.resume()
    await trial.workload.run_for(2)
    trial.require(
        all(d.observer.unrecovered > n for d, n in zip(away, before, strict=True)),
        "a device recovered what it had missed: the history was not overrun",
    )


@fault("poison in the outbox", rest_within=15, silence_within=2, is_about_realtime=True)
async def poison_outbox(trial: Trial) -> None:
    """Every partition gets rows that cannot be published: the rows behind them are not delayed."""
    for device in trial.workload.devices:
        device.observer.delays.clear()
    channel = {"channels": ["nowhere:user0"], "data": {"type": "?"}}
    poison = [
        ("no_such_method", json.dumps(channel)),
        ("broadcast", json.dumps(channel)),
        ("broadcast", json.dumps({"channels": "personal:user0", "data": 1})),
        ("broadcast", json.dumps({"channels": ["personal:~"], "data": {"type": "?"}})),
        ("publish", json.dumps({"channel": "", "data": {}})),
    ]
    for _ in range(6):
        await trial.workload.run_for(1)
        for method, payload in poison:
            await trial.stand.fetch(
                "INSERT INTO chat_outbox (method, payload, partition, created_at)"
                " SELECT %s, %s, partition, now() FROM generate_series(0, 7) partition",
                [method, payload],
            )
    slowest = max(max(device.observer.delays) for device in trial.workload.devices)
    trial.require(slowest < 1, f"what was behind poison came after {slowest:.1f} s")


@fault("device that does not read", rest_within=20, silence_within=2, is_about_realtime=True)
async def stop_reading(trial: Trial) -> None:
    """A device stops reading while 12 MB are sent to it: it is closed, others are not affected.

    The other devices receive events at most twice as late as while that device reads, or in 0.1 s.
    """
    workload, stand = trial.workload, trial.stand
    others = list(workload.devices)
    room = await workload.create_room("long texts", ["user10"])
    workload.all_rooms.append(room)
    link = await stand.open_link(("127.0.0.1", stand.realtime_port))
    url = f"ws://127.0.0.1:{link.port}/connection/websocket"
    slow = await workload.connect_device("slow", "user10", url)
    subscriptions = slow.observer.subscriptions
    usual = await _measure_delays(trial, room, "read", others)
    link.half_open("server")
    late = await _measure_delays(trial, room, "not read", others)
    trial.require(
        late <= max(2 * usual, 0.1),
        f"others had events after {late:.3f} s, not after {usual:.3f} s",
    )
    await workload.run_for(3)
    link.pass_through()
    async with asyncio.timeout(30):
        while slow.observer.subscriptions == subscriptions:
            await workload.run_for(0.1)


async def _measure_delays(
    trial: Trial, room: int, name: str, others: list[RecordedDevice]
) -> float:
    """Send a device 12 MB; return the delay that 99 % of the others' events did not exceed."""
    for device in others:
        device.observer.delays.clear()
    await trial.workload.import_messages(room, "user10", name, count=3000, length=4000)
    await trial.wait_until_current(others)
    delays = [delay for device in others for delay in device.observer.delays]
    return find_percentile(delays, 99)
