"""The API's sessions end: between requests without an effect, during one without a duplicate."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Semaphore

import httpx
import pytest

from tests.conftest import Connection
from tests.support.actors import Actor, Cast
from tests.support.ledger import read_exact_ledger
from tests.support.processes import serve_api
from tests.support.sessions import PATIENCE, Session, run_at_once, wait_until_waiting


@pytest.fixture(scope="module")
def database_url(clone_database: Callable[[], str]) -> str:
    """Return a database of this module's own: the API that serves it loses its sessions."""
    return clone_database()


@pytest.fixture(scope="module")
def api_url(database_url: str) -> Iterator[str]:
    """Return the address of an API process on this module's database."""
    with serve_api(database_url) as url:
        yield url


API_SESSIONS = (
    "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'besedka-api'"
)


def terminate_api_sessions(connection: Connection) -> int:
    """End every session that the API has now; when they have ended, return how many there were."""
    ended = {row["pid"] for row in connection.execute(f"SELECT pid {API_SESSIONS}")}
    connection.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s) AS pid", [list(ended)])
    while ended & {row["pid"] for row in connection.execute(f"SELECT pid {API_SESSIONS}")}:
        time.sleep(0.001)  # the test's timeout bounds it
    return len(ended)


def test_requests_after_the_end_of_all_sessions_succeed(
    host: Actor, alice: Actor, bob: Actor, connection: Connection
) -> None:
    """After each kill the next request succeeds, whether it may be repeated or not."""
    bob.listen()
    room = host.create_room(alice.listen())
    path = f"/api/rooms/{room}"
    requests: list[tuple[Callable[[], httpx.Response], int]] = [
        (lambda: alice.send(room, "keyless"), 201),
        (lambda: alice.send(room, "keyed", client_id="k"), 201),
        (lambda: bob.post(f"{path}/join/"), 200),
        (lambda: bob.get(f"{path}/"), 200),
        (lambda: bob.get(f"{path}/events/"), 200),
        (lambda: bob.get(f"{path}/messages/"), 200),
        (lambda: bob.post(f"{path}/leave/"), 200),
        (lambda: host.post(f"{path}/members/", {"users": [bob.user_id]}), 200),
        (lambda: host.delete(f"{path}/members/{bob.user_id}/"), 204),
        (lambda: alice.get("/health/ready"), 200),
    ]

    for request, status in requests:
        assert terminate_api_sessions(connection) > 0
        answer = request()
        assert answer.status_code == status, answer.text

    ledger = read_exact_ledger(connection, room)
    assert ledger.contents == ["keyless", "keyed"]
    assert ledger.room["version"] == 7


def test_many_requests_after_the_end_of_all_sessions_succeed(
    cast: Cast, host: Actor, connection: Connection
) -> None:
    """A full pool of dead sessions fails none of the requests that meet it at once."""
    senders = [cast.user(f"sender{n}").listen() for n in range(16)]
    room = host.create_room(*senders)
    run_at_once(lambda sender: sender.send(room, "warm"), senders)
    assert terminate_api_sessions(connection) > 1

    answers = run_at_once(lambda sender: sender.send(room, "after"), senders)

    assert [answer.status_code for answer in answers] == [201] * 16
    assert len(read_exact_ledger(connection, room).seqs) == 32


def test_a_send_whose_session_ends_while_it_waits_is_sent_once(
    host: Actor, alice: Actor, first: Session, connection: Connection
) -> None:
    """The service runs the send again by itself, and one message is stored."""
    room = host.create_room(alice.listen())
    first.lock_room(room)
    with ThreadPoolExecutor(max_workers=1) as thread:
        sending = thread.submit(alice.send, room, "hello", "k")
        wait_until_waiting(connection)
        terminate_api_sessions(connection)
        wait_until_waiting(connection)
        first.rollback()
        answer = sending.result()

    assert answer.status_code == 201
    assert read_exact_ledger(connection, room).seqs == [1]


@pytest.mark.slow
def test_sends_during_a_storm_of_kills_resolve_to_one_message_each(
    cast: Cast, host: Actor, connect: Callable[[], Connection], connection: Connection
) -> None:
    """Whatever the answers were, each send that is repeated until it succeeds is stored once."""
    senders = [cast.user(f"sender{n}").listen() for n in range(6)]
    room = host.create_room(*senders)
    answered = Semaphore(0)

    def kill() -> None:
        killer = connect()
        for _ in range(15):
            for _ in range(8):
                assert answered.acquire(timeout=PATIENCE)
            terminate_api_sessions(killer)

    def send_all(sender: Actor) -> list[tuple[int, str]]:
        return [
            _send_until_stored(sender, room, f"{sender.user_id} {n}", answered) for n in range(30)
        ]

    with ThreadPoolExecutor(max_workers=1) as thread:
        killing = thread.submit(kill)
        results = run_at_once(send_all, senders)
        killing.result()

    stored = {
        (message["seq"], message["client_id"])
        for message in read_exact_ledger(connection, room).messages
    }
    assert stored == {answer for result in results for answer in result}
    assert len(stored) == 180


def _send_until_stored(
    sender: Actor, room_id: int, key: str, answered: Semaphore
) -> tuple[int, str]:
    """Send with a key until it succeeds, and return the seq; only honest failures are repeated."""
    for _ in range(50):
        answer = sender.send(room_id, key, client_id=key)
        answered.release()
        if answer.status_code in {200, 201}:
            return answer.json()["seq"], key
        assert answer.status_code == 503, answer.text
        assert answer.headers["Retry-After"]
    raise AssertionError("A send was refused 50 times.")
