"""The shipped nginx configuration before a real API and a real admin."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.deploy.compose import service_environment
from tests.deploy.front import (
    CONFIGURATION,
    Front,
    nginx_command,
    run_nginx,
    write_configuration,
)
from tests.deploy.image import serve_command
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


@pytest.mark.parametrize("outer", ["/chat", "/a/b"])
def test_the_prefix_of_the_outer_proxy_is_passed_on(guests: Cast, outer: str) -> None:
    """That proxy strips it from the path; links, redirects and cookies have it."""
    host, alice = guests.service(), guests.user("alice")
    for _ in range(2):
        host.create_room(alice)
    named = OUTER | {"X-Forwarded-Prefix": outer}

    page = alice.http.get("/api/rooms/?limit=1", headers=named).json()
    admin = guests.anonymous().http.get("/admin/", headers=named)
    form = guests.anonymous().http.get("/admin/login/", headers=named)

    assert page["next"].startswith(f"https://localhost:8443{outer}/api/rooms/?")
    assert admin.headers["location"] == f"{outer}/admin/login/?next={outer}/admin/"
    assert f"Path={outer}/" in form.headers["set-cookie"]
    assert f'href="{outer}/static/admin/css/base.css"' in form.text


@pytest.mark.parametrize("value", ["//evil.com", "https://evil.com", "chat", "/..", "/a b"])
def test_what_is_no_prefix_is_not_passed_on(guests: Cast, value: str) -> None:
    """The links are then those without one."""
    host, alice = guests.service(), guests.user("alice")
    for _ in range(2):
        host.create_room(alice)

    answer = alice.http.get("/api/rooms/?limit=1", headers=OUTER | {"X-Forwarded-Prefix": value})

    assert answer.json()["next"].startswith("https://localhost:8443/api/rooms/?")


def test_a_prefix_from_a_public_address_is_not_passed_on(database_url: str, tmp_path: Path) -> None:
    """Only a proxy in a private network names it; here no network is taken for one."""
    (networks,) = re.findall(r"\$is_from_proxy \{\n(.*?)\n    \}", CONFIGURATION, re.DOTALL)
    trusted = re.findall(r"set_real_ip_from (\S+);", CONFIGURATION)
    assert re.findall(r"(\S+) 1;", networks) == trusted != []
    with (
        serve_command(service_environment("backend", database_url)) as backend,
        run_nginx(
            tmp_path, backend=backend, replaced={networks: networks.replace(" 1;", " 0;")}
        ) as front,
        Cast(front.url) as people,
    ):
        document = people.anonymous().http.get(
            "/api/schema/", headers={"X-Forwarded-Prefix": "/chat"}
        )

    assert document.json()["servers"] == [{"url": "/"}]


@pytest.fixture(scope="module")
def eager(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cast]:
    """Return a cast before an nginx that compresses the shortest answer that it may compress."""
    folder: Path = tmp_path_factory.mktemp("eager")
    with ExitStack() as stack:
        backend, admin = (
            stack.enter_context(serve_command(service_environment(name, database_url)))
            for name in ("backend", "admin")
        )
        changes = {"gzip_min_length": "1"}
        front = stack.enter_context(
            run_nginx(folder, backend=backend, admin=admin, changes=changes)
        )
        yield stack.enter_context(Cast(front.url))


def test_answers_of_the_api_are_compressed(guests: Cast) -> None:
    """A page of messages takes less than half of its size; a short answer stays as it is."""
    host, alice = guests.service(), guests.user("alice")
    room = host.create_room(alice)
    for number in range(20):
        alice.send(room, f"Message number {number}, with a text of some words.")

    page = alice.get(f"/api/rooms/{room}/messages/")
    plain = alice.http.get(page.url, headers={"Accept-Encoding": "identity"})
    short = alice.get("/api/rooms/0/")

    assert page.headers["content-encoding"] == "gzip"
    assert page.headers["vary"] == "Accept-Encoding"
    assert page.num_bytes_downloaded * 2 < len(page.content)
    assert page.content == plain.content
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in short.headers


def test_tokens_and_pages_of_the_admin_are_never_compressed(eager: Cast) -> None:
    """The length of an answer says nothing of a secret in it (BREACH), however short it is."""
    alice = eager.user("alice")
    secret = [
        alice.get("/api/token/connection/"),
        alice.get("/api/token/subscription/", channel=f"personal:{alice.user_id}"),
        alice.get("/api/token/subscription/", channel="x"),
        eager.anonymous().get("/admin/login/"),
    ]
    other = [alice.get("/api/rooms/"), eager.anonymous().get("/static/admin/css/base.css")]

    assert [answer.status_code for answer in secret] == [200, 200, 422, 200]
    assert [answer.headers.get("content-encoding") for answer in secret] == [None] * 4
    assert [answer.headers.get("content-encoding") for answer in other] == ["gzip"] * 2


@pytest.mark.parametrize("path", ["/api/rooms/", "/api/%00/"])
def test_pages_can_read_what_nginx_refuses(guests: Cast, path: str) -> None:
    """A page of any origin learns why: the texts are the same for everyone."""
    answer = guests.service().http.post(
        path, content=b" " * 70_000, headers=JSON | {"Origin": "https://app.example.com"}
    )

    assert answer.status_code in {400, 413}
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"] == "no-store"


def test_a_head_through_nginx_has_no_body(guests: Cast) -> None:
    """Status and length come through as the API answers them."""
    alice = guests.user("alice")
    plain = {"Accept-Encoding": "identity"}

    got, head = (alice.http.request(way, "/api/rooms/", headers=plain) for way in ("GET", "HEAD"))

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"] == str(len(got.content))
