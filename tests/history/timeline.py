"""What was known at a given time, found by a binary search."""

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable
from itertools import accumulate
from math import inf
from typing import Any

Point = tuple[float, int, str]


class RisingValue:
    """A value that only rises, such as the last seq that was acknowledged; 0 at first."""

    def __init__(self, raised: Iterable[tuple[float, int]]) -> None:
        ordered = sorted(raised)
        self._times = [at for at, _ in ordered]
        self._values = [0, *accumulate((value for _, value in ordered), max)]

    def before(self, at: float) -> int:
        """Return the value that it had just before a time."""
        return self._values[bisect_left(self._times, at)]


def count_points(points: Iterable[Point], queries: list[Point]) -> list[int]:
    """Count, for each query (until, above, user), the points (when, seq, owner) that match it.

    A point matches with when <= until and seq > above, if it is not the user's own. This is one
    pass over both in the order of time, with the seqs so far kept sorted.
    """
    waiting = sorted(points, reverse=True)
    everyones: list[int] = []
    own: defaultdict[Any, list[int]] = defaultdict(list)
    counts = [0] * len(queries)
    for until, n in sorted((query[0], n) for n, query in enumerate(queries)):
        while waiting and waiting[-1][0] <= until:
            _, seq, owner = waiting.pop()
            insort(everyones, seq)
            insort(own[owner], seq)
        _, above, user = queries[n]
        mine = own[user]
        counts[n] = (
            len(everyones) - bisect_right(everyones, above) - len(mine) + bisect_right(mine, above)
        )
    return counts


class FirstAfter:
    """The least of the values with a time after a given one; infinity if there is none."""

    def __init__(self, points: Iterable[tuple[float, int]]) -> None:
        ordered = sorted(points, reverse=True)
        self._times = [at for at, _ in reversed(ordered)]
        self._values: list[float] = [inf, *accumulate((value for _, value in ordered), min)]

    def after(self, at: float) -> float:
        """Return the least value with a later time."""
        return self._values[len(self._times) - bisect_right(self._times, at)]
