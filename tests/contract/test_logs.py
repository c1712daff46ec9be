"""What the service writes about its requests."""

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.support.actors import Cast
from tests.support.processes import serve_api

JWT_SECRET = "a-jwt-secret-of-the-log-tests-0123456789"
PRODUCTION = {
    "DEBUG": "0",
    "LOG_LEVEL": "INFO",
    "ALLOWED_HOSTS": "127.0.0.1",
    "SECRET_KEY": "a-secret-key-of-the-log-tests-0123456789",
    "JWT_SECRET": JWT_SECRET,
    "CENTRIFUGO_TOKEN_SECRET": "a-centrifugo-secret-of-the-log-tests-01",
}


@pytest.fixture
def lines_of_a_failure(clone_database: Callable[[], str], tmp_path: Path) -> list[str]:
    """Return the log, in production's form, of a request that meets a defect."""
    database_url = clone_database()
    log = tmp_path / "log"
    with (
        log.open("wb") as output,
        serve_api(database_url, output=output, **PRODUCTION) as url,
        Cast(url, secret=JWT_SECRET) as cast,
    ):
        room = cast.service().create_room(cast.user("alice"))
        with psycopg.connect(database_url) as connection:
            connection.execute(
                "ALTER TABLE chat_message ADD CONSTRAINT refused CHECK (content !~ 'canary')"
            )
        answer = cast.user("alice").send(room, "the canary content\r\n{}")
        assert answer.status_code == 500
        assert "canary" not in answer.text
    return log.read_text().splitlines()


@pytest.mark.slow
def test_a_defect_is_found_by_its_id_and_shows_no_content(lines_of_a_failure: list[str]) -> None:
    """Each line is one JSON object; the failure bears the request's id, and nothing private."""
    entries = [json.loads(line) for line in lines_of_a_failure]

    (failure,) = [entry for entry in entries if entry["event"] == "request_failed"]
    (request,) = [entry for entry in entries if entry.get("status") == 500]
    assert failure["request_id"] == request["request_id"]
    assert (failure["sqlstate"], failure["constraint"]) == ("23514", "refused")
    assert request["route"] == "/api/rooms/{room_id}/messages"
    assert request["duration_ms"] > 0
    everything = "\n".join(lines_of_a_failure)
    assert "canary" not in everything
    assert "eyJ" not in everything
    assert "the-log-tests" not in everything


def send_and_be_refused(cast: Cast, room: int) -> list[httpx.Response]:
    """Send by the framework's way (a chunked body) and by the short one, and provoke refusals."""
    alice, charlie = cast.user("alice"), cast.user("charlie")
    path = f"/api/rooms/{room}/messages/"
    chunks = iter([b'{"content":"the canary", ', b'"client_id":"a-canary"}'])
    return [
        alice.http.post(path, content=chunks, headers={"Content-Type": "application/json"}),
        alice.send(room, "the canary", "a-canary"),
        alice.send(room, '{"id":7,"a":"canary"}'),
        alice.send(room, "another canary", "a-canary"),
        charlie.send(room, "canary"),
        alice.post(path, {"content": ""}),
        cast.anonymous().get(path),
        alice.get(f"/api/rooms/{room}/", canary="canary"),
        alice.get("/api/rooms/99999999999999999999/"),
    ]


@pytest.mark.slow
def test_a_complaint_leads_to_its_requests(
    clone_database: Callable[[], str], tmp_path: Path
) -> None:
    """Each line names the user, the room, the message that was sent and the code of a refusal.

    Of a send, of a repeated one, and of every refusal; and nothing of what was written.
    """
    log = tmp_path / "log"
    with (
        log.open("wb") as output,
        serve_api(clone_database(), output=output, **PRODUCTION) as url,
        Cast(url, secret=JWT_SECRET) as cast,
    ):
        alice, charlie = cast.user("alice").user_id, cast.user("charlie").user_id
        room = cast.service().create_room(alice)
        answers = send_and_be_refused(cast, room)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    by_id = {line["request_id"]: line for line in lines if line["event"] == "request"}
    found = [by_id[answer.headers["x-request-id"]] for answer in answers]

    first, second = answers[0].json()["id"], answers[2].json()["id"]
    assert [(line["user"], line["room"], line["message"], line["code"]) for line in found] == [
        (alice, room, first, None),
        (alice, room, first, None),
        (alice, room, second, None),
        (alice, room, None, "client_id_conflict"),
        (charlie, room, None, "not_found"),
        (alice, room, None, "invalid_input"),
        (None, room, None, "invalid_token"),
        (alice, room, None, None),
        (alice, None, None, "not_found"),
    ]
    assert "canary" not in log.read_text()


@pytest.mark.slow
def test_a_reader_that_stops_delays_no_request(clone_database: Callable[[], str]) -> None:
    """While nobody reads stderr, requests are answered; when it is read again, no line is missing.

    A pipe holds 64 KB, about 250 lines.
    """
    reading, writing = os.pipe()
    found: list[bytes] = []

    def read() -> None:
        while part := os.read(reading, 65536):
            found.append(part)

    reader = threading.Thread(target=read)
    with (
        os.fdopen(writing, "wb") as output,
        serve_api(clone_database(), output=output, **PRODUCTION) as url,
        Cast(url, secret=JWT_SECRET) as cast,
    ):
        users = [cast.user(f"\u2028-{number}") for number in range(1000)]
        statuses = {user.get("/api/rooms/").status_code for user in users}
        reader.start()
    reader.join(timeout=10)
    os.close(reading)

    assert statuses == {200}
    lines = [json.loads(line) for line in b"".join(found).decode("ascii").splitlines()]
    logged = [line["user"] for line in lines if line.get("route") == "/api/rooms"]
    assert logged == [user.user_id for user in users]
