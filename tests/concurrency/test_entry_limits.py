"""How many rooms a user may be in, and how many members a room may have, through all processes."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psycopg
import pytest

from tests.support.actors import Actor, Cast
from tests.support.processes import serve_api
from tests.support.sessions import run_at_once

ROOMS, MEMBERS = 4, 5


@pytest.fixture(scope="module")
def limited_url(clone_database: Callable[[], str]) -> str:
    """Return a database of this module's own."""
    return clone_database()


@pytest.fixture(scope="module")
def casts(limited_url: str) -> Iterator[tuple[Cast, Cast]]:
    """Give the same cast behind each of two processes with both limits."""
    with ExitStack() as stack:
        urls = [
            stack.enter_context(
                serve_api(
                    limited_url,
                    CHAT_ROOMS_PER_USER=str(ROOMS),
                    CHAT_MEMBERS_PER_ROOM=str(MEMBERS),
                )
            )
            for _ in range(2)
        ]
        first, second = (stack.enter_context(Cast(url)) for url in urls)
        second._suffix = first._suffix
        yield first, second


def count_rooms(user: Actor) -> int:
    """Return how many rooms the user is in."""
    return len(user.get("/api/rooms/", limit=200).json()["results"])


def test_a_user_enters_exactly_so_many_rooms_in_all_processes(casts: tuple[Cast, Cast]) -> None:
    """Of many joins at once so many are made; each of the others is 409 and changes nothing."""
    host = casts[0].service()
    rooms = [host.create_room() for _ in range(12)]
    joins = [(casts[n % 2].user("alice"), room) for n, room in enumerate(rooms)]

    answers = run_at_once(lambda join: join[0].post(f"/api/rooms/{join[1]}/join/"), joins)

    assert Counter(answer.status_code for answer in answers) == {200: ROOMS, 409: 12 - ROOMS}
    assert {one.json()["code"] for one in answers if one.status_code == 409} == {"limit_reached"}
    assert count_rooms(joins[0][0]) == ROOMS


def test_a_room_takes_exactly_so_many_members(casts: tuple[Cast, Cast]) -> None:
    """Of many users who join at once so many get in; nobody else does."""
    room = casts[0].service().create_room()
    users = [casts[n % 2].user(f"guest{n}") for n in range(12)]

    answers = run_at_once(lambda user: user.post(f"/api/rooms/{room}/join/"), users)

    assert Counter(answer.status_code for answer in answers) == {200: MEMBERS, 409: 12 - MEMBERS}
    assert {one.json()["code"] for one in answers if one.status_code == 409} == {"limit_reached"}
    assert sum(count_rooms(user) for user in users) == MEMBERS


def test_who_leaves_makes_room_for_another(casts: tuple[Cast, Cast]) -> None:
    """Both limits are of what is now, and repeating a join is answered as ever at the limit."""
    cast, host = casts[0], casts[0].service()
    rooms = [host.create_room() for _ in range(ROOMS + 1)]
    bob = cast.user("bob")
    for room in rooms[:-1]:
        assert bob.post(f"/api/rooms/{room}/join/").status_code == 200
    assert bob.post(f"/api/rooms/{rooms[-1]}/join/").status_code == 409
    assert bob.post(f"/api/rooms/{rooms[0]}/join/").status_code == 200

    assert bob.post(f"/api/rooms/{rooms[0]}/leave/").status_code == 200

    assert bob.post(f"/api/rooms/{rooms[-1]}/join/").status_code == 200


def test_direct_rooms_are_not_counted(casts: tuple[Cast, Cast], limited_url: str) -> None:
    """A user with any number of direct rooms still joins as many others as are allowed."""
    cast, host = casts[0], casts[0].service()
    carol = cast.user("carol")
    direct = [host.create_room(carol) for _ in range(2 * ROOMS)]
    with psycopg.connect(limited_url) as connection:
        connection.execute("UPDATE chat_room SET kind = 'direct' WHERE id = ANY (%s)", [direct])
    rooms = [host.create_room() for _ in range(ROOMS + 1)]

    answers = [carol.post(f"/api/rooms/{room}/join/").status_code for room in rooms]

    assert answers == [200] * ROOMS + [409]


def test_the_service_has_no_limits_and_what_it_does_counts(casts: tuple[Cast, Cast]) -> None:
    """It brings users into any number of rooms, and rooms to any number of members."""
    cast, host = casts[0], casts[0].service()
    dora = cast.user("dora")
    users = [cast.user(f"many{n}") for n in range(MEMBERS + 2)]
    for _ in range(ROOMS + 1):
        host.create_room(dora)
    crowded, free = host.create_room(*users), host.create_room()

    assert host.post(f"/api/rooms/{crowded}/join/").status_code == 200
    assert dora.post(f"/api/rooms/{free}/join/").status_code == 409
    assert cast.user("eve").post(f"/api/rooms/{crowded}/join/").status_code == 409
