"""Large rooms: what their members cost, and whether small rooms notice."""

from concurrent.futures import ThreadPoolExecutor

from benches.bench import Bench
from benches.cpu import read_memory_bytes
from benches.curves import Curve, make_curve
from benches.figures import Bar, Row, judge, judge_figure, median, quantile, with_runs
from benches.seed import Rooms, seed_rooms
from benches.traffic import TEXT, Cost, Devices, Run, Traffic

ACKNOWLEDGED_WITHIN = {1_000: 10.0, 20_000: 25.0, 100_000: 80.0}
"""For a room of so many members: the bar, in ms."""
SENDS = 40
BUSY_ROOM = 20_000
BUSY_PER_SECOND = 20.0
SMALL_PER_SECOND = 50.0


def measure(bench: Bench) -> list[Row]:
    """Return the rows of large rooms."""
    sizes = [size for size in ACKNOWLEDGED_WITHIN if size <= BUSY_ROOM or not bench.is_quick]
    bench.say(f"seeding rooms of {', '.join(f'{size:,}' for size in sizes)} members")
    rooms = {size: _seed(bench, f"l{size}x", size, size // 100) for size in sizes}
    rows = [_measure_acknowledged(bench, size, found) for size, found in rooms.items()]
    rows += [*_measure_bytes(bench, rooms), *_measure_small(bench, rooms[BUSY_ROOM])]
    if not bench.is_quick:
        rows.append(_measure_connections(bench, rooms[max(sizes)]))
        bench.curves += [_draw_members(bench), _draw_listeners(bench)]
    return rows


def _seed(bench: Bench, name: str, members: int, listening: int) -> Rooms:
    return bench.seed(
        lambda connection: seed_rooms(
            connection, name, count=1, members=members, listening=listening
        )
    )


def _measure_acknowledged(bench: Bench, size: int, rooms: Rooms) -> Row:
    bench.say(f"sends into a room of {size:,}")
    with (
        bench.only(bench.ours),
        Devices(bench.ours, rooms) as devices,
        Traffic(devices, senders=1) as traffic,
    ):
        traffic.run(10, most=5)
        run = traffic.run(20, most=SENDS)
    row = Row(
        path=f"room of {size:,}, {rooms.listening:,} listening: acknowledged, p50",
        figure=median(run.answers.latencies),
        unit="ms",
    )
    return with_runs(judge_figure(row, Bar(ACKNOWLEDGED_WITHIN[size])), [run])


def _measure_bytes(bench: Bench, rooms: dict[int, Rooms]) -> list[Row]:
    """Compare two rooms with as many listeners, of which one has twenty times the members."""
    small = rooms[1_000]
    other = _seed(bench, "lm", BUSY_ROOM, small.listening)
    few, many = (measure_outbox_bytes(bench, found) for found in (small, other))
    row = Row(
        path=f"outbox of a send, {small.listening} listening of {BUSY_ROOM:,} members",
        figure=many / 1000,
        unit="kB",
        limit=few / 1000,
        limit_name=f"of {small.members:,} members",
    )
    return [judge(row, many / few, Bar(1.1))]


def measure_outbox_bytes(bench: Bench, rooms: Rooms) -> int:
    """Return the bytes of the outbox rows of one send; it is rolled back."""
    room = rooms.first_id
    with bench.ours.connect() as connection, connection.transaction(force_rollback=True):
        # What makes a session one of the API's: it publishes to listeners.
        connection.execute("SET LOCAL application_name = 'besedka-api'")
        connection.execute("SET LOCAL besedka.audience = 'listeners'")
        connection.execute(
            "SELECT outcome FROM chat.send_messages_v2("
            "ARRAY[%s]::bigint[], ARRAY[%s], ARRAY['bytes'], ARRAY[%s],"
            " NULL, NULL, NULL, true, NULL)",
            [room, rooms.user(room, 1), TEXT],
        )
        row = connection.execute(
            "SELECT sum(octet_length(payload::text)) FROM chat_outbox "
            "WHERE xmin = pg_current_xact_id()::xid"
        ).fetchone()
    return int(str(row[0])) if row and row[0] else 0


def _measure_small(bench: Bench, large: Rooms) -> list[Row]:
    bench.say(f"small rooms beside a busy room of {BUSY_ROOM:,}")
    small = bench.seed(
        lambda connection: seed_rooms(connection, "b", count=10, members=20, listening=2)
    )
    with (
        bench.only(bench.ours),
        Devices(bench.ours, small) as small_devices,
        Traffic(small_devices, senders=4) as traffic,
        Devices(bench.ours, large) as large_devices,
        Traffic(large_devices, senders=4) as busy,
        ThreadPoolExecutor(max_workers=1) as pool,
    ):
        traffic.run(1.0, per_second=SMALL_PER_SECOND)
        alone = traffic.run(bench.seconds, per_second=SMALL_PER_SECOND)
        beside = pool.submit(busy.run, bench.seconds + 0.5, per_second=BUSY_PER_SECOND)
        disturbed = traffic.run(bench.seconds, per_second=SMALL_PER_SECOND)
        noise = beside.result()
    return [_small_row(alone, disturbed), _busy_row(noise)]


def _small_row(alone: Run, disturbed: Run) -> Row:
    row = Row(
        path=f"small room's arrival, p99, beside a room of {BUSY_ROOM:,}",
        figure=quantile(disturbed.until_everywhere, 0.99),
        unit="ms",
        limit=quantile(alone.until_everywhere, 0.99),
        limit_name="alone",
    )
    return with_runs(row, [disturbed])


def _busy_row(noise: Run) -> Row:
    row = Row(
        path=f"that room, {BUSY_PER_SECOND:g} sends/s: arrival at all, p50",
        figure=median(noise.until_everywhere),
        unit="ms",
    )
    return with_runs(row, [noise])


def _measure_connections(bench: Bench, rooms: Rooms) -> Row:
    bench.say(f"memory of {rooms.listening:,} connections")
    realtime = bench.ours.realtime
    if realtime is None:
        raise RuntimeError("there is no realtime server")
    with bench.only(bench.ours):
        before = read_memory_bytes(realtime.pid)
        with Devices(bench.ours, rooms):
            each = (read_memory_bytes(realtime.pid) - before) / rooms.listening
    return Row(path="memory of realtime for a connection", figure=each / 1000, unit="kB")


def _draw_members(bench: Bench) -> Curve:
    """Measure how the cost grows with members, of whom always ten are listening."""
    sizes = {size: (size, 10) for size in (20, 200, 2_000, 20_000)}
    costs = _measure_growth(bench, "gm", sizes)
    title = "A message in rooms of different sizes, 10 members listening"
    return _draw("members", title, "members", costs)


def _draw_listeners(bench: Bench) -> Curve:
    """Measure how the cost grows with listeners among a thousand members."""
    sizes = {listening: (1_000, listening) for listening in (1, 10, 100, 1_000)}
    costs = _measure_growth(bench, "gl", sizes)
    return _draw(
        "listeners",
        "A message in a room of 1,000 members, more and more listening",
        "listening members",
        costs,
    )


def _measure_growth(bench: Bench, name: str, sizes: dict[int, tuple[int, int]]) -> dict[int, Cost]:
    """Return for each size the cost of a message in a room of so many members and listeners."""
    found = {}
    for size, (members, listening) in sizes.items():
        bench.say(f"growth: {members:,} members, {listening:,} listening")
        rooms = _seed(bench, f"{name}{size}x", members, listening)
        with (
            bench.only(bench.ours),
            Devices(bench.ours, rooms) as devices,
            Traffic(devices, senders=1) as traffic,
        ):
            traffic.run(5, most=10)
            found[size] = traffic.run(1.5, most=100).cost
    return found


def _draw(name: str, title: str, label: str, costs: dict[int, Cost]) -> Curve:
    parts = {"API": "api", "PostgreSQL": "postgres", "realtime": "realtime"}
    series = {
        name: [(size, getattr(cost, part)) for size, cost in costs.items()]
        for name, part in parts.items()
    }
    return make_curve(name, title, (label, "CPU ms for a message"), **series)
