"""How many messages a user and a room may have in a time, counted through all processes."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack

import httpx
import psycopg
import pytest

from chat.actions.messages import NewMessage, SendLimits, send_messages
from chat.sql.database import run_call
from tests.concurrency.conftest import Place
from tests.conftest import Connection
from tests.support.actors import Cast
from tests.support.outcomes import name_outcome
from tests.support.processes import serve_api
from tests.support.sessions import Session, run_at_once

PER_USER, PER_ROOM, SECONDS = 5, 8, 30


@pytest.fixture(scope="module")
def limited_url(clone_database: Callable[[], str]) -> str:
    """Return a database of this module's own."""
    return clone_database()


@pytest.fixture(scope="module")
def casts(limited_url: str) -> Iterator[tuple[Cast, Cast]]:
    """Give the same cast behind each of two processes with limits."""
    with ExitStack() as stack:
        urls = [stack.enter_context(_serve(limited_url)) for _ in range(2)]
        first, second = (stack.enter_context(Cast(url)) for url in urls)
        second._suffix = first._suffix
        yield first, second


def test_a_user_is_limited_exactly_in_all_rooms_and_processes(casts: tuple[Cast, Cast]) -> None:
    """Of many sends at once so many are stored; the others are 429, and nothing of them is."""
    first, second = casts
    alice = first.user("alice")
    rooms = [first.service().create_room(alice) for _ in range(4)]
    sends = [(cast.user("alice"), room) for cast in (first, second) for room in rooms] * 2

    answers = run_at_once(lambda send: send[0].send(send[1], "hello"), sends)

    assert Counter(answer.status_code for answer in answers) == {201: PER_USER, 429: 11}
    for refused in answers:
        if refused.status_code == 429:
            assert refused.json()["code"] == "rate_limited"
            assert 1 <= int(refused.headers["Retry-After"]) <= SECONDS
    stored = [alice.get(f"/api/rooms/{room}/messages/").json()["results"] for room in rooms]
    assert sum(map(len, stored)) == PER_USER


def test_a_room_is_limited_exactly(casts: tuple[Cast, Cast]) -> None:
    """All members together send so many messages, and the room's seqs have no gap."""
    first, second = casts
    users = [first.user(f"member{n}") for n in range(4)]
    room = first.service().create_room(*users)
    sends = [cast.user(f"member{n}") for n in range(4) for cast in casts] * 2

    answers = run_at_once(lambda user: user.send(room, "hello"), sends)

    assert Counter(answer.status_code for answer in answers) == {201: PER_ROOM, 429: 8}
    assert second.user("member0").get(f"/api/rooms/{room}/").json()["last_message"]["seq"] == 8


def test_a_repeated_send_is_answered_beyond_the_limit(casts: tuple[Cast, Cast]) -> None:
    """A client that repeats what was accepted gets its message, not 429."""
    first, _ = casts
    bob = first.user("bob")
    room = first.service().create_room(bob)
    accepted = [bob.send(room, "hello", f"k{n}") for n in range(PER_USER)]

    assert bob.send(room, "hello", "new").status_code == 429
    repeated = bob.send(room, "hello", "k0")
    assert (repeated.status_code, repeated.content) == (200, accepted[0].content)
    assert bob.send(room, "other", "k0").status_code == 409


def test_the_limit_moves_with_time(casts: tuple[Cast, Cast], limited_url: str) -> None:
    """When the first of the messages is so many seconds old, one more is accepted."""
    first, _ = casts
    carol = first.user("carol")
    room = first.service().create_room(carol)
    oldest, *_ = [_id(carol.send(room, "hello")) for _ in range(PER_USER)]
    assert carol.send(room, "too many").status_code == 429

    with psycopg.connect(limited_url) as connection:
        connection.execute(
            "UPDATE chat_message SET created_at = created_at - %s * interval '1 s' WHERE id = %s",
            [SECONDS, oldest],
        )

    assert [carol.send(room, "later").status_code for _ in range(2)] == [201, 429]


def test_the_service_has_no_limit(casts: tuple[Cast, Cast]) -> None:
    """A message of the host's service is never refused for its number."""
    service = casts[0].service()
    room = service.create_room(service)

    answers = [service.send(room, "notice") for _ in range(PER_ROOM + 2)]

    assert {answer.status_code for answer in answers} == {201}


def test_a_user_who_is_sending_elsewhere_delays_no_other(
    place: Place, first: Session, connection: Connection
) -> None:
    """While another call has locked the sender, the batch answers `busy` for this sender alone."""
    rooms = [place.room("alice", "bob"), place.room("bob")]
    limits = SendLimits(per_user="5/60")
    messages = [
        NewMessage(room, place.user(name), "k", "hello", is_limited=True)
        for room, name in ((rooms[0], "alice"), (rooms[0], "bob"), (rooms[1], "bob"))
    ]
    first.begin()
    first.execute("SELECT chat.lock_users(ARRAY[%s], true)", [place.user("alice")])

    locked = run_call(connection, send_messages(messages, wait=False, limits=limits))
    first.rollback()
    free = run_call(connection, send_messages(messages, wait=False, limits=limits))

    assert [name_outcome(outcome) for outcome in locked] == ["room_busy", "sent", "sent"]
    assert [name_outcome(outcome) for outcome in free] == ["sent", "duplicate", "duplicate"]


def _serve(url: str) -> AbstractContextManager[str]:
    return serve_api(
        url,
        CHAT_SENDS_PER_USER=f"{PER_USER}/{SECONDS}",
        CHAT_SENDS_PER_ROOM=f"{PER_ROOM}/{SECONDS}",
    )


def _id(answer: httpx.Response) -> int:
    message_id: int = answer.json()["id"]
    return message_id
