"""Connections between clients, the API and PostgreSQL that are slow, silent or cut."""

import asyncio
import time

from tests.faults.lock_faults import send_until
from tests.rig.fault import fault
from tests.rig.trial import Trial, find_percentile

CROWD = 40
LARGEST_CALL = """
SELECT max(count) AS messages FROM (SELECT count(*) FROM chat_message GROUP BY xmin) AS written
"""


@fault(
    "answer to the client swallowed",
    rest_within=10,
    silence_within=2,
    is_between_clients_and_api=True,
)
async def swallow_api_answers(trial: Trial) -> None:
    """Three in ten answers do not reach the client, which repeats: each message is stored once."""
    for link in trial.stand.api_links:
        link.swallow_responses(probability=0.3, seed=trial.random.randrange(1000))
    await trial.workload.run_for(8)
    for link in trial.stand.api_links:
        link.pass_through()
        trial.require(link.counts.swallowed > 0, "no answer was swallowed")


@fault("answer of the commit swallowed", rest_within=10, silence_within=3)
async def swallow_commits(trial: Trial) -> None:
    """The API does not get the answer to a commit and repeats the call with the same key."""
    trial.stand.api_database.swallow_responses(probability=0.1, seed=trial.random.randrange(1000))
    await trial.workload.run_for(8)
    trial.stand.api_database.pass_through()
    trial.require(trial.stand.api_database.counts.swallowed > 0, "no answer was swallowed")


@fault("connection lost at a batch's commit", rest_within=15, silence_within=3)
async def lose_batches(trial: Trial) -> None:
    """Forty more users send to one room at once, so that the API writes many messages in a call.

    One in five connections to PostgreSQL ends when the call was committed and before its answer
    arrives. The API repeats the call, and each message is stored once.
    """
    ends = time.monotonic() + 8
    crowd = [asyncio.create_task(_keep_sending(trial, n, ends)) for n in range(CROWD)]
    trial.stand.api_database.swallow_responses(probability=0.2, seed=trial.random.randrange(1000))
    await trial.workload.run_for(8)
    trial.stand.api_database.pass_through()
    await asyncio.gather(*crowd)
    swallowed = trial.stand.api_database.counts.swallowed
    trial.require(swallowed > 20, f"{swallowed} answers were swallowed")
    (row,) = await trial.stand.fetch(LARGEST_CALL)
    trial.require(row["messages"] >= 8, f"at most {row['messages']} messages were in one call")


async def _keep_sending(trial: Trial, n: int, ends: float) -> None:
    """Send one message after the other, each until it is answered, until the time ends."""
    count = 0
    while (left := ends - time.monotonic()) > 0:
        await send_until(trial, n + CROWD * count, left)
        count += 1


@fault("client connections cut", rest_within=10, silence_within=2, is_between_clients_and_api=True)
async def cut_clients(trial: Trial) -> None:
    """Answers of one worker, then of the other, are cut in the middle or before the first byte."""
    for turn in range(16):
        cut, whole = trial.stand.api_links[:: 1 if turn % 2 else -1]
        whole.pass_through()
        cut.cut_after(trial.random.choice([0, 1, 50, 300, 2000]), reset=trial.random.random() < 0.5)
        await trial.workload.run_for(0.5)
    for link in trial.stand.api_links:
        link.pass_through()
        trial.require(link.counts.cut > 0, "no answer was cut")


@fault("client link half-open", rest_within=10, silence_within=9, is_between_clients_and_api=True)
async def half_open_clients(trial: Trial) -> None:
    """The clients of one worker receive nothing for three seconds, then those of the other."""
    for api in trial.workload.apis.values():
        api.patience = 2
    before = trial.count_failures()
    for link in trial.stand.api_links:
        link.half_open()
        await trial.workload.run_for(3)
        link.pass_through()
        link.reset()
    for api in trial.workload.apis.values():
        api.patience = 8
    trial.require_failures(before)


@fault("database connections reset", rest_within=10, silence_within=3)
async def reset_database(trial: Trial) -> None:
    """Every connection between API and PostgreSQL is reset twenty times, at any moment."""
    for _ in range(20):
        await trial.workload.run_for(trial.random.uniform(0.1, 0.5))
        trial.stand.api_database.reset()
    trial.require(trial.stand.api_database.counts.reset >= 20, "few connections were reset")


@fault("database connections cut", rest_within=10, silence_within=4)
async def cut_database(trial: Trial) -> None:
    """For eight seconds the answers of PostgreSQL are cut in the middle."""
    for _ in range(16):
        trial.stand.api_database.cut_after(
            trial.random.randrange(1, 4000), reset=trial.random.random() < 0.5
        )
        await trial.workload.run_for(0.5)
    trial.stand.api_database.pass_through()
    trial.require(trial.stand.api_database.counts.cut > 0, "no answer was cut")


@fault("database slow", rest_within=10, silence_within=3)
async def delay_database(trial: Trial) -> None:
    """Every packet between the API and PostgreSQL takes 150 ± 100 ms longer, each way."""
    trial.take_answer_times()
    trial.stand.api_database.delay(0.15, 0.1, seed=trial.random.randrange(1000))
    await trial.workload.run_for(8)
    usual = find_percentile(trial.take_answer_times(), 50)
    trial.require(usual > 0.2, f"most answers came within {usual:.2f} s: nothing was delayed")
    trial.stand.api_database.pass_through()


@fault("database half-open", rest_within=15, silence_within=15)
async def half_open_database(trial: Trial) -> None:
    """No answer of PostgreSQL arrives for eight seconds: 503 within five, nothing is doubled."""
    before = trial.count_failures()
    trial.stand.api_database.half_open()
    await trial.workload.run_for(8)
    trial.require_failures(before)
    trial.stand.api_database.pass_through()
    await trial.workload.wait_for_sends(40, within=20)


@fault("database in a black hole", rest_within=15, silence_within=15)
async def black_hole_database(trial: Trial) -> None:
    """For eight seconds what the API and PostgreSQL send each other is lost without a sign."""
    before = trial.count_failures()
    trial.stand.api_database.black_hole()
    await trial.workload.run_for(8)
    trial.require_failures(before)
    trial.stand.api_database.pass_through()
    await trial.workload.wait_for_sends(40, within=20)


@fault("realtime's database reset", rest_within=10, silence_within=2, is_about_realtime=True)
async def reset_realtime_database(trial: Trial) -> None:
    """The realtime server loses its database connections twenty times: the order is kept."""
    for _ in range(20):
        await trial.workload.run_for(trial.random.uniform(0.1, 0.4))
        trial.stand.realtime_database.reset()
    trial.require(trial.stand.realtime_database.counts.reset >= 20, "few connections were reset")


@fault(
    "realtime's database in a black hole", rest_within=20, silence_within=2, is_about_realtime=True
)
async def black_hole_realtime_database(trial: Trial) -> None:
    """The realtime server gets no data for ten seconds, then its connections end: sends go on."""
    trial.stand.realtime_database.black_hole()
    await trial.workload.run_for(10)
    await trial.require_devices_cut_off()
    trial.stand.realtime_database.pass_through()
    trial.stand.realtime_database.reset()


@fault("devices half-open", rest_within=15, silence_within=2, is_about_realtime=True)
async def half_open_devices(trial: Trial) -> None:
    """For ten seconds no data reaches a device and no connection closes: then all arrives."""
    trial.stand.device_link.half_open()
    await trial.workload.run_for(10)
    await trial.require_devices_cut_off()
    trial.stand.device_link.pass_through()


@fault("devices in a black hole", rest_within=15, silence_within=2, is_about_realtime=True)
async def black_hole_devices(trial: Trial) -> None:
    """What is sent to the devices is lost for eight seconds, then their connections end."""
    trial.stand.device_link.black_hole()
    await trial.workload.run_for(8)
    await trial.require_devices_cut_off()
    trial.stand.device_link.pass_through()
    trial.stand.device_link.reset()


@fault("devices reset", rest_within=15, silence_within=2, is_about_realtime=True)
async def reset_devices(trial: Trial) -> None:
    """All devices lose their connection twelve times, also while they connect again."""
    for _ in range(12):
        await trial.workload.run_for(trial.random.uniform(0.2, 1))
        trial.stand.device_link.reset()
    trial.require(trial.stand.device_link.counts.reset >= 24, "few connections were reset")
