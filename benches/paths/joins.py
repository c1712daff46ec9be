"""Adding many members in one call."""

import time

from benches.bench import Bench
from benches.figures import Bar, Row, judge_figure, median
from benches.http import Connection

MEMBERS = 1_000
TIMES = 5


def measure(bench: Bench) -> list[Row]:
    """Return the row of adding 1,000 members."""
    bench.say(f"adding {MEMBERS:,} members")
    token = bench.ours.sign("bench", role="service")
    taken = []
    with bench.only(bench.ours), Connection(bench.ours.address) as connection:
        for number in range(TIMES):
            _, room = connection.request("POST", "/api/rooms/", token, {"name": f"joins {number}"})
            users = [f"joiner{number}-{n}" for n in range(MEMBERS)]
            begun = time.monotonic()
            path = f"/api/rooms/{room['id']}/members/"
            status, answer = connection.request("POST", path, token, {"users": users})
            taken.append((time.monotonic() - begun) * 1000)
            if status != 200 or len(answer["added"]) != MEMBERS:
                raise RuntimeError(f"members were not added: {status} {answer}")
    row = Row(
        path=f"add {MEMBERS:,} members to an empty room, p50", figure=median(taken), unit="ms"
    )
    return [judge_figure(row, Bar(250))]
