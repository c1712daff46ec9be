"""How often a user may join and leave in a time, counted through all processes."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psycopg
import pytest

from tests.support.actors import Cast
from tests.support.processes import serve_api
from tests.support.sessions import run_at_once

LIMIT, SECONDS = 6, 30


@pytest.fixture(scope="module")
def limited_url(clone_database: Callable[[], str]) -> str:
    """Return a database of this module's own."""
    return clone_database()


@pytest.fixture(scope="module")
def casts(limited_url: str) -> Iterator[tuple[Cast, Cast]]:
    """Give the same cast behind each of two processes with a limit."""
    with ExitStack() as stack:
        limit = f"{LIMIT}/{SECONDS}"
        urls = [
            stack.enter_context(serve_api(limited_url, CHAT_JOINS_PER_USER=limit)) for _ in range(2)
        ]
        first, second = (stack.enter_context(Cast(url)) for url in urls)
        second._suffix = first._suffix
        yield first, second


def read_versions(url: str, rooms: list[int]) -> list[int]:
    """Return the versions of these rooms."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT version FROM chat_room WHERE id = ANY (%s) ORDER BY id", [rooms]
        )
        return [version for (version,) in rows]


def test_a_user_joins_exactly_so_many_rooms_in_all_processes(
    casts: tuple[Cast, Cast], limited_url: str
) -> None:
    """Of many joins at once so many are made; the others are 429, and nothing of them is stored."""
    host = casts[0].service()
    rooms = [host.create_room() for _ in range(10)]
    joins = [(casts[n % 2].user("alice"), room) for n, room in enumerate(rooms)]

    answers = run_at_once(lambda join: join[0].post(f"/api/rooms/{join[1]}/join/"), joins)

    assert Counter(answer.status_code for answer in answers) == {200: LIMIT, 429: 4}
    for refused in answers:
        if refused.status_code == 429:
            assert refused.json()["code"] == "rate_limited"
            assert SECONDS - 10 <= int(refused.headers["Retry-After"]) <= SECONDS
    assert sum(read_versions(limited_url, rooms)) == LIMIT
    assert len(joins[0][0].get("/api/rooms/").json()["results"]) == LIMIT


def test_joins_and_leaves_count_together_and_what_changes_nothing_does_not(
    casts: tuple[Cast, Cast], limited_url: str
) -> None:
    """A user in a loop stops after so many changes; repeating the last one is answered as ever."""
    first, second = casts
    bob, twin = first.user("bob"), second.user("bob")
    room = first.service().create_room()
    path = f"/api/rooms/{room}"
    assert bob.post(f"{path}/leave/").json()["joined"] is False
    for _ in range(LIMIT // 2):
        assert bob.post(f"{path}/join/").status_code == 200
        assert twin.post(f"{path}/join/").status_code == 200
        assert twin.post(f"{path}/leave/").status_code == 200

    assert twin.post(f"{path}/leave/").status_code == 200
    assert bob.post(f"{path}/join/").status_code == 429
    assert bob.post("/api/rooms/999999999999/join/").status_code == 404
    assert read_versions(limited_url, [room]) == [LIMIT]


def test_the_limit_moves_with_time(casts: tuple[Cast, Cast], limited_url: str) -> None:
    """When the first of the changes is so many seconds old, one more is accepted."""
    carol, room = casts[0].user("carol"), casts[0].service().create_room()
    paths = [f"/api/rooms/{room}/{word}/" for word in ("join", "leave")]
    for n in range(LIMIT):
        assert carol.post(paths[n % 2]).status_code == 200
    assert carol.post(paths[0]).status_code == 429

    with psycopg.connect(limited_url) as connection:
        connection.execute(
            "UPDATE chat_join_count SET times[1] = times[1] - %s * interval '1 s'"
            " WHERE user_id = %s",
            [SECONDS, carol.user_id],
        )

    assert [carol.post(path).status_code for path in paths] == [200, 429]


def test_the_service_is_exempt_and_counts_for_nobody(casts: tuple[Cast, Cast]) -> None:
    """It adds and removes a user as often as it likes, and the user may still join and leave."""
    host, dora = casts[0].service(), casts[0].user("dora")
    room = host.create_room()
    path = f"/api/rooms/{room}"
    for _ in range(LIMIT):
        assert host.post(f"{path}/members/", {"users": [dora.user_id]}).status_code == 200
        assert host.delete(f"{path}/members/{dora.user_id}/").status_code == 204
        assert host.post(f"{path}/join/").status_code == 200
        assert host.post(f"{path}/leave/").status_code == 200

    assert dora.post(f"{path}/join/").status_code == 200
