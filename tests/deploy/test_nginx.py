"""The shipped nginx configuration before a real API and a real admin."""

import re
import subprocess
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.deploy.front import Front, nginx_command, write_configuration
from tests.support.actors import Actor, Cast

JSON = {"Content-Type": "application/json"}
OUTER = {"Host": "localhost:8443", "X-Forwarded-Proto": "https"}


def test_nginx_accepts_the_configuration(tmp_path: Path) -> None:
    """`nginx -t` finds no error and nothing to warn of."""
    configuration = write_configuration(tmp_path, port=1, backend=9, admin=9)

    done = subprocess.run(
        [*nginx_command(configuration), "-t"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr, done.stderr


@pytest.mark.parametrize(
    "user",
    ["a/b", "a%2Fb", "50%", "юзер", "a b", "a//b", "../../../../admin", "x?y=1", "a;b#c"],
)
def test_the_raw_path_reaches_the_api(guests: Cast, user: str) -> None:
    """Any user id, percent-encoded in the path, names the same member as without nginx."""
    host = guests.service()
    alice = guests.user("alice")
    room = host.create_room(alice, user)

    answer = host.delete(f"/api/rooms/{room}/members/{quote(user, safe='')}/")

    assert answer.status_code == 204, answer.text
    members = alice.get(f"/api/rooms/{room}/members/").json()["results"]
    assert [member["user"] for member in members] == [alice.user_id]


def test_bytes_that_are_no_text_are_refused_by_the_api(guests: Cast) -> None:
    """%FF in a path is answered as the API answers it, with its pointer."""
    host = guests.service()
    room = host.create_room("x")

    answer = host.delete(f"/api/rooms/{room}/members/%FF/")

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/api", "/api/nothing/", "/health/nothing"])
def test_the_api_answers_below_its_prefixes(guests: Cast, path: str) -> None:
    """An unknown path below /api or /health gets the API's 404."""
    answer = guests.service().get(path)

    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


@pytest.mark.parametrize("path", ["/apiary/", "/healthy", "/admin/login/"])
def test_the_admin_answers_everything_else(guests: Cast, path: str) -> None:
    """A path that only begins like the API's is Django's."""
    answer = guests.anonymous().get(path)

    assert answer.headers["content-type"].startswith("text/html")


def test_static_files_come_from_nginx(guests: Cast) -> None:
    """The admin's style sheets are served, and may be cached."""
    answer = guests.anonymous().get("/static/admin/css/base.css")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/css"
    assert answer.headers["cache-control"] == "max-age=3600"


def test_addresses_of_pages_are_the_outer_ones(guests: Cast) -> None:
    """`next` names the scheme, host and port that the client used, and leads to the next page."""
    host = guests.service()
    alice = guests.user("alice")
    for _ in range(2):
        host.create_room(alice)

    plain = alice.get("/api/rooms/", limit=1).json()["next"]
    outer = alice.http.get("/api/rooms/?limit=1", headers=OUTER).json()["next"]

    assert plain.startswith(f"{guests.url}/api/rooms/?")
    assert len(alice.http.get(plain).json()["results"]) == 1
    assert outer.startswith("https://localhost:8443/api/rooms/?")


def send_sized(actor: Actor, size: int, *, chunked: bool) -> httpx.Response:
    """Post a body of so many bytes."""
    body = b'{"name":"' + b"x" * (size - 11) + b'"}'
    assert len(body) == size
    return actor.http.post("/api/rooms/", content=iter([body]) if chunked else body, headers=JSON)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_above_64_kib_is_a_problem_document(
    guests: Cast, api_url: str, *, chunked: bool
) -> None:
    """Nginx refuses it with the document that the API itself answers."""
    answer = send_sized(guests.service(), 65_537, chunked=chunked)
    with Cast(api_url) as direct:
        own = send_sized(direct.service(), 65_537, chunked=False)

    assert answer.status_code == own.status_code == 413
    assert answer.headers["content-type"] == own.headers["content-type"]
    assert answer.json() == own.json()


def test_a_body_of_64_kib_reaches_the_api(guests: Cast) -> None:
    """The limits agree to the byte: at the limit, the API reads the body and refuses the name."""
    answer = send_sized(guests.service(), 65_536, chunked=False)

    assert answer.status_code == 422
    assert answer.json()["pointer"] == "/name"


def test_a_token_of_8_kib_reaches_the_api(guests: Cast) -> None:
    """A long token reaches the API, which refuses it."""
    answer = guests.with_token("x" * 8192).get("/api/rooms/")

    assert answer.status_code == 401
    assert answer.json()["code"] == "invalid_token"


@pytest.mark.parametrize(
    ("path", "token", "status", "code"),
    [
        ("/api/rooms/", "x" * 17_000, 431, "header_too_large"),
        ("/api/rooms/?q=" + "x" * 17_000, "x", 414, "address_too_long"),
        ("/api/%00/", "x", 400, "bad_request"),
    ],
)
def test_what_nginx_refuses_is_a_problem_document(
    guests: Cast, path: str, token: str, status: int, code: str
) -> None:
    """Clients of the API never have to parse a page of nginx."""
    answer = guests.with_token(token).get(path)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["status"], answer.json()["code"]) == (status, code)


def test_the_log_holds_no_token(front: Front) -> None:
    """Neither a header nor a query string is logged."""
    with Cast(front.url) as people:
        people.with_token("token-in-the-header").get("/api/rooms/", token="token-in-the-query")

    assert re.search(r" GET /api/rooms/ 401 ", front.access_log)
    assert "token-in" not in front.access_log
