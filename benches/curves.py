"""Curves and bars for the plots: how a cost grows with the size of something."""

from collections.abc import Sequence

import msgspec


class Series(msgspec.Struct, frozen=True):
    """A line of a plot."""

    name: str
    points: list[tuple[float, float]]


class Curve(msgspec.Struct, frozen=True):
    """A plot with a logarithmic x axis; `name` is the name of its file."""

    name: str
    title: str
    x_label: str
    y_label: str
    series: list[Series]


class Stack(msgspec.Struct, frozen=True):
    """A bar that is made of parts, in the order given."""

    name: str
    parts: dict[str, float]


class Bars(msgspec.Struct, frozen=True):
    """A plot of such bars, one below the other."""

    name: str
    title: str
    x_label: str
    stacks: list[Stack]


def make_curve(
    name: str, title: str, labels: tuple[str, str], **series: Sequence[tuple[float, float]]
) -> Curve:
    """Return a curve; in the names of the series, `_` stands for a space."""
    lines = [Series(key.replace("_", " "), list(points)) for key, points in series.items()]
    return Curve(name, title, *labels, lines)
