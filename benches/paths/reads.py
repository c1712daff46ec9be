"""Lists: a user's rooms, and a room's messages at any depth."""

import json
from functools import partial
from urllib.parse import urlsplit

from benches.bench import Bench
from benches.curves import Curve, make_curve
from benches.figures import (
    Bar,
    Row,
    compare,
    judge,
    judge_figure,
    median,
    median_cost,
    median_ratio,
    with_cost,
)
from benches.http import Connection
from benches.seed import Connection as Database
from benches.seed import Rooms, seed_history, seed_rooms_of_user
from benches.sender import Template
from benches.statements import recorded
from benches.traffic import TEXT, Cost, Devices, Reader, Traffic, write_get

WARM_UP = 60
"""Requests; by then each connection has prepared the statement and PostgreSQL has its plan."""
TIMED = 150
SQL_WITHIN = {1_000: 2.0, 10_000: 15.0}
"""For a user with so many rooms: the bar, in ms."""


def measure(bench: Bench) -> list[Row]:
    """Return the rows of lists."""
    depth = 100_000 if bench.is_quick else 1_000_000
    bench.say(f"seeding the rooms of two users, and {depth:,} messages")
    bench.seed(_seed_users)
    history = bench.seed(lambda connection: seed_history(connection, depth, TEXT))
    first, deep = _write_requests(bench, history, depth)
    walk = walk_pages(bench, _user(1_000), limit=200)
    costs = _measure_costs(bench, {"walk": walk, "first": [first]})
    if not bench.is_quick:
        bench.curves += [_draw_rooms(bench), _draw_depth(bench, history, depth)]
    return [
        *(_rooms_row(bench, count) for count in SQL_WITHIN),
        _walk_row(costs, len(walk)),
        *_message_rows(bench, first, deep, depth),
        _message_cost_row(costs),
    ]


def _user(count: int) -> str:
    return f"user-with-{count}"


def _seed_users(connection: Database) -> None:
    for count in SQL_WITHIN:
        seed_rooms_of_user(connection, _user(count), count, TEXT)


def time_statements(bench: Bench, *requests: Template) -> list[list[float]]:
    """Return for each request the ms that PostgreSQL took, each time it was asked for."""
    found: list[list[float]] = [[] for _ in requests]
    with bench.only(bench.ours):
        for request in requests:
            with Reader(bench.ours, [request]) as reader:
                reader.run(30, most=WARM_UP)
        # In turns, so that all of them meet the same disturbances.
        for _ in range(bench.rounds):
            for request, all_times in zip(requests, found, strict=True):
                with (
                    Reader(bench.ours, [request]) as reader,
                    recorded(bench.ours.database_url, bench.postgres.log) as milliseconds,
                ):
                    reader.run(30, most=TIMED // bench.rounds)
                all_times.extend(milliseconds)
    return found


def walk_pages(bench: Bench, user_id: str, limit: int) -> list[Template]:
    """Return the requests for all pages of a user's rooms."""
    requests, path = [], f"/api/rooms/?limit={limit}"
    with bench.only(bench.ours), Connection(bench.ours.address) as connection:
        while path:
            requests.append(write_get(bench.ours, path, user_id))
            following = json.loads(connection.exchange(requests[-1].head)[1])["next"]
            found = urlsplit(following or "")
            path = f"{found.path}?{found.query}" if following else ""
    return requests


def _rooms_row(bench: Bench, count: int) -> Row:
    bench.say(f"50 of {count:,} rooms")
    times, *_ = time_statements(bench, write_get(bench.ours, "/api/rooms/", _user(count)))
    row = Row(path=f"GET rooms, 50 of {count:,}: SQL, p50", figure=median(times), unit="ms")
    return judge_figure(row, Bar(SQL_WITHIN[count]))


def _draw_rooms(bench: Bench) -> Curve:
    """Measure how the list of rooms grows with the rooms of its user."""
    counts = (10, 100, 1_000, 10_000)
    for count in counts:
        if count not in SQL_WITHIN:
            seed = partial(seed_rooms_of_user, user_id=_user(count), count=count, text=TEXT)
            bench.seed(seed)
    requests = [write_get(bench.ours, "/api/rooms/", _user(count)) for count in counts]
    times = time_statements(bench, *requests)
    points = [(count, median(found)) for count, found in zip(counts, times, strict=True)]
    title = "The first 50 rooms of a user with more and more rooms"
    return make_curve("rooms", title, ("rooms of the user", "SQL, ms"), list_rooms=points)


def _draw_depth(bench: Bench, history: Rooms, depth: int) -> Curve:
    """Measure how a page of messages depends on how far back it is."""
    behind = [1, 1_000, 10_000, 100_000, depth * 9 // 10]
    requests = [_write_page(bench, history, depth - count) for count in behind]
    times = time_statements(bench, *requests)
    points = [(count, median(found)) for count, found in zip(behind, times, strict=True)]
    title = f"50 messages of {depth:,}, further and further back"
    return make_curve("history", title, ("newer messages", "SQL, ms"), list_messages=points)


def _write_requests(bench: Bench, history: Rooms, depth: int) -> tuple[Template, Template]:
    """Return the requests for the first page and for one behind nine tenths of the messages."""
    newest = write_get(
        bench.ours,
        f"/api/rooms/{history.first_id}/messages/",
        history.user(history.first_id, 1),
    )
    return newest, _write_page(bench, history, depth // 10)


def _write_page(bench: Bench, history: Rooms, seq: int) -> Template:
    """Return the request for the messages before one."""
    room = history.first_id
    with bench.ours.connect() as connection:
        row = connection.execute(
            "SELECT id FROM chat_message WHERE room_id = %s AND seq = %s", [room, seq]
        ).fetchone()
    path = f"/api/rooms/{room}/messages/?before={row[0] if row else None}"
    return write_get(bench.ours, path, history.user(room, 1))


def _measure_costs(bench: Bench, requests: dict[str, list[Template]]) -> dict[str, list[Cost]]:
    """Return the cost of a lone send and of each kind of request, in turns."""
    costs: dict[str, list[Cost]] = {name: [] for name in ("send", *requests)}
    seconds = bench.seconds / 2
    with bench.only(bench.ours), Devices(bench.ours, bench.rooms) as devices:
        sender = bench.enter(Traffic(devices, senders=1))
        readers = {name: bench.enter(Reader(bench.ours, found)) for name, found in requests.items()}
        sender.run(0.5)
        for reader in readers.values():
            reader.run(30, most=WARM_UP)
        for number in range(bench.rounds):
            bench.say(f"reads, round {number + 1} of {bench.rounds}")
            costs["send"].append(sender.run(seconds).cost)
            for name, reader in readers.items():
                costs[name].append(reader.run(seconds).cost)
    return costs


def _walk_row(costs: dict[str, list[Cost]], pages: int) -> Row:
    ours = [cost.total * pages for cost in costs["walk"]]
    sends = [cost.total for cost in costs["send"]]
    row = compare(f"GET rooms, all 1,000 in {pages} pages: CPU", ours, sends, "a lone send")
    return judge(row, median_ratio(ours, sends), Bar(12))


def _message_cost_row(costs: dict[str, list[Cost]]) -> Row:
    ours, sends = ([cost.total for cost in costs[name]] for name in ("first", "send"))
    row = compare("GET messages, 50: CPU", ours, sends, "a lone send")
    row = judge(row, median_ratio(ours, sends), Bar(0.8))
    return with_cost(row, median_cost(costs["first"]))


def _message_rows(bench: Bench, first: Template, deep: Template, depth: int) -> list[Row]:
    bench.say(f"50 of {depth:,} messages")
    times, deep_times = time_statements(bench, first, deep)
    row = Row(
        path=f"GET messages, newest 50 of {depth:,}: SQL, p50", figure=median(times), unit="ms"
    )
    other = compare(
        f"GET messages, 50 behind {depth * 9 // 10:,}: SQL, p50", deep_times, times, "newest 50"
    )
    ratio = median(deep_times) / median(times)
    return [judge_figure(row, Bar(1.0)), judge(other, ratio, Bar(1.2))]
