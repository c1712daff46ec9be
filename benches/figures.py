"""A figure, its limit, its bar and the verdict: one row of the table."""

import statistics
from collections.abc import Sequence

import msgspec

from benches.traffic import Cost, Run


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One measured path.

    `figure` and `limit` have the unit `unit`. `measure` is what the bar judges: a ratio, or the
    figure itself where the bar is absolute. Without a bar the row is for information.
    """

    path: str
    figure: float
    unit: str
    limit: float | None = None
    limit_name: str = ""
    measure: float | None = None
    measure_unit: str = "×"
    bar: str = ""
    is_met: bool | None = None
    cost: Cost | None = None
    lost: int | None = None
    doubled: int | None = None

    @property
    def verdict(self) -> str:
        """`met`, `missed`, or nothing where there is no bar."""
        return {None: "", True: "met", False: "missed"}[self.is_met]


class Bar(msgspec.Struct, frozen=True):
    """What a measure has to reach, or may not exceed."""

    value: float
    is_least: bool = False

    def is_met_by(self, measure: float) -> bool:
        """Return whether the measure meets the bar."""
        return measure >= self.value if self.is_least else measure <= self.value

    def describe(self, unit: str) -> str:
        """Return the bar as text."""
        return f"{'≥' if self.is_least else '≤'} {self.value:g} {unit}"


def compare(
    path: str, ours: Sequence[float], limit: Sequence[float], limit_name: str, unit: str = "ms"
) -> Row:
    """Return the row of a path's runs beside those of its limit: the medians, without a verdict."""
    return Row(
        path=path, figure=median(ours), unit=unit, limit=median(limit), limit_name=limit_name
    )


def judge(row: Row, measure: float, bar: Bar, unit: str = "×") -> Row:
    """Return the row with this measure and the verdict."""
    return msgspec.structs.replace(
        row,
        measure=measure,
        measure_unit=unit,
        bar=bar.describe(unit),
        is_met=bar.is_met_by(measure),
    )


def judge_figure(row: Row, bar: Bar) -> Row:
    """Return the row with the verdict on its figure itself."""
    return msgspec.structs.replace(
        row, bar=bar.describe(row.unit), is_met=bar.is_met_by(row.figure)
    )


def with_cost(row: Row, cost: Cost) -> Row:
    """Return the row with what one message or request cost."""
    return msgspec.structs.replace(row, cost=cost)


def with_runs(row: Row, runs: Sequence[Run]) -> Row:
    """Return the row with what these runs cost, lost and doubled."""
    doubled = sum(run.delivery.doubled + run.delivery.strayed for run in runs)
    return msgspec.structs.replace(
        row,
        cost=median_cost([run.cost for run in runs]),
        lost=sum(run.delivery.lost for run in runs),
        doubled=doubled,
    )


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def quantile(values: Sequence[float], part: float) -> float:
    """Return the value below which this part of the values lies."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)]


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the ratios of each pair; the two of a pair ran one after the other."""
    return median([a / b for a, b in zip(ours, theirs, strict=True)])


def median_cost(costs: Sequence[Cost]) -> Cost:
    """Return the median of each part."""
    return Cost(
        api=median([cost.api for cost in costs]),
        postgres=median([cost.postgres for cost in costs]),
        realtime=median([cost.realtime for cost in costs]),
        generator=median([cost.generator for cost in costs]),
    )
