"""What a client meets while the service starts, stops or lacks its database."""

import signal
import threading
import time
from collections.abc import Callable

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from tests.contract.wire import Answer, send_bytes
from tests.rig.proxy import FaultProxy, find_postgres_socket, through
from tests.support.actors import Actor, Cast
from tests.support.processes import find_free_port, serve_api, start_api
from tests.support.sessions import wait_until_waiting

pytestmark = pytest.mark.slow


def test_without_a_database_it_says_so_in_time() -> None:
    """A service whose database is away is alive, not ready, and answers 503 instead of hanging."""
    nowhere = f"postgresql://besedka@127.0.0.1:{find_free_port()}/besedka"
    with start_api(nowhere) as (url, _), Cast(url) as cast:
        alive = cast.anonymous().get("/health/live")
        ready = cast.anonymous().get("/health/ready")
        started = time.monotonic()
        refused = cast.user("alice").send(1, "hello", "k")
        took = time.monotonic() - started

    assert (alive.status_code, ready.status_code) == (200, 503)
    # It has not read yet which tokens were revoked, so it cannot say who is asking.
    assert (refused.status_code, refused.json()["code"]) == (503, "identity_unavailable")
    assert int(refused.headers["Retry-After"]) > 0
    assert took < 5


def test_a_database_that_falls_silent_is_a_503_in_time(database_url: str) -> None:
    """While the database does not answer, requests get 503 within five seconds; later ones work.

    No connection is closed: to the kernel all is well.
    """
    with (
        FaultProxy.in_thread(find_postgres_socket(database_url)) as link,
        serve_api(through(database_url, link)) as url,
        Cast(url) as cast,
    ):
        alice = cast.user("alice")
        room = cast.service().create_room(alice)
        link.black_hole()
        started = time.monotonic()
        refused = alice.send(room, "hello", "k")
        answered = time.monotonic()
        ready = alice.get("/health/ready")
        probed = time.monotonic()
        alive = alice.get("/health/live")
        link.pass_through()
        sent = alice.send(room, "hello", "k")

    assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
    assert answered - started < 5
    assert (ready.status_code, alive.status_code) == (503, 200)
    assert probed - answered < 3
    assert sent.status_code == 201


def test_it_stops_after_finishing_what_it_began(clone_database: Callable[[], str]) -> None:
    """SIGTERM refuses new connections, answers the requests in progress, and only then ends."""
    database_url = clone_database()
    with start_api(database_url) as (url, process), Cast(url) as cast:
        alice = cast.user("alice")
        room = cast.service().create_room(alice)
        answers: list[httpx.Response] = []
        with psycopg.connect(database_url, row_factory=dict_row) as holder:
            holder.execute("SELECT FROM chat_room WHERE id = %s FOR UPDATE", [room])
            sending = threading.Thread(
                target=lambda: answers.append(alice.send(room, "hello", "k"))
            )
            sending.start()
            wait_until_waiting(holder)
            process.send_signal(signal.SIGTERM)
            holder.rollback()
            sending.join(timeout=10)
        # uvicorn passes the signal on to itself when everything is closed.
        assert process.wait(timeout=10) == -signal.SIGTERM

    assert [answer.status_code for answer in answers] == [201]
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT content FROM chat_message").fetchall() == [("hello",)]


def test_a_request_on_an_idle_connection_is_answered_while_it_stops(
    clone_database: Callable[[], str],
) -> None:
    """A request just after SIGTERM is answered, as the last one of its connection."""
    with start_api(clone_database()) as (url, process), Cast(url) as cast:
        alice, bob, silent = (cast.user(name) for name in ("alice", "bob", "silent"))
        room = cast.service().create_room(alice)
        assert "connection" not in alice.send(room, "before").headers
        silent.get("/health/live")
        process.send_signal(signal.SIGTERM)
        while "connection" not in bob.get("/health/live").headers:
            pass  # the signal is on its way; the test's timeout bounds it

        answer = alice.send(room, "after")

        assert (answer.status_code, answer.headers["connection"]) == (201, "close")
        # The one who stays silent holds it up for a moment only.
        assert process.wait(timeout=5) == -signal.SIGTERM


def test_metrics_have_a_port_of_their_own(clone_database: Callable[[], str]) -> None:
    """Requests by route, sends by outcome, the outbox by partition and the pool are counted."""
    port = find_free_port()
    with start_api(clone_database(), METRICS_PORT=str(port)) as (url, _), Cast(url) as cast:
        alice = cast.user("alice")
        alice.listen()
        room = cast.service().create_room(alice)
        for _ in range(2):
            alice.send(room, "hello", "k")
        alice.send(room, "other", "k")
        metrics = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text

        assert cast.anonymous().get("/metrics").status_code == 404

    lines = set(metrics.splitlines())
    route = 'method="POST",route="/api/rooms/{room_id}/messages"'
    assert f'besedka_requests_total{{{route},status="201"}} 1.0' in lines
    assert f'besedka_requests_total{{{route},status="409"}} 1.0' in lines
    assert {
        f'besedka_sends_total{{outcome="{outcome}"}} 1.0'
        for outcome in ("sent", "duplicate", "conflict")
    } <= lines
    # One event of the room's creation and one of the message, in the room's partition.
    assert f'besedka_outbox_rows{{partition="{room % 8}"}} 2.0' in lines
    assert sum(line.startswith("besedka_outbox_age_seconds{") for line in lines) == 8
    assert any(line.startswith("besedka_database_pool_size ") for line in lines)
    assert alice.user_id not in metrics


def test_a_body_has_ten_seconds(host: Actor, alice: Actor) -> None:
    """A client that stops in the middle of its body is answered 408, and nothing is stored."""
    room = host.create_room(alice)
    began = time.monotonic()

    answer = stall_in_body(alice, f"/api/rooms/{room}/messages/")

    assert (answer.status, answer.json()["code"]) == (408, "body_too_slow")
    assert 9.5 < time.monotonic() - began < 15
    assert alice.get(f"/api/rooms/{room}/messages/").json()["results"] == []


def stall_in_body(actor: Actor, path: str) -> Answer:
    """Send half of a body and wait for what the service makes of it."""
    headers = b"Content-Type: application/json\r\nContent-Length: 1000\r\n"
    return send_bytes(actor, "POST", path.encode(), headers=headers, body=b'{"content":"a')
