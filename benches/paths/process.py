"""The API process: its memory after many requests, and how fast it starts."""

from benches.bench import Bench
from benches.cpu import read_memory_bytes
from benches.figures import Bar, Row, judge, judge_figure, median
from benches.seed import Rooms
from benches.sender import Template, write_send
from benches.traffic import TEXT, Reader, write_get

FEW = 1_000
STARTS = 3


def measure(bench: Bench) -> list[Row]:
    """Return the rows of the process."""
    return [_measure_start(bench), _measure_memory(bench)]


def _measure_start(bench: Bench) -> Row:
    bench.say("starts of the API")
    taken = []
    with bench.only(bench.ours):
        for _ in range(STARTS):
            bench.ours.stop_api()
            taken.append(bench.ours.start_api())
    row = Row(path="the API: start to first answer, p50", figure=median(taken), unit="s")
    return judge_figure(row, Bar(2.0))


def _measure_memory(bench: Bench) -> Row:
    """Use the process that has just started."""
    many = 5_000 if bench.is_quick else 100_000
    bench.say(f"memory of the API over {many:,} requests")
    with bench.only(bench.ours):
        reader = bench.enter(Reader(bench.ours, _write_mixture(bench, bench.rooms), senders=16))
        reader.run(60, most=FEW)
        before = read_memory_bytes(bench.ours.api.pid)
        reader.run(300, most=many - FEW)
        after = read_memory_bytes(bench.ours.api.pid)
    row = Row(
        path=f"memory of the API after {many:,} requests",
        figure=after / 1e6,
        unit="MB",
        limit=before / 1e6,
        limit_name=f"after {FEW:,}",
    )
    return judge(row, after / before, Bar(1.1))


def _write_mixture(bench: Bench, rooms: Rooms) -> list[Template]:
    """Return sends, lists and tokens of many users."""
    found = []
    for room in rooms.ids:
        user = rooms.user(room, 1)
        paths = f"/api/rooms/{room}/messages/", f"/api/rooms/{room}/", "/api/token/connection/"
        found.append(write_send(bench.ours.address, room, bench.ours.sign(user), TEXT))
        found += [write_get(bench.ours, path, user) for path in paths]
    return found
