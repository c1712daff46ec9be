"""Tokens and sends that meet: whoever was left out of an event reads it from the room instead."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import httpx
import jwt
import psycopg
import pytest
from psycopg.rows import dict_row

from chat.actions.messages import send_message
from chat.conf import compose_conninfo
from tests.concurrency.conftest import Place
from tests.conftest import Connection
from tests.support.actors import Actor, Cast
from tests.support.ledger import read_ledger
from tests.support.memberships import remove_member
from tests.support.sessions import PATIENCE, Session, run_at_once

LISTENERS_ONLY = {"besedka.audience": "listeners"}


class ApiSession(Session):
    """A session as the API's pool opens it, whose transaction a test can leave open."""

    def __init__(self, url: str) -> None:
        super().__init__(compose_conninfo(url, "besedka-api", **LISTENERS_ONLY))


@pytest.fixture
def api_session(database_url: str) -> Iterator[ApiSession]:
    """Open such a session."""
    session = ApiSession(database_url)
    yield session
    session.close()


def ask(actor: Actor) -> httpx.Response:
    """Ask for a subscription token."""
    return actor.get("/api/token/subscription/", channel=f"personal:{actor.user_id}")


def wait_until_listening(connection: Connection, actor: Actor) -> None:
    """Return as soon as the user's row is committed."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if find_row(connection, actor) is not None:
            return
        time.sleep(0.002)
    raise TimeoutError(f"{actor.user_id} never became a listener.")


def find_row(connection: Connection, actor: Actor) -> dict[str, Any] | None:
    """Return the user's row, with what identifies its version, or None."""
    return connection.execute(
        "SELECT *, xmin::text FROM chat_listener WHERE user_id = %s", [actor.user_id]
    ).fetchone()


def age(connection: Connection, actor: Actor, hours: int) -> None:
    """Let the user's row be as if it had been written so many hours earlier."""
    done = connection.execute(
        "UPDATE chat_listener SET until = until - %s * interval '1 hour' WHERE user_id = %s",
        [hours, actor.user_id],
    )
    assert done.rowcount == 1


class Meeting:
    """Bob sends, and has computed to whom; Charlie, a member who was away, asks for tokens."""

    def __init__(
        self,
        people: tuple[Actor, Actor, Actor, Actor],
        place: Place,
        sender: ApiSession,
        connection: Connection,
    ) -> None:
        host, alice, self.bob, self.charlie = people
        self.room = host.create_room(alice.listen(), self.bob.listen(), self.charlie)
        self._sender, self._connection = sender, connection
        sender.begin()
        message = place.message(self.room, "nobody", "k")
        sender.run(
            send_message(type(message)(self.room, self.bob.user_id, "k", "while you were away"))
        )

    def channels(self) -> set[str]:
        """Return to whom the message was queued."""
        return read_ledger(self._connection, self.room).audience(4)


@pytest.fixture
def meeting(
    host: Actor,
    alice: Actor,
    bob: Actor,
    charlie: Actor,
    place: Place,
    api_session: ApiSession,
    connection: Connection,
) -> Meeting:
    """Return the meeting, with the send not yet committed."""
    return Meeting((host, alice, bob, charlie), place, api_session, connection)


def test_a_lapsed_user_gets_a_token_after_the_sends_that_left_it_out(
    meeting: Meeting, api_session: ApiSession, connection: Connection
) -> None:
    """What was not published to the user is in what the user reads with the token."""
    charlie, bob = meeting.charlie, meeting.bob
    with ThreadPoolExecutor(max_workers=1) as thread:
        asking = thread.submit(ask, charlie)
        wait_until_listening(connection, charlie)
        # Bob, who has been listening, asks later and is answered earlier.
        assert ask(bob).status_code == 200
        assert not asking.done()
        api_session.commit()
        assert asking.result().status_code == 200

    read = charlie.get(f"/api/rooms/{meeting.room}/messages/").json()["results"]
    assert [message["content"] for message in read] == ["while you were away"]
    assert f"personal:{charlie.user_id}" not in meeting.channels()
    bob.send(meeting.room, "welcome back")
    assert f"personal:{charlie.user_id}" in read_ledger(connection, meeting.room).audience(5)


def test_no_second_request_overtakes_the_first(
    meeting: Meeting, api_session: ApiSession, connection: Connection
) -> None:
    """While the first token of a user waits, the user gets none of another kind or process."""
    charlie = meeting.charlie
    requests: list[Callable[[], httpx.Response]] = [
        lambda: ask(charlie),
        lambda: charlie.get("/api/token/connection/"),
    ]
    with ThreadPoolExecutor(max_workers=3) as threads:
        first = threads.submit(ask, charlie)
        wait_until_listening(connection, charlie)
        others: list[Future[httpx.Response]] = [threads.submit(one) for one in requests]
        answered, _ = wait([first, *others], timeout=0.3)
        assert not answered
        api_session.commit()
        assert [one.result().status_code for one in [first, *others]] == [200] * 3


@pytest.mark.slow
def test_a_token_is_refused_while_a_send_never_ends(
    meeting: Meeting, api_session: ApiSession
) -> None:
    """The request ends with 503 and Retry-After within five seconds, and so does the next one."""
    began = time.monotonic()
    answer = ask(meeting.charlie)
    seconds = time.monotonic() - began

    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert answer.headers["Retry-After"]
    assert 2 < seconds < 5
    with ThreadPoolExecutor(max_workers=1) as thread:
        asking = thread.submit(ask, meeting.charlie)
        assert ask(meeting.bob).status_code == 200
        assert not asking.done()
        api_session.rollback()
        assert asking.result().status_code == 200


def test_a_transaction_of_the_host_holds_no_token_and_leaves_nobody_out(
    host: Actor, alice: Actor, charlie: Actor, first: Session, connection: Connection
) -> None:
    """It may stay open for long, so what it sends is published to every member."""
    room = host.create_room(alice, charlie)
    first.begin()
    first.run(remove_member(room, alice.user_id))

    assert ask(charlie).status_code == 200

    first.commit()
    expected = {f"personal:{user.user_id}" for user in (alice, charlie)}
    assert read_ledger(connection, room).audience(3) == expected


def test_nothing_is_published_to_who_never_asked_for_a_token(
    host: Actor, alice: Actor, bob: Actor, connection: Connection
) -> None:
    """A member without a token is in no channel list; the log has the events all the same."""
    room = host.create_room(alice.listen(), bob)
    alice.send(room, "hello")
    bob.post(f"/api/rooms/{room}/leave/")
    host.delete(f"/api/rooms/{room}/members/{alice.user_id}/")

    ledger = read_ledger(connection, room)
    assert len(ledger.log) == 5
    assert {channel for row in ledger.queued for channel in row.channels} == {
        f"personal:{alice.user_id}"
    }
    # The listener who leaves is sent the event too.
    assert [row.version for row in ledger.queued] == [1, 2, 3, 4, 5]


def test_a_renewal_writes_twice_a_day_at_most(alice: Actor, connection: Connection) -> None:
    """A client that renews its tokens every ten minutes causes a write each twelve hours."""
    alice.listen()
    written = find_row(connection, alice)
    alice.listen()
    assert find_row(connection, alice) == written

    age(connection, alice, hours=11)
    aged = find_row(connection, alice)
    alice.listen()
    assert find_row(connection, alice) == aged

    age(connection, alice, hours=2)
    alice.listen()
    renewed = find_row(connection, alice)
    assert written
    assert renewed
    assert renewed["until"] > written["until"]
    assert renewed["is_settled"]


@pytest.mark.parametrize(("hours", "status"), [(36, "answered"), (47, "waiting")])
def test_who_was_away_for_a_day_and_a_half_waits(
    meeting: Meeting,
    api_session: ApiSession,
    connection: Connection,
    hours: int,
    status: str,
) -> None:
    """A day before the row runs out, the token waits as after a lapse: clocks may jump."""
    alice = meeting.bob
    alice.listen()
    age(connection, alice, hours=hours)
    with ThreadPoolExecutor(max_workers=1) as thread:
        asking = thread.submit(ask, alice)
        if status == "waiting":
            with pytest.raises(TimeoutError):
                asking.result(0.3)
            api_session.commit()
        assert asking.result().status_code == 200


@pytest.mark.parametrize(
    ("hours", "overridden"),
    [(0, []), (59, []), (61, ["override"]), (60 + 47, ["override"]), (120, [])],
)
def test_tokens_after_a_lapse_do_not_recover(
    alice: Actor, connection: Connection, hours: int, overridden: list[str]
) -> None:
    """After a lapse that Centrifugo's history may reach across, a client has to resync."""
    alice.listen()
    # 60 hours and a quarter: that is when it lapses.
    age(connection, alice, hours=hours)

    for _ in range(2):
        token = ask(alice).json()["token"]
        claims = jwt.decode(token, options={"verify_signature": False})
        assert [
            name for name in claims if name not in {"sub", "channel", "iat", "exp"}
        ] == overridden
        assert not overridden or claims["override"]["force_recovery"] == {"value": False}


def test_everyone_is_sent_everything_for_a_day_after_a_restore(
    host: Actor, alice: Actor, bob: Actor, connection: Connection
) -> None:
    """Until `everyone_until`, tokens may be valid that this database does not know of."""
    room = host.create_room(alice.listen(), bob)
    try:
        connection.execute("UPDATE chat_installation SET everyone_until = now() + interval '1 h'")
        alice.send(room, "to all")
    finally:
        connection.execute("UPDATE chat_installation SET everyone_until = now()")
    alice.send(room, "to listeners")

    ledger = read_ledger(connection, room)
    assert len(ledger.audience(3)) == 2
    assert len(ledger.audience(4)) == 1


def test_many_who_return_at_once_are_answered(
    cast: Cast, host: Actor, connection: Connection
) -> None:
    """Sixty users at once, also the same user several times, all get their tokens."""
    users = [cast.user(f"user{n % 20}") for n in range(60)]
    room = host.create_room(*users[:20])

    answers = run_at_once(ask, users)

    assert [answer.status_code for answer in answers] == [200] * 60
    host.post(f"/api/rooms/{room}/members/", {"users": ["last"]})
    assert len(read_ledger(connection, room).audience(21)) == 20


def test_two_writers_of_the_same_rows_do_not_stop_each_other(
    connect: Callable[[], psycopg.Connection[dict[str, Any]]], place: Place
) -> None:
    """Two processes that keep the same users in different orders end both."""
    users = place.users(200)

    def keep(ids: list[str]) -> int:
        with connect() as session:
            rows = session.cursor(row_factory=dict_row).execute(
                "SELECT * FROM chat.keep_listeners(%s, 3600)", [ids]
            )
            return len(rows.fetchall())

    assert run_at_once(keep, [users, users[::-1]] * 4) == [200] * 8
