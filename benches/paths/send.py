"""Sends into 100 rooms and into one, beside PostgreSQL alone and beside another commit."""

from dataclasses import dataclass, field

from benches.bench import Bench
from benches.figures import Row, at_least, at_most, judge, median, median_cost, median_ratio
from benches.pgbench import BATCH, Limit
from benches.traffic import Devices, Run, Traffic

CPU_BARS = {"centrifugo": 2.0, "gateway": 2.3}


@dataclass(slots=True)
class _Rounds:
    """The runs of each kind, one of each in a round."""

    many: list[Run] = field(default_factory=list)
    hot: list[Run] = field(default_factory=list)
    before: list[Run] = field(default_factory=list)
    before_hot: list[Run] = field(default_factory=list)
    limit: list[Limit] = field(default_factory=list)
    limit_hot: list[Limit] = field(default_factory=list)
    batch_hot: list[Limit] = field(default_factory=list)
    batch_many: list[Limit] = field(default_factory=list)


def measure(bench: Bench) -> list[Row]:
    """Return the rows of sending."""
    rounds = _Rounds()
    _run_rounds(bench, rounds)
    return [
        _cpu_row(bench, rounds),
        *_rate_rows(bench, rounds),
        _hot_row(rounds),
        _function_row(rounds),
        *_limit_rows(rounds),
    ]


def _run_rounds(bench: Bench, rounds: _Rounds) -> None:
    seconds = bench.seconds
    pairs = [(bench.ours, rounds.many, rounds.hot)]
    if bench.before:
        pairs.append((bench.before, rounds.before, rounds.before_hot))
    traffics = []
    for installation, many, hot in pairs:
        with bench.only(installation):
            devices = bench.enter(Devices(installation, bench.rooms))
            wide = bench.enter(Traffic(devices))
            narrow = bench.enter(Traffic(devices, only=1))
            wide.run(1.0)
            narrow.run(0.5)
        traffics.append((installation, wide, many, narrow, hot))
    for number in range(bench.rounds):
        bench.say(f"sends, round {number + 1} of {bench.rounds}")
        with bench.only(None):
            rounds.limit.append(bench.pgbench.send(bench.rooms, seconds, hot=False))
        for installation, wide, many, narrow, hot in traffics:
            with bench.only(installation):
                many.append(wide.run(seconds))
                hot.append(narrow.run(seconds))
        with bench.only(None):
            short = seconds / 2
            rounds.limit_hot.append(bench.pgbench.send(bench.rooms, short, hot=True))
            for kind, is_hot in ((rounds.batch_hot, True), (rounds.batch_many, False)):
                kind.append(
                    bench.pgbench.send(bench.rooms, short, hot=is_hot, batch=BATCH, clients=2)
                )


def _cpu_row(bench: Bench, rounds: _Rounds) -> Row:
    bar = at_most(CPU_BARS[bench.realtime], " ×")
    limits = [limit.cpu_ms for limit in rounds.limit]
    ratio = median_ratio([run.cost.total for run in rounds.many], limits)
    return Row(
        path="send, 100 rooms of 20: CPU of everything",
        figure=median([run.cost.total for run in rounds.many]),
        unit="ms",
        limit=median(limits),
        limit_name="pgbench, one send a call",
        measure=ratio,
        bar=bar[1],
        is_met=judge(ratio, bar),
        cost=median_cost([run.cost for run in rounds.many]),
        **_exactness(rounds.many),
    )


def _rate_rows(bench: Bench, rounds: _Rounds) -> list[Row]:
    rates = [run.rate for run in rounds.many]
    if not rounds.before:
        return [Row(path="send, 100 rooms of 20: acknowledged", figure=median(rates), unit="/s")]
    bar = at_least(2.5, " ×")
    name = bench.before.code.name if bench.before else ""
    ratio = median_ratio(rates, [run.rate for run in rounds.before])
    ours = Row(
        path="send, 100 rooms of 20: acknowledged",
        figure=median(rates),
        unit="/s",
        limit=median([run.rate for run in rounds.before]),
        limit_name=f"commit {name}",
        measure=ratio,
        bar=bar[1],
        is_met=judge(ratio, bar),
        **_exactness(rounds.many),
    )
    theirs = Row(
        path=f"the same of {name}: CPU of everything",
        figure=median([run.cost.total for run in rounds.before]),
        unit="ms",
        cost=median_cost([run.cost for run in rounds.before]),
        **_exactness(rounds.before),
    )
    hot = Row(
        path=f"one hot room of {name}: acknowledged",
        figure=median([run.rate for run in rounds.before_hot]),
        unit="/s",
        cost=median_cost([run.cost for run in rounds.before_hot]),
        **_exactness(rounds.before_hot),
    )
    return [ours, theirs, hot]


def _hot_row(rounds: _Rounds) -> Row:
    bar = at_least(1.2, " ×")
    ratio = median_ratio([run.rate for run in rounds.hot], [run.rate for run in rounds.many])
    return Row(
        path="one hot room of 20, 32 senders: acknowledged",
        figure=median([run.rate for run in rounds.hot]),
        unit="/s",
        limit=median([run.rate for run in rounds.many]),
        limit_name="100 rooms",
        measure=ratio,
        bar=bar[1],
        is_met=judge(ratio, bar),
        cost=median_cost([run.cost for run in rounds.hot]),
        **_exactness(rounds.hot),
    )


def _function_row(rounds: _Rounds) -> Row:
    bar = at_least(3, " ×")
    singles = [limit.rate for limit in rounds.limit_hot]
    ratio = median_ratio([limit.rate for limit in rounds.batch_hot], singles)
    return Row(
        path=f"the function, {BATCH} sends a call into one room",
        figure=median([limit.rate for limit in rounds.batch_hot]),
        unit="/s",
        limit=median(singles),
        limit_name="pgbench, one send a call",
        measure=ratio,
        bar=bar[1],
        is_met=judge(ratio, bar),
        other=f"PostgreSQL {median([limit.cpu_ms for limit in rounds.batch_hot]):.3f} ms a send",
    )


def _limit_rows(rounds: _Rounds) -> list[Row]:
    named = {
        "PostgreSQL alone, one send a call, 100 rooms": rounds.limit,
        f"PostgreSQL alone, {BATCH} sends a call, 100 rooms": rounds.batch_many,
        "PostgreSQL alone, one send a call, one room": rounds.limit_hot,
    }
    return [
        Row(
            path=name,
            figure=median([limit.rate for limit in limits]),
            unit="/s",
            other=f"PostgreSQL {median([limit.cpu_ms for limit in limits]):.3f} ms a send",
        )
        for name, limits in named.items()
    ]


def _exactness(runs: list[Run]) -> dict[str, int]:
    return {
        "lost": sum(run.delivery.lost for run in runs),
        "doubled": sum(run.delivery.doubled + run.delivery.strayed for run in runs),
    }
