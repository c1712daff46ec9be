"""A figure, its limit, its bar and the verdict: one row of the table."""

import statistics
from collections.abc import Sequence

import msgspec

from benches.traffic import Cost


class Row(msgspec.Struct, frozen=True):
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
    bar: str = ""
    is_met: bool | None = None
    cost: Cost | None = None
    lost: int | None = None
    doubled: int | None = None
    other: str = ""

    @property
    def verdict(self) -> str:
        """`met`, `missed`, or nothing where there is no bar."""
        return {None: "", True: "met", False: "missed"}[self.is_met]


def at_most(bar: float, unit: str = "") -> tuple[float, str]:
    """Return a bar that the measure may not exceed."""
    return -bar, f"≤ {bar:g}{unit}"


def at_least(bar: float, unit: str = "") -> tuple[float, str]:
    """Return a bar that the measure must reach."""
    return bar, f"≥ {bar:g}{unit}"


def judge(measure: float, bar: tuple[float, str]) -> bool:
    """Return whether the measure meets the bar."""
    limit, _ = bar
    return measure <= -limit if limit < 0 else measure >= limit


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
