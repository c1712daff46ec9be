"""Search for rooms by any part of their names."""

from urllib.parse import quote

from benches.bench import Bench
from benches.figures import Bar, Row, judge_figure, median, quantile
from benches.seed import seed_named_rooms
from benches.traffic import Reader, write_get

TERMS = (
    *("bak", "kor", "rim", "mune", "sato", "vil", "lad", "dup", "pez", "zoш", "шак", "ком"),
    *("room", " room ", "123", "room 1999", "xyz", "nothing like it"),
)
"""In few names, in many, in all and in none; in two scripts, and across words."""


def measure(bench: Bench) -> list[Row]:
    """Return the rows of the search."""
    count = 20_000 if bench.is_quick else 200_000
    bench.say(f"seeding {count:,} rooms to search")
    bench.seed(lambda connection: seed_named_rooms(connection, count))
    requests = [
        write_get(bench.ours, f"/api/search/?q={quote(term)}", "searcher") for term in TERMS
    ]
    with bench.only(bench.ours), Reader(bench.ours, requests) as reader:
        reader.run(30, most=len(requests) * 5)
        times = reader.run(60, most=400).answers.latencies
    row = Row(
        path=f"search in {count:,} rooms: answered, p95", figure=quantile(times, 0.95), unit="ms"
    )
    return [
        judge_figure(row, Bar(30)),
        Row(path=f"search in {count:,} rooms: answered, p50", figure=median(times), unit="ms"),
    ]
