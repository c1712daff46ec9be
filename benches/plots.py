"""Plots as SVG, written by hand: lines over a logarithmic axis, and bars made of parts."""

import math
from collections.abc import Iterator
from html import escape

from benches.curves import Bars, Curve
from benches.table import format_number

WIDTH, HEIGHT = 640, 340
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 52, 52
INK, GRID = "#24292f", "#d8dee4"
COLORS = ("#0969da", "#bc4c00", "#1a7f37", "#8250df")
FONT = "font-family='system-ui,-apple-system,Segoe UI,sans-serif'"


def draw_curve(curve: Curve) -> str:
    """Return the plot; the x axis is logarithmic, the y axis begins at zero."""
    points = [point for series in curve.series for point in series.points]
    low, high = (math.log10(pick(max(x, 1) for x, _ in points)) for pick in (min, max))
    top = _round_up(max(y for _, y in points))

    def place(x: float, y: float) -> tuple[float, float]:
        along = (math.log10(max(x, 1)) - low) / ((high - low) or 1)
        return (
            LEFT + along * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM),
        )

    lines = [_text(16, 22, curve.title, size=15, weight=600)]
    for n in range(5):
        y = place(1, top * n / 4)[1]
        label = format_number(top * n / 4)
        lines += [_line(LEFT, y, WIDTH - RIGHT, y, GRID), _text(LEFT - 8, y + 4, label, "end")]
    lines += [
        _text(place(x, 0)[0], HEIGHT - BOTTOM + 18, _shorten(x), "middle")
        for x in sorted({x for x, _ in points})
    ]
    lines.append(_text((LEFT + WIDTH) / 2, HEIGHT - 10, curve.x_label, "middle"))
    lines.append(_text(WIDTH - RIGHT, 42, curve.y_label, "end"))
    for number, series in enumerate(curve.series):
        color = COLORS[number % len(COLORS)]
        places = [place(*point) for point in sorted(series.points)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        lines.append(f"<polyline points='{path}' fill='none' stroke='{color}' stroke-width='2'/>")
        lines += [f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3.5' fill='{color}'/>" for x, y in places]
        lines += _legend(number, series.name, color)
    return _wrap(HEIGHT, lines)


def draw_bars(bars: Bars) -> str:
    """Return the plot: a horizontal bar for each stack, its parts in their colours."""
    left, step = 210, 44
    height = TOP + step * len(bars.stacks) + 46
    most = max(sum(stack.parts.values()) for stack in bars.stacks)
    scale = (WIDTH - left - 76) / most
    colors = dict(zip(_part_names(bars), COLORS, strict=False))
    lines = [_text(16, 22, bars.title, size=15, weight=600)]
    for number, (name, color) in enumerate(colors.items()):
        lines += _legend(number, name, color, left=left)
    for number, stack in enumerate(bars.stacks):
        x, y = float(left), TOP + step * number + 8
        lines.append(_text(left - 10, y + 18, stack.name, "end"))
        for name, value in stack.parts.items():
            size = value * scale
            lines.append(
                f"<rect x='{x:.1f}' y='{y}' width='{size:.1f}' height='26' fill='{colors[name]}'/>"
            )
            x += size
        lines.append(_text(x + 8, y + 18, format_number(sum(stack.parts.values())), weight=600))
    lines.append(_text(left, height - 14, bars.x_label))
    return _wrap(height, lines)


def _part_names(bars: Bars) -> list[str]:
    return list(dict.fromkeys(name for stack in bars.stacks for name in stack.parts))


def _legend(number: int, name: str, color: str, left: int = LEFT) -> Iterator[str]:
    x = left + number * 120
    yield f"<rect x='{x}' y='34' width='10' height='10' fill='{color}'/>"
    yield _text(x + 15, 43, name)


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 4, 5, 8, 10 times a power of ten: its quarters are short."""
    power: float = 10 ** math.floor(math.log10(value or 1))
    return next(power * step for step in (1, 2, 4, 5, 8, 10) if power * step >= value)


def _shorten(value: float) -> str:
    return f"{value / 1000:g}k" if value < 1_000_000 and value >= 10_000 else f"{value:,.0f}"


def _line(x: float, y: float, to_x: float, to_y: float, color: str) -> str:
    return f"<line x1='{x:.1f}' y1='{y:.1f}' x2='{to_x:.1f}' y2='{to_y:.1f}' stroke='{color}'/>"


def _text(
    x: float, y: float, text: str, anchor: str = "start", *, size: int = 12, weight: int = 400
) -> str:
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' font-size='{size}' "
        f"font-weight='{weight}' fill='{INK}'>{escape(text)}</text>"
    )


def _wrap(height: int, lines: list[str]) -> str:
    head = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' "
        f"width='{WIDTH}' height='{height}' {FONT}>"
    )
    ground = f"<rect width='{WIDTH}' height='{height}' rx='8' fill='#ffffff'/>"
    return "\n".join([head, ground, *lines, "</svg>", ""])
