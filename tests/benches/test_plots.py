"""The plots of the benchmarks are well-formed and draw what was measured."""

from xml.etree import ElementTree as ET

from benches.curves import Bars, Stack, make_curve
from benches.plots import draw_bars, draw_curve

SVG = "{http://www.w3.org/2000/svg}"


def test_a_curve_rises_where_the_figures_rise() -> None:
    """A greater figure is drawn higher, a tenfold size as far to the right each time."""
    points = [(10.0, 1.0), (100.0, 2.0), (1000.0, 4.0)]
    curve = make_curve("name", "A < B & C", ("size", "ms"), list_rooms=points)
    drawn = ET.fromstring(draw_curve(curve))

    circles = [
        (float(found.attrib["cx"]), float(found.attrib["cy"]))
        for found in drawn.iter(f"{SVG}circle")
    ]
    (x1, y1), (x2, y2), (x3, y3) = circles
    assert x2 - x1 == x3 - x2 > 0
    assert y1 > y2 > y3
    assert abs((y1 - y3) / (y1 - y2) - 3) < 0.01
    texts = [found.text for found in drawn.iter(f"{SVG}text")]
    assert {"A < B & C", "list rooms", "size", "ms", "1,000"} <= set(texts)


def test_bars_are_as_long_as_their_parts() -> None:
    """The parts of a bar lie beside each other, each as wide as its figure."""
    stacks = [Stack("ours", {"API": 1.0, "SQL": 3.0}), Stack("limit", {"SQL": 2.0})]
    drawn = ET.fromstring(draw_bars(Bars("name", "Title", "ms", stacks)))

    rects = [found.attrib for found in drawn.iter(f"{SVG}rect") if found.get("height") == "26"]
    api, sql, limit = (float(found["width"]) for found in rects)
    assert abs(sql / api - 3) < 0.01
    assert abs(limit / api - 2) < 0.01
    assert abs(float(rects[0]["x"]) + api - float(rects[1]["x"])) < 0.2
