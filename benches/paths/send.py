"""Sends into 100 rooms and into one, beside PostgreSQL alone, a bare API and another commit."""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial

from benches.bench import Bench
from benches.curves import Bars, Stack
from benches.figures import (
    Bar,
    Row,
    compare,
    judge,
    median,
    median_cost,
    median_ratio,
    with_cost,
    with_runs,
)
from benches.installation import Installation
from benches.pgbench import BATCH, CLIENTS, Limit
from benches.traffic import Cost, Devices, Run, Traffic

CPU_BARS = {"centrifugo": 2.0, "gateway": 2.3}
PATH = "send, 100 rooms of 20"


def measure(bench: Bench) -> list[Row]:
    """Return the rows of sending."""
    runs, limits = _run_rounds(bench)
    bench.bars.append(_make_bars(bench, runs, limits))
    rows = [_cpu_row(bench, runs["ours"], limits["single"])]
    rows += [_api_row(runs["ours"], runs["reference"])]
    rows += _rate_rows(bench, runs)
    rows += [_hot_row(runs), _function_row(limits)]
    rows += [_limit_row(name, found) for name, found in limits.items()]
    return [*rows, _measure_disk(bench), _measure_log(bench)]


def _run_rounds(bench: Bench) -> tuple[dict[str, list[Run]], dict[str, list[Limit]]]:
    """Run every kind of traffic once in each round, in one order and then in the other."""
    runs: dict[str, list[Run]] = defaultdict(list)
    limits: dict[str, list[Limit]] = defaultdict(list)
    sides = _connect(bench)

    def add_run(name: str) -> None:
        installation, traffic = sides[name]
        with bench.only(installation):
            runs[name].append(traffic.run(bench.seconds))

    def add_limit(name: str, batch: int, clients: int, *, hot: bool) -> None:
        pgbench, _ = bench.limit
        seconds = bench.seconds if name == "single" else bench.seconds / 2
        with bench.only(None):
            found = pgbench.send(bench.rooms, seconds, hot=hot, batch=batch, clients=clients)
            limits[name].append(found)

    steps = [
        partial(add_limit, "single", 1, CLIENTS, hot=False),
        *(partial(add_run, name) for name in sides),
        partial(add_limit, "single hot", 1, CLIENTS, hot=True),
        partial(add_limit, "batch hot", BATCH, 2, hot=True),
        partial(add_limit, "batch", BATCH, 2, hot=False),
    ]
    for number in range(bench.rounds):
        bench.say(f"sends, round {number + 1} of {bench.rounds}")
        for step in steps:
            step()
        steps.reverse()
    return runs, limits


def _connect(bench: Bench) -> dict[str, tuple[Installation, Traffic]]:
    """Return each kind of traffic, warmed up; those that are compared are near each other."""
    _, reference = bench.limit
    installations = {"ours": bench.ours, "reference": reference}
    if bench.before:
        installations = {"ours": bench.ours, "before": bench.before, "reference": reference}
    found: dict[str, tuple[Installation, Traffic]] = {}
    hot: dict[str, tuple[Installation, Traffic]] = {}
    for name, installation in installations.items():
        with bench.only(installation):
            is_heard = installation is not reference
            devices = bench.enter(Devices(installation, bench.rooms, is_heard=is_heard))
            found[name] = installation, bench.enter(Traffic(devices))
            found[name][1].run(1.0)
            if is_heard:
                hot[f"{name} hot"] = installation, bench.enter(Traffic(devices, only=1))
                hot[f"{name} hot"][1].run(1.0)
    return hot | found


def _cpu_row(bench: Bench, runs: Sequence[Run], limits: Sequence[Limit]) -> Row:
    costs = [run.cost.total for run in runs]
    limit = [found.cpu_ms for found in limits]
    row = compare(f"{PATH}: CPU of everything", costs, limit, "pgbench, 1 send a call")
    bar = Bar(CPU_BARS[bench.realtime])
    return with_runs(judge(row, median_ratio(costs, limit), bar), runs)


def _api_row(runs: Sequence[Run], reference: Sequence[Run]) -> Row:
    ours, bare = ([run.cost.api for run in found] for found in (runs, reference))
    row = compare(f"{PATH}: CPU of the API", ours, bare, "bare ASGI")
    return judge(row, median_ratio(ours, bare), Bar(1.3))


def _rate_rows(bench: Bench, runs: dict[str, list[Run]]) -> list[Row]:
    rates = [run.rate for run in runs["ours"]]
    path = f"{PATH}: acknowledged"
    if not bench.before:
        return [Row(path=path, figure=median(rates), unit="/s")]
    name = bench.before.code.name
    before = [run.rate for run in runs["before"]]
    row = compare(path, rates, before, f"commit {name}", "/s")
    first = judge(row, median_ratio(rates, before), Bar(2.5, is_least=True))
    costs = [run.cost.total for run in runs["before"]]
    second = Row(path=f"{name}: {PATH}: CPU of everything", figure=median(costs), unit="ms")
    hot = runs["before hot"]
    third = Row(
        path=f"{name}: hot room: acknowledged",
        figure=median([run.rate for run in hot]),
        unit="/s",
    )
    return [first, with_runs(second, runs["before"]), with_runs(third, hot)]


def _hot_row(runs: dict[str, list[Run]]) -> Row:
    hot, many = ([run.rate for run in runs[name]] for name in ("ours hot", "ours"))
    row = compare("hot room of 20, 32 senders: acknowledged", hot, many, "100 rooms", "/s")
    return with_runs(judge(row, median_ratio(hot, many), Bar(1.2, is_least=True)), runs["ours hot"])


def _function_row(limits: dict[str, list[Limit]]) -> Row:
    batch, single = ([found.rate for found in limits[name]] for name in ("batch hot", "single hot"))
    path = f"the function, {BATCH} sends a call, one room"
    row = compare(path, batch, single, "pgbench, 1 send a call", "/s")
    return judge(row, median_ratio(batch, single), Bar(3, is_least=True))


LIMITS = {
    "single": "PostgreSQL alone, 1 send a call, 100 rooms",
    "batch": f"PostgreSQL alone, {BATCH} sends a call, 100 rooms",
    "single hot": "PostgreSQL alone, 1 send a call, one room",
    "batch hot": f"PostgreSQL alone, {BATCH} sends a call, one room",
}


def _limit_row(name: str, limits: Sequence[Limit]) -> Row:
    cost = median([found.cpu_ms for found in limits])
    row = Row(path=LIMITS[name], figure=median([found.rate for found in limits]), unit="/s")
    return with_cost(row, Cost(postgres=cost))


def _make_bars(bench: Bench, runs: dict[str, list[Run]], limits: dict[str, list[Limit]]) -> Bars:
    named = {"this commit": "ours", "this commit, hot room": "ours hot"}
    if bench.before:
        named |= {bench.before.code.name: "before", f"{bench.before.code.name}, hot": "before hot"}
    stacks = []
    for name, key in named.items():
        cost = median_cost([run.cost for run in runs[key]])
        parts = {"API": cost.api, "PostgreSQL": cost.postgres, "realtime": cost.realtime}
        stacks.append(Stack(name, parts))
    for key, name in {
        "single": "PostgreSQL alone, 1 a call",
        "batch": f"…, {BATCH} a call",
    }.items():
        cost_ms = median([found.cpu_ms for found in limits[key]])
        stacks.append(Stack(name, {"PostgreSQL": cost_ms}))
    return Bars("sends", "What a message costs", "CPU ms for a message, generator excluded", stacks)


def _measure_disk(bench: Bench) -> Row:
    with bench.ours.connect() as connection:
        row = connection.execute(
            "SELECT (pg_total_relation_size('chat_message') + pg_total_relation_size('chat_event'))"
            " / greatest((SELECT count(*) FROM chat_message), 1)"
        ).fetchone()
    size = float(str(row[0])) if row else 0.0
    return Row(path="disk of a message, its event, their indexes", figure=size, unit="B")


def _measure_log(bench: Bench) -> Row:
    """Measure what a message adds to PostgreSQL's write-ahead log, its publication included."""
    with (
        bench.only(bench.ours),
        Devices(bench.ours, bench.rooms) as devices,
        Traffic(devices) as traffic,
        bench.ours.connect() as connection,
    ):
        before = connection.execute("SELECT pg_current_wal_lsn()").fetchone()
        count = len(traffic.run(bench.seconds / 2).messages)
        row = connection.execute(
            "SELECT pg_current_wal_lsn() - %s::pg_lsn", [before[0] if before else None]
        ).fetchone()
    size = float(str(row[0])) if row else 0.0
    return Row(path="log of a message, for disks and standbys", figure=size / count, unit="B")
