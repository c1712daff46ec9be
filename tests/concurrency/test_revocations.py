"""Revocations and the processes that have to know them."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psycopg
import pytest

from chat.actions.revocations import prune_revocations, revoke_tokens
from chat.queries.revocations import NOTHING_SEEN, Revocations, list_revocations
from chat.sql.database import open_database, run_call
from tests.support.actors import Actor, Cast, make_token
from tests.support.processes import run_manage, serve_api, start_api
from tests.support.sessions import PATIENCE, Session, run_at_once

WITHIN = 1.0
"""Seconds within which every process refuses a revoked token."""
ROOMS = "/api/rooms/"
LOCKED = "LOCK TABLE chat_revocation IN ACCESS EXCLUSIVE MODE"


@pytest.fixture(scope="module")
def spare_url(clone_database: Callable[[], str]) -> str:
    """Return a database that only these tests use."""
    return clone_database()


@pytest.fixture(scope="module")
def processes(spare_url: str) -> Iterator[list[Cast]]:
    """Run two processes of the API on one database; give a cast that calls each."""
    with ExitStack() as stack:
        urls = [stack.enter_context(serve_api(spare_url)) for _ in range(2)]
        yield [stack.enter_context(Cast(url)) for url in urls]


@pytest.fixture
def session(spare_url: str) -> Iterator[Session]:
    """Open a session that can be left in a transaction."""
    opened = Session(spare_url)
    yield opened
    opened.close()


def holders(processes: list[Cast], name: str, age: float = 5) -> list[Actor]:
    """Return one user at each process, with a token that was issued some seconds ago."""
    user_id = processes[0].user(name).user_id
    token = make_token(user_id, iat=time.time() - age)
    return [cast.with_token(token, user_id) for cast in processes]


def wait_until_refused(actor: Actor) -> float:
    """Return how long it took until a process refused the token for the first time."""
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE:
        answer = actor.get(ROOMS)
        if answer.status_code == 401:
            assert answer.json()["code"] == "token_revoked"
            return time.monotonic() - began
        assert answer.status_code == 200
        time.sleep(0.01)
    raise TimeoutError("The process never refused the token.")


@pytest.mark.slow
def test_every_process_refuses_a_revoked_token_within_a_second(processes: list[Cast]) -> None:
    """The process that took the request refuses the token at once, the other one in a second.

    It stays refused, and the user's new token is accepted by both.
    """
    for number in range(8):
        here, there = holders(processes, f"alice{number}")
        assert (here.get(ROOMS).status_code, there.get(ROOMS).status_code) == (200, 200)

        answer = processes[0].service().put(f"/api/users/{here.user_id}/not-before/")
        assert answer.status_code == 200

        assert here.get(ROOMS).json()["code"] == "token_revoked"
        assert wait_until_refused(there) < WITHIN
        assert {actor.get(ROOMS).status_code for actor in (here, there)} == {401}
        for cast in processes:
            fresh = make_token(here.user_id, iat=time.time() + 1)
            assert cast.with_token(fresh).get(ROOMS).status_code == 200


def test_no_process_issues_a_token_after_a_revocation(processes: list[Cast]) -> None:
    """A client that is disconnected asks at once, and the other process does not know yet.

    Each time, before it can have looked, it refuses a token for Centrifugo.
    """
    for number in range(20):
        here, there = holders(processes, f"bob{number}")
        assert there.get("/api/token/connection/").status_code == 200
        processes[0].service().put(f"/api/users/{here.user_id}/not-before/")

        answers = [
            there.get("/api/token/connection/"),
            there.get("/api/token/subscription/", channel=f"personal:{there.user_id}"),
            there.get(ROOMS),
        ]

        assert [answer.json()["code"] for answer in answers] == ["token_revoked"] * 3


@pytest.mark.slow
def test_a_revocation_of_a_long_transaction_is_not_overlooked(
    processes: list[Cast], session: Session
) -> None:
    """The host revokes in a transaction of its own, which ends after later ones were seen."""
    (_, early), (_, late) = holders(processes, "early"), holders(processes, "late")
    session.begin()
    session.run(revoke_tokens(early.user_id))
    processes[0].service().put(f"/api/users/{late.user_id}/not-before/")
    wait_until_refused(late)
    assert early.get(ROOMS).status_code == 200

    session.commit()

    assert wait_until_refused(early) < WITHIN


def test_two_at_once_leave_the_later_time(processes: list[Cast], spare_url: str) -> None:
    """Many revocations of one user at the same time: one row, with the latest time."""
    user = processes[0].user("popular")
    now = time.time()
    times = [now - 10 + number for number in range(8)]

    def revoke(seconds: float) -> int:
        host = processes[int(seconds) % 2].service()
        text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
        body = {"not_before": text}
        return host.put(f"/api/users/{user.user_id}/not-before/", body).status_code

    assert run_at_once(revoke, times) == [200] * 8

    with psycopg.connect(spare_url) as connection:
        rows = connection.execute(
            "SELECT extract(epoch FROM not_before)::int FROM chat_revocation WHERE user_id = %s",
            [user.user_id],
        ).fetchall()
    assert rows == [(int(times[-1]),)]


@pytest.mark.slow
def test_a_large_number_is_read_whole(processes: list[Cast], spare_url: str) -> None:
    """25,000 revocations of one transaction are more than a page, and all are in force."""
    users = [processes[0].user(f"many{number}").user_id for number in (0, 12_000, 24_999)]
    prefix, suffix = users[0].split("0", 1)[0], users[0].removeprefix("many0")
    with psycopg.connect(spare_url) as connection:
        connection.execute(
            "SELECT chat.revoke_tokens(%s || n || %s) FROM generate_series(0, 24999) n",
            [prefix, suffix],
        )
    # Of before the revocation, however long the processes take.
    tokens = [make_token(user_id, iat=time.time() - 3600) for user_id in users]
    for token in tokens:
        wait_until_refused(processes[1].with_token(token))
    with serve_api(spare_url) as url, Cast(url) as started_later:
        for token in tokens:
            answer = started_later.with_token(token).get(ROOMS)
            assert answer.json()["code"] == "token_revoked"


@pytest.mark.slow
def test_before_the_first_look_nobody_is_taken_for_valid(spare_url: str, session: Session) -> None:
    """A process that could not read the revocations yet answers 503, and gets ready by itself."""
    session.begin()
    session.execute(LOCKED)
    with start_api(spare_url) as (url, _), Cast(url) as cast:
        user = cast.user("early-bird")
        answer = user.get(ROOMS)
        assert (answer.status_code, answer.json()["code"]) == (503, "identity_unavailable")
        assert answer.headers["retry-after"] == "1"
        # Who is refused in any case is still refused, and liveness does not depend on it.
        assert cast.with_token("nonsense").get(ROOMS).status_code == 401
        assert cast.anonymous().get("/health/live").status_code == 200
        ready = cast.anonymous().get("/health/ready")
        assert (ready.status_code, ready.json()["database"]) == (503, "revocations not read")

        session.commit()

        deadline = time.monotonic() + PATIENCE
        while (answer := user.get(ROOMS)).status_code == 503 and time.monotonic() < deadline:
            assert answer.json()["code"] == "identity_unavailable"
            time.sleep(0.02)
        assert answer.status_code == 200
        assert cast.anonymous().get("/health/ready").status_code == 200


def test_a_process_that_cannot_look_for_a_minute_is_not_ready(database_url: str) -> None:
    """It keeps what it knows in force, but another process has to take its requests."""

    async def scenario() -> list[bool]:
        async with open_database(database_url, 1) as database:
            revocations = Revocations(database)
            answers = [revocations.is_fresh(time.monotonic())]
            await revocations.look()
            now = time.monotonic()
            return [*answers, revocations.is_fresh(now + 59), revocations.is_fresh(now + 60)]

    assert asyncio.run(scenario()) == [False, True, False]


def test_what_a_dump_brought_is_read_once(clone_database: Callable[[], str]) -> None:
    """A server that was restored from a dump has numbers of another one, which may be far ahead."""
    with psycopg.connect(clone_database(), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO chat_revocation (user_id, not_before, changed_at, changed_in)"
            " VALUES ('alice', now(), now(), 1000000000000)"
        )
        first = run_call(connection, list_revocations(NOTHING_SEEN))
        again = run_call(connection, list_revocations(first[0].snapshot))
        run_call(connection, revoke_tokens("bob"))
        later = run_call(connection, list_revocations(first[0].snapshot))

    read = [[row.user_id for row in rows] for rows in (first, again, later)]
    assert read == [["alice"], [None], ["bob"]]


@pytest.mark.slow
def test_what_is_known_stays_in_force_while_it_cannot_be_read(
    processes: list[Cast], session: Session
) -> None:
    """While nothing new can be read, a revoked token stays refused and others are served."""
    here, there = holders(processes, "known")
    other = processes[1].user("other")
    processes[0].service().put(f"/api/users/{here.user_id}/not-before/")
    wait_until_refused(there)
    session.begin()
    session.execute(LOCKED)

    ended = time.monotonic() + 4
    while time.monotonic() < ended:
        assert there.get(ROOMS).json()["code"] == "token_revoked"
        assert other.get(ROOMS).status_code == 200

    (_, unknown) = holders(processes, "unknown")
    session.commit()
    processes[0].service().put(f"/api/users/{unknown.user_id}/not-before/")
    assert wait_until_refused(unknown) < PATIENCE


@pytest.mark.slow
def test_a_process_reads_on_after_its_sessions_were_ended(
    processes: list[Cast], spare_url: str
) -> None:
    """After PostgreSQL ended all sessions, a revocation is in force in every process again."""
    here, there = holders(processes, "after")
    with psycopg.connect(spare_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        run_call(connection, revoke_tokens(here.user_id))

    assert wait_until_refused(here) < PATIENCE
    assert wait_until_refused(there) < PATIENCE


@pytest.mark.slow
def test_revocations_are_kept_until_the_tokens_have_expired(
    clone_database: Callable[[], str],
) -> None:
    """With a longest lifetime of tokens, older revocations are pruned; without one, none is."""
    url = clone_database()
    with psycopg.connect(url, autocommit=True) as connection:
        for hours in (1, 3, 5):
            connection.execute(
                "SELECT chat.revoke_tokens(%s, now() - %s * interval '1 hour')",
                [f"user{hours}", hours],
            )
        query = "SELECT user_id FROM chat_revocation ORDER BY 1"

        said = run_manage("prune_events", DATABASE_URL=url)
        assert "revocations" not in said
        assert len(connection.execute(query).fetchall()) == 3

        # Two hours, and one for leeway and clocks.
        said = run_manage("prune_events", DATABASE_URL=url, JWT_MAX_LIFETIME_SECONDS="7300")
        assert "Pruned 1 revocations of tokens that have expired." in said
        assert connection.execute(query).fetchall() == [("user1",), ("user3",)]
        assert run_call(connection, prune_revocations(0, limit=1)) == 1
        assert connection.execute(query).fetchall() == [("user1",)]
