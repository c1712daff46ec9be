"""CORS_ALLOWED_ORIGINS: pages of these origins may call the API, and nobody else's may"""

import re
from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import Connection
from tests.support.actors import Actor, Cast
from tests.support.processes import serve_api

APP = "https://app.example.com"
SETTING = f"{APP} , capacitor://localhost  https://*.example.org:8443,HTTPS://UPPER.example.com"
PERMITTED = [
    *(APP, "capacitor://localhost", "https://a.example.org:8443", "https://b-1.example.org:8443"),
    "https://upper.example.com",
]
OTHERS = [
    *("https://evil.example", "null", "", "http://app.example.com", "https://app.example.com:8443"),
    *("https://example.org:8443", "https://a.b.example.org:8443", "https://a.example.org"),
    *("https://app.example.com.evil.example", "https://a.example.org:8443.evil.example"),
    *("https://evil.example/.example.org:8443", "https://app.example.com/", "*"),
]
EXPOSED = {"Allow", "Link", "Retry-After", "WWW-Authenticate", "X-Request-Id"}


@pytest.fixture(scope="module")
def open_url(database_url: str) -> Iterator[str]:
    """Return a server that pages of some origins may call."""
    with serve_api(database_url, CORS_ALLOWED_ORIGINS=SETTING) as url:
        yield url


@pytest.fixture
def people(open_url: str) -> Iterator[Cast]:
    """Return the cast of a test at that server, each on a page of the app."""
    with Cast(open_url, headers={"Origin": APP}) as cast:
        yield cast


def preflight(
    actor: Actor, path: str, method: str, origin: str = APP, **headers: str
) -> httpx.Response:
    """Ask as a browser asks before a request that not every page may send."""
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    return actor.http.options(path, headers=asked | headers)


def assert_readable(answer: httpx.Response, origin: str = APP) -> None:
    """Hold that a browser passes the answer and its headers on to the page."""
    assert answer.headers["access-control-allow-origin"] == origin
    assert set(answer.headers["access-control-expose-headers"].split(", ")) == EXPOSED
    assert "access-control-allow-credentials" not in answer.headers
    assert "Origin" in answer.headers["vary"].split(", ")
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "path, method",
    [
        *(("/api/rooms/", "GET"), ("/api/rooms/1/messages/", "POST"), ("/api/schema/", "HEAD")),
        *(("/api/rooms/1/members/a%2Fb/", "DELETE"), ("/api/nothing/", "GET"), ("/api", "GET")),
    ],
)
@pytest.mark.parametrize("origin", PERMITTED)
def test_a_preflight_allows_what_clients_send(
    people: Cast, origin: str, path: str, method: str
) -> None:
    """Without a token, for every address: a page can read the 404 of a wrong one."""
    asked = {"Access-Control-Request-Headers": "authorization,content-type"}
    answer = preflight(people.anonymous(), path, method, origin, **asked)

    assert (answer.status_code, answer.content) == (204, b"")
    assert_readable(answer, origin)
    assert method in answer.headers["access-control-allow-methods"].split(", ")
    allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "content-type", "x-request-id"} <= set(allowed)
    assert int(answer.headers["access-control-max-age"]) >= 600


def test_every_kind_of_answer_can_be_read(people: Cast, connection: Connection) -> None:
    """On the hot routes and with the framework, for each status that a client has to tell apart."""
    host, alice, bob = people.service(), people.user("alice"), people.user("bob")
    room = host.create_room(alice)
    messages = f"/api/rooms/{room}/messages/"
    chunked = iter([b'{"content":"x"}'])
    json = {"Content-Type": "application/json"}
    answers = {
        200: [
            alice.get(messages),
            alice.get(f"/api/rooms/{room}/members/"),
            alice.get("/health/live"),
        ],
        201: [alice.send(room, "one"), alice.http.post(messages, content=chunked, headers=json)],
        204: [host.delete(f"/api/rooms/{room}/members/nobody/"), alice.http.options(messages)],
        401: [people.anonymous().get(messages), people.with_token("x").get(messages)],
        403: [alice.post("/api/rooms/", {"name": "x"})],
        404: [bob.get(messages), alice.get("/api/nothing/")],
        405: [alice.http.put(messages)],
        413: [alice.http.post(messages, content=b" " * 70_000, headers=json)],
        415: [alice.http.post(messages, content=b"x", headers={"Content-Type": "text/plain"})],
        422: [alice.send(room, ""), alice.get(messages, limit=0)],
    }
    with connection.transaction():
        connection.execute("SELECT FROM chat_room WHERE id = %s FOR UPDATE", [room])
        answers[503] = [alice.send(room, "two"), bob.post(f"/api/rooms/{room}/join/")]

    for status, found in answers.items():
        for answer in found:
            assert answer.status_code == status, answer.text
            assert_readable(answer)
    assert all("retry-after" in answer.headers for answer in answers[503])


@pytest.mark.parametrize("origin", OTHERS)
def test_pages_of_other_origins_read_nothing(people: Cast, origin: str) -> None:
    """Neither a preflight nor an answer names them; caches learn that the origin matters."""
    alice = people.user("alice")
    alice.http.headers["Origin"] = origin

    answers = [alice.get("/api/rooms/"), preflight(alice, "/api/rooms/", "POST", origin)]

    assert [answer.status_code for answer in answers] == [200, 204]
    for answer in answers:
        assert not re.search("access-control", str(answer.headers))
        assert answer.headers["vary"] == "Origin"


def test_what_comes_without_an_origin_is_kept_apart(people: Cast) -> None:
    """An answer to a client that is no page says that it differs by origin."""
    alice = people.user("alice")
    del alice.http.headers["Origin"]

    answer = alice.get("/api/rooms/")

    assert answer.headers["vary"] == "Origin"
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "path", ["/admin/login/", "/", "/static/admin/css/base.css", "/favicon.ico"]
)
def test_the_admin_is_never_opened(people: Cast, path: str) -> None:
    """It has cookies: no page of another origin reads it, whatever the setting is."""
    guest = people.anonymous()

    for answer in (guest.get(path), preflight(guest, path, "POST")):
        assert not re.search("access-control", str(answer.headers))


def test_a_star_is_for_every_page(database_url: str) -> None:
    """It is safe, because the API reads no cookie: a page needs a token of its own."""
    with serve_api(database_url, CORS_ALLOWED_ORIGINS="*") as url, Cast(url) as cast:
        alice = cast.user("alice")
        asked = preflight(alice, "/api/rooms/", "GET", "https://any.example")
        answer = alice.http.get("/api/rooms/", headers={"Origin": "null"})
        admin = cast.anonymous().http.get("/admin/login/", headers={"Origin": APP})

    for one in (asked, answer):
        assert one.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in one.headers
    assert "access-control-allow-origin" not in admin.headers


def test_without_the_setting_nothing_is_added(alice: Actor) -> None:
    """No header of an answer speaks of origins."""
    alice.http.headers["Origin"] = APP

    for answer in (alice.get("/api/rooms/"), preflight(alice, "/api/rooms/", "GET")):
        assert not re.search("access-control|vary", str(answer.headers))
