"""One send at a time: how long it takes to be acknowledged, and to arrive everywhere."""

from datetime import datetime

from benches.bench import Bench
from benches.figures import Bar, Row, compare, judge, judge_figure, median, quantile, with_runs
from benches.seed import seed_rooms
from benches.traffic import Devices, Run, Traffic

PER_SECOND = 50.0


def measure(bench: Bench) -> list[Row]:
    """Return the rows of a lone send and of its arrival."""
    return [_measure_latency(bench), *_measure_arrival(bench)]


def _measure_latency(bench: Bench) -> Row:
    pgbench, _ = bench.limit
    with bench.only(bench.ours):
        traffic = bench.enter(Traffic(bench.enter(Devices(bench.ours, bench.rooms)), senders=1))
        traffic.run(0.5)
    runs: list[Run] = []
    alone: list[float] = []
    for number in range(bench.rounds):
        bench.say(f"lone sends, round {number + 1} of {bench.rounds}")
        with bench.only(bench.ours):
            runs.append(traffic.run(bench.seconds / 2))
        with bench.only(None):
            limit = pgbench.send(bench.rooms, bench.seconds / 2, hot=False, clients=1)
            alone.append(limit.latency_ms)
    ours = [median(run.answers.latencies) for run in runs]
    row = compare("lone send: acknowledged, p50", ours, alone, "the function")
    more = median([a - b for a, b in zip(ours, alone, strict=True)])
    return with_runs(judge(row, more, Bar(1.0), "ms more"), runs)


def _measure_arrival(bench: Bench) -> list[Row]:
    bench.say("arrival at 20 devices")
    rooms = bench.seed(
        lambda connection: seed_rooms(connection, "d", count=5, members=20, listening=20)
    )
    with (
        bench.only(bench.ours),
        Devices(bench.ours, rooms) as devices,
        Traffic(devices, senders=4) as traffic,
    ):
        traffic.run(1.0, per_second=PER_SECOND)
        run = traffic.run(bench.seconds * 2, per_second=PER_SECOND)
    since = _since_commit(run)
    row = Row(path="50 sends/s: commit to the last of 20, p50", figure=median(since), unit="ms")
    return [
        with_runs(judge_figure(row, Bar(3.0)), [run]),
        Row(
            path="50 sends/s: commit to the last of 20, p99",
            figure=quantile(since, 0.99),
            unit="ms",
        ),
        Row(
            path="50 sends/s: request to the last of 20, p50",
            figure=median(run.until_everywhere),
            unit="ms",
        ),
    ]


def _since_commit(run: Run) -> list[float]:
    """Return for each message the ms from `created_at` to the arrival at the last device.

    `created_at` is written in the transaction, so this is longer than from the commit.
    """
    last = run.delivery.last_arrivals
    return [
        (last[message.id] + run.clock_offset) / 1e6
        - datetime.fromisoformat(message.created_at).timestamp() * 1000
        for message in run.messages
        if message.id in last
    ]
