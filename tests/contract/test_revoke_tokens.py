"""PUT /api/users/{user_id}/not-before/"""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from tests.conftest import Connection
from tests.contract.wire import send_bytes
from tests.support.actors import Actor, Cast, make_token
from tests.support.processes import call_manage, run_manage

PATHS = ["/api/rooms/", "/api/token/connection/", "/api/search/?q=x"]
"""One that is answered without the framework, one that asks the database itself, and another."""


def revoke(host: Actor, user: Actor | str, not_before: str | None = None) -> dict[str, Any]:
    """Revoke a user's tokens and return the answer."""
    user_id = user if isinstance(user, str) else user.user_id
    body = {"not_before": not_before} if not_before else None
    answer = host.put(f"/api/users/{quote(user_id, safe='')}/not-before/", body)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


def issued(cast: Cast, user: Actor, at: float) -> Actor:
    """Return the user with a token of this `iat`."""
    return cast.with_token(make_token(user.user_id, iat=at), user.user_id)


def read_time(text: str) -> float:
    """Return an answered time in seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


def write_time(seconds: float) -> str:
    """Return a time as a request has it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def read_disconnects(connection: Connection, user: Actor) -> list[dict[str, Any]]:
    """Return the commands that end the user's connections."""
    rows = connection.execute(
        "SELECT payload FROM chat_outbox WHERE method = 'disconnect' AND payload->>'user' = %s",
        [user.user_id],
    )
    return [row["payload"] for row in rows]


@pytest.mark.parametrize("path", PATHS)
def test_a_token_of_before_is_refused_at_once(
    cast: Cast, host: Actor, alice: Actor, path: str
) -> None:
    """When the answer is there, the process refuses every token that the user held."""
    old = issued(cast, alice, int(time.time()))
    assert old.get(path).status_code == 200

    revoke(host, alice)

    answer = old.get(path)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_revoked")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", PATHS)
def test_a_new_login_is_accepted(cast: Cast, host: Actor, alice: Actor, path: str) -> None:
    """A token whose `iat` is the answered time, or later, is valid: nobody is locked out."""
    not_before = read_time(revoke(host, alice)["not_before"])

    for at in (not_before, int(not_before) + 1, not_before + 3600):
        assert issued(cast, alice, at).get(path).status_code == 200


@pytest.mark.parametrize(
    "iat",
    [None, "1", True, [], {}, float("nan"), float("inf"), 10**400, 0, -1],
    ids=str,
)
def test_a_token_that_does_not_say_when_is_refused(
    cast: Cast, host: Actor, alice: Actor, iat: object
) -> None:
    """While a revocation stands, a token without a time in `iat` counts as one of before."""
    claims: dict[str, Any] = {} if iat is None else {"iat": iat}
    user = cast.with_token(make_token(alice.user_id, **claims))
    assert user.get("/api/rooms/").status_code == 200

    revoke(host, alice)

    assert user.get("/api/rooms/").json()["code"] == "token_revoked"


def test_other_users_notice_nothing(cast: Cast, host: Actor, alice: Actor, bob: Actor) -> None:
    """Ids are compared byte by byte: a similar one is another user."""
    others = [bob, *(cast.user(name) for name in ("Alice", "alice ", "alice\u0301"))]

    revoke(host, alice)

    assert {user.get("/api/rooms/").status_code for user in others} == {200}


def test_the_answer_says_from_when_on_tokens_count(host: Actor, alice: Actor) -> None:
    """Without a body it is the time of the request, with microseconds."""
    before = time.time()

    answer = revoke(host, alice)

    assert answer.keys() == {"user", "not_before"}
    assert answer["user"] == alice.user_id
    assert len(answer["not_before"]) == len("2026-01-31T09:30:00.000000Z")
    assert before - 1 <= read_time(answer["not_before"]) <= time.time() + 1


def test_a_given_time_decides(cast: Cast, host: Actor, alice: Actor) -> None:
    """The host can name the time, in any offset: a token of that moment is accepted."""
    hour_ago = time.time() // 1 - 3600
    east = datetime.fromtimestamp(hour_ago, UTC).astimezone(datetime.strptime("+0530", "%z").tzinfo)

    answer = revoke(host, alice, east.isoformat())

    assert read_time(answer["not_before"]) == hour_ago
    assert issued(cast, alice, hour_ago).get("/api/rooms/").status_code == 200
    assert issued(cast, alice, hour_ago - 1).get("/api/rooms/").status_code == 401


def test_repeating_it_changes_nothing(host: Actor, alice: Actor, connection: Connection) -> None:
    """The same time again: the same answer, no write, and clients are not disconnected again."""
    at = write_time(time.time() - 10)
    query = "SELECT *, xmin::text FROM chat_revocation WHERE user_id = %s"
    first = revoke(host, alice, at)
    written = connection.execute(query, [alice.user_id]).fetchone()

    assert revoke(host, alice, at) == first

    assert connection.execute(query, [alice.user_id]).fetchone() == written
    assert len(read_disconnects(connection, alice)) == 1


def test_the_later_of_two_times_stays(cast: Cast, host: Actor, alice: Actor) -> None:
    """A revocation never moves back, in whichever order two requests arrive."""
    now = time.time()
    revoke(host, alice, write_time(now - 100))
    later = revoke(host, alice, write_time(now - 50))

    assert revoke(host, alice, write_time(now - 75)) == later
    assert issued(cast, alice, now - 60).get("/api/rooms/").status_code == 401
    assert issued(cast, alice, now - 40).get("/api/rooms/").status_code == 200


@pytest.mark.parametrize(
    "not_before",
    [
        *("now", "", "2026-01-31", "2026-01-31T09:30:00", "09:30:00Z", "2026-13-31T09:30:00Z"),
        *(1_769_851_800, 1.5, True, {}, [], "9999-12-31T23:59:59Z", "1969-12-31T23:59:59Z"),
        *("0001-01-01T00:00:00+14:00", "infinity", "2026-01-31T09:30:00Z\x00"),
    ],
    ids=str,
)
def test_what_is_no_time_is_refused(
    host: Actor, alice: Actor, connection: Connection, not_before: object
) -> None:
    """A time has an offset, and lies between 1970 and now; otherwise nothing is changed."""
    answer = host.put(f"/api/users/{alice.user_id}/not-before/", {"not_before": not_before})

    assert answer.status_code == 422
    assert answer.json()["pointer"] == "/not_before"
    assert read_disconnects(connection, alice) == []
    assert alice.get("/api/rooms/").status_code == 200


@pytest.mark.parametrize("ahead, status", [(55, 200), (65, 422)])
def test_a_clock_may_be_a_minute_ahead(host: Actor, alice: Actor, ahead: int, status: int) -> None:
    """A time far ahead by mistake would lock the user out, and could never be moved back."""
    body = {"not_before": write_time(time.time() + ahead)}

    assert host.put(f"/api/users/{alice.user_id}/not-before/", body).status_code == status


@pytest.mark.parametrize(
    "body, code",
    [
        (b"null", "invalid_input"),
        (b'"2026-01-31T09:30:00Z"', "invalid_input"),
        (b'{"notbefore":"2026-01-31T09:30:00Z"}', "invalid_input"),
        (b"{", "malformed_json"),
        (b"\xff", "malformed_json"),
    ],
)
def test_another_body_is_refused(host: Actor, alice: Actor, body: bytes, code: str) -> None:
    """A misspelt field is named; it is not taken for a request without one."""
    answer = host.http.put(
        f"/api/users/{alice.user_id}/not-before/",
        content=body,
        headers={"Content-Type": "application/json"},
    )

    assert answer.json()["code"] == code
    assert alice.get("/api/rooms/").status_code == 200


@pytest.mark.parametrize("body", [b"{}", b'{"not_before":null}'])
def test_an_empty_body_means_now(cast: Cast, host: Actor, alice: Actor, body: bytes) -> None:
    """No body, an empty object and a null are the same."""
    old = issued(cast, alice, time.time())
    answer = host.http.put(
        f"/api/users/{alice.user_id}/not-before/",
        content=body,
        headers={"Content-Type": "application/json"},
    )

    assert answer.status_code == 200
    assert old.get("/api/rooms/").status_code == 401


@pytest.mark.parametrize(
    "user_id",
    [
        *("a/b", "/", "a b", " ", "100%", "%41", "Ольга", "🙂", "e\u0301", ".", "..", "a+b@c"),
        *("auth0|x", "urn:x:1", "a?b", "a#b", "not-before", "x" * 119),
    ],
)
def test_the_id_is_percent_decoded_once(cast: Cast, host: Actor, user_id: str) -> None:
    """Every id can be written into the path, and stands for exactly its user."""
    if user_id.strip("."):  # other tests have tokens of users like these
        user_id += cast.user("").user_id
    path = f"/api/users/{quote(user_id, safe='')}/not-before/"

    answer = send_bytes(host, "PUT", path.encode())

    assert (answer.status, answer.json()["user"]) == (200, user_id)
    user = cast.with_token(make_token(user_id, iat=int(time.time()) - 1))
    assert user.get("/api/rooms/").json()["code"] == "token_revoked"


@pytest.mark.parametrize(
    "segment",
    [*(b"%", b"a%", b"%zz", b"%ff", b"%C3", b"%ED%A0%80", b"%00", b"%0A"), b"x" * 129],
)
def test_what_is_no_id_is_refused(host: Actor, segment: bytes) -> None:
    """Broken escapes, bytes that are not UTF-8 and impossible ids are refused."""
    answer = send_bytes(host, "PUT", b"/api/users/" + segment + b"/not-before/")

    assert (answer.status, answer.json()["pointer"]) == (422, "user_id")


def test_a_user_revokes_nobody(alice: Actor, bob: Actor) -> None:
    """Only the host knows who may: a user's own token revokes neither others' nor its own."""
    answers = [
        alice.put(f"/api/users/{user.user_id}/not-before/").json()["code"] for user in (alice, bob)
    ]

    assert answers == ["service_rights_required"] * 2
    assert bob.get("/api/rooms/").status_code == 200


def test_a_service_is_subject_to_it_too(cast: Cast) -> None:
    """A token with service rights is one of its `sub`, like any other."""
    now = time.time()
    user_id = cast.user("robot").user_id
    robot = cast.with_token(make_token(user_id, role="service", iat=now - 1), user_id)
    assert robot.post("/api/rooms/", {"name": "a"}).status_code == 201

    revoke(robot, robot)

    assert robot.post("/api/rooms/", {"name": "a"}).json()["code"] == "token_revoked"
    fresh = cast.with_token(make_token(user_id, role="service", iat=now + 5), user_id)
    assert fresh.post("/api/rooms/", {"name": "a"}).status_code == 201


def test_the_users_connections_are_ended(
    host: Actor, alice: Actor, bob: Actor, connection: Connection
) -> None:
    """With the revocation, Centrifugo gets the command that lets the clients ask for new tokens."""
    revoke(host, alice)

    assert read_disconnects(connection, alice) == [
        {"user": alice.user_id, "disconnect": {"code": 3014, "reason": "state invalidated"}}
    ]
    assert read_disconnects(connection, bob) == []


def test_the_command_revokes(
    cast: Cast, alice: Actor, connection: Connection, database_url: str
) -> None:
    """`manage.py revoke_tokens` does the same, and says from when on tokens are accepted."""
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=5)
    arguments = ("revoke_tokens", alice.user_id, "--not-before", at.isoformat())

    first = run_manage(*arguments, DATABASE_URL=database_url)
    second = run_manage(*arguments, DATABASE_URL=database_url)

    time_text = at.strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    begin = f"Tokens of {alice.user_id} issued before {time_text}"
    assert first == f"{begin} are refused.\n"
    assert second == f"{begin} were refused already; nothing was changed.\n"
    assert len(read_disconnects(connection, alice)) == 1
    # Exact although no process has been asked: the endpoint of tokens reads the user's own row.
    old = issued(cast, alice, at.timestamp() - 1)
    assert old.get("/api/token/connection/").json()["code"] == "token_revoked"


@pytest.mark.parametrize(
    "arguments, fact",
    [
        (["a\nb"], "no control characters"),
        (["alice", "--not-before", "yesterday"], "is not a time"),
        (["alice", "--not-before", "2026-01-31T09:30:00"], "is not a time"),
        (["alice", "--not-before", "2999-01-31T09:30:00Z"], "one minute from now"),
        ([], "required"),
    ],
)
def test_the_command_refuses_what_is_no_user_or_time(
    database_url: str, arguments: list[str], fact: str
) -> None:
    """It ends with an error that says why, and changes nothing."""
    done = call_manage("revoke_tokens", *arguments, DATABASE_URL=database_url)

    assert done.returncode != 0
    assert fact in done.stderr
