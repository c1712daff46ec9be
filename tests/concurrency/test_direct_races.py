"""Direct rooms that several sessions open at once."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from chat.actions.caller import SERVICE, Caller
from chat.actions.direct_rooms import open_direct_room
from chat.actions.rooms import RoomProperties, create_room
from chat.errors import ConflictError, RateLimitedError
from tests.concurrency.conftest import Place
from tests.conftest import Connection
from tests.support.actors import Cast
from tests.support.ledger import read_exact_ledger
from tests.support.processes import serve_api
from tests.support.sessions import Session, run_at_once, wait_until_waiting


def test_the_second_of_two_at_once_finds_the_room_of_the_first(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """The second waits for the first to commit, in whatever order the users; each joined once."""
    users = place.users(2)
    first.begin()
    created = first.run(open_direct_room(users, by=SERVICE))
    waiting = second.start(open_direct_room(users[:1], by=Caller("user", users[1])))
    wait_until_waiting(connection)
    first.commit()

    found = waiting.result()

    assert (created.is_duplicate, found.is_duplicate) == (False, True)
    assert found.room.id == created.room.id
    assert read_exact_ledger(connection, created.room.id).room["version"] == 2


def test_a_room_whose_opening_was_undone_never_was(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """When the first is rolled back the second creates the room."""
    users = place.users(3)
    first.begin()
    undone = first.run(open_direct_room(users, by=SERVICE))
    waiting = second.start(open_direct_room(users, by=SERVICE))
    wait_until_waiting(connection)
    first.rollback()

    created = waiting.result()

    assert created.is_duplicate is False
    assert created.room.id != undone.room.id
    assert read_exact_ledger(connection, created.room.id).room["version"] == 3


def test_only_the_one_that_creates_the_room_is_counted(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """Two people who open their room at once, each with one room left: one of them has it still."""
    alice, bob = place.users(2)
    callers = [Caller("user", alice), Caller("user", bob)]
    calls = [open_direct_room([alice, bob], by=by, opened_per_user="1/600") for by in callers]
    first.begin()
    first.run(calls[0])
    waiting = second.start(calls[1])
    wait_until_waiting(connection)
    first.commit()
    waiting.result()

    with pytest.raises(RateLimitedError):
        first.run(open_direct_room(["zoe"], by=callers[0], opened_per_user="1/600"))
    again = first.run(open_direct_room(["zoe"], by=callers[1], opened_per_user="1/600"))
    assert again.is_duplicate is False


@pytest.mark.parametrize("attempt", range(5))
def test_many_sessions_open_one_room(
    place: Place, open_session: Callable[[], Session], connection: Connection, attempt: int
) -> None:
    """However many open it at once, in any order of the users, one creates it and all find it."""
    del attempt
    users = place.users(4)
    sessions = [(open_session(), users[n % 4 :] + users[: n % 4]) for n in range(8)]

    opened = run_at_once(lambda pair: pair[0].run(open_direct_room(pair[1], by=SERVICE)), sessions)

    assert Counter(one.is_duplicate for one in opened) == {False: 1, True: 7}
    assert len({one.room.id for one in opened}) == 1
    assert read_exact_ledger(connection, opened[0].room.id).room["version"] == 4


def test_rooms_that_share_people_do_not_wait_in_a_circle(
    place: Place, open_session: Callable[[], Session]
) -> None:
    """Each pair of five people at once, from both sides: ten rooms, and no call is broken off."""
    users = place.users(5)
    pairs = [(a, b) for a in users for b in users if a != b]
    sessions = [(open_session(), pair) for pair in pairs]

    opened = run_at_once(
        lambda one: one[0].run(open_direct_room(list(one[1]), by=Caller("user", one[1][0]))),
        sessions,
    )

    assert Counter(one.is_duplicate for one in opened) == {False: 10, True: 10}
    assert len({one.room.id for one in opened}) == 10


@pytest.fixture(scope="module")
def people(database_url: str) -> Iterator[Cast]:
    """Return a cast that may open direct rooms."""
    with serve_api(database_url, CHAT_USERS_MAY_CREATE="any") as address, Cast(address) as cast:
        yield cast


def test_many_requests_open_one_room(people: Cast, connection: Connection) -> None:
    """Over HTTP, too: one 201, the rest 200, all with the same room."""
    alice, bob = people.user("alice").listen(), people.user("bob").listen()
    requests = [(alice, bob), (bob, alice)] * 4

    answers = run_at_once(
        lambda pair: pair[0].post("/api/rooms/direct/", {"users": [pair[1].user_id]}), requests
    )

    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 7}
    assert len({answer.json()["id"] for answer in answers}) == 1
    (room,) = alice.get("/api/rooms/").json()["results"]
    assert read_exact_ledger(connection, room["id"]).room["version"] == 2


@pytest.mark.parametrize("is_undone", [False, True])
def test_two_rooms_with_one_external_id_are_one(
    place: Place, first: Session, second: Session, connection: Connection, *, is_undone: bool
) -> None:
    """The second waits for the first to commit and is refused; if that is undone, it is created."""
    properties = RoomProperties(external_id=place.user("key"))
    first.begin()
    first.run(create_room("first", [], properties))
    waiting = second.start(create_room("second", [], properties))
    wait_until_waiting(connection)
    if is_undone:
        first.rollback()
        assert waiting.result().room.name == "second"
    else:
        first.commit()
        with pytest.raises(ConflictError, match="external_id"):
            waiting.result()
