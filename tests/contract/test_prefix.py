"""A path prefix, by --root-path and by X-Forwarded-Prefix: links and routes below it"""

import re
import secrets
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.contract.wire import send_bytes
from tests.support.actors import Actor, Cast
from tests.support.processes import run_manage, serve_api

NAMED = {"X-Forwarded-Prefix": "/chat"}
HOSTILE = [
    *(b"//evil.com", b"https://evil.com", b"/chat/../..", b"/%2e%2e", b"chat", b"/a b", b"/\xff"),
    *(b"/chat\r\nX-Forwarded-Prefix: /other", b"/a, /b", b"/chat\tx", b"/" + b"x" * 300),
]


@pytest.fixture(scope="module", params=["/chat", "/chat/"])
def rooted(request: pytest.FixtureRequest, database_url: str) -> Iterator[str]:
    """Return a server that was started with `--root-path`, with and without a slash at its end."""
    with serve_api(database_url, options=["--root-path", request.param]) as url:
        yield url


@pytest.fixture(scope="module")
def wary(database_url: str) -> Iterator[str]:
    """Return a server that trusts a proxy at another address only."""
    with serve_api(database_url, FORWARDED_ALLOW_IPS="192.0.2.1") as url:
        yield url


@pytest.fixture(scope="module", params=["--root-path", "X-Forwarded-Prefix"])
def below(request: pytest.FixtureRequest, database_url: str, api_url: str) -> Iterator[Cast]:
    """Return a cast whose server is reached at `/chat`, by either way."""
    if request.param == "X-Forwarded-Prefix":
        with Cast(api_url, headers=NAMED) as people:
            yield people
        return
    with serve_api(database_url, options=["--root-path", "/chat"]) as url, Cast(url) as people:
        yield people


def make_pages(people: Cast) -> tuple[Actor, int]:
    """Return a member of a room with two messages."""
    alice = people.user("alice")
    room = people.service().create_room(alice)
    for text in ("one", "two"):
        assert alice.send(room, text).status_code == 201
    return alice, room


def read_links(actor: Actor, first: str) -> Iterator[httpx.URL]:
    """Follow `next` from an address to the end and give every link that was met."""
    address: str | None = first
    while address is not None:
        page = actor.get(address).raise_for_status().json()
        yield from (httpx.URL(link) for link in (page["next"], page["previous"]) if link)
        address = page["next"]


@pytest.mark.parametrize("arrives_as", ["", "/chat"])
@pytest.mark.parametrize(
    "path", ["/api/rooms/ROOM/messages/?limit=1", "/api/rooms/ROOM/events/?limit=1"]
)
def test_a_walk_stays_below_the_prefix(below: Cast, arrives_as: str, path: str) -> None:
    """Whether the proxy strips the prefix or not, `next` and `previous` have it, and lead on."""
    alice, room = make_pages(below)

    links = list(read_links(alice, arrives_as + path.replace("ROOM", str(room))))

    assert len(links) >= 2
    assert {link.path for link in links} == {
        f"/chat{path.partition('?')[0]}".replace("ROOM", str(room))
    }
    assert {link.host for link in links} == {"127.0.0.1"}


def test_root_path_may_end_with_a_slash(rooted: str) -> None:
    """`/chat/` means what `/chat` does."""
    with Cast(rooted) as people:
        alice, room = make_pages(people)
        page = alice.get(f"/api/rooms/{room}/messages/", limit=1).json()

    assert urlsplit(page["next"]).path == f"/chat/api/rooms/{room}/messages/"


@pytest.mark.parametrize("arrives_as", ["", "/chat"])
@pytest.mark.parametrize("user", ["a%2Fb", "%2Fchat%2F", "..%2F..%2Fapi", "50%25", "%D1%8E"])
def test_user_ids_with_slashes_are_found(below: Cast, arrives_as: str, user: str) -> None:
    """What is escaped below the prefix reaches the API byte by byte."""
    host, alice = below.service(), below.user("alice")
    room = host.create_room(alice, httpx.QueryParams(f"u={user}")["u"])

    answer = host.delete(f"{arrives_as}/api/rooms/{room}/members/{user}/")

    assert answer.status_code == 204, answer.text
    assert alice.get(f"/api/rooms/{room}/").json()["member_count"] == 1


@pytest.mark.parametrize("arrives_as", ["", "/chat"])
def test_the_description_names_the_prefix(below: Cast, arrives_as: str) -> None:
    """OpenAPI's `servers` has it, and each example of the page is sent below it."""
    guest = below.anonymous()

    document = guest.get(f"{arrives_as}/api/schema/").json()
    page = guest.get(f"{arrives_as}/api/docs/").text

    assert document["servers"] == [{"url": "/chat"}]
    examples = re.findall(r"curl .*?&#x27;(\S+?)&#x27;|curl [^']*'(\S+?)'", page)
    assert examples
    base = f"{guest.http.base_url}".rstrip("/")
    assert all(("".join(found)).startswith(f"{base}/chat/") for found in examples), examples[0]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_prefix_is_ignored(api_url: str, value: bytes) -> None:
    """Not even from a trusted proxy, which may have passed on what a client sent."""
    with Cast(api_url) as people:
        alice, room = make_pages(people)
        target = f"/api/rooms/{room}/messages/?limit=1".encode()
        answer = send_bytes(alice, "GET", target, headers=b"X-Forwarded-Prefix: " + value + b"\r\n")

    assert answer.status == 200, answer.body
    assert answer.json()["next"].startswith(f"http://localhost/api/rooms/{room}/messages/?limit=1&")


def test_a_stranger_names_no_prefix(wary: str) -> None:
    """Only the proxies of FORWARDED_ALLOW_IPS do: from others the header changes nothing."""
    with Cast(wary, headers=NAMED) as people:
        alice, room = make_pages(people)
        page = alice.get(f"/api/rooms/{room}/messages/", limit=1).json()

        assert urlsplit(page["next"]).path == f"/api/rooms/{room}/messages/"
        assert alice.get("/chat/api/rooms/").status_code == 404
        assert people.anonymous().get("/api/schema/").json()["servers"] == [{"url": "/"}]


def test_the_prefix_of_one_request_is_not_that_of_the_next(api_url: str) -> None:
    """Requests with and without a prefix take turns on one connection."""
    with Cast(api_url) as people:
        alice, room = make_pages(people)
        seen = [
            urlsplit(
                alice.http.get(
                    f"/api/rooms/{room}/messages/?limit=1",
                    headers={"X-Forwarded-Prefix": prefix} if prefix else {},
                ).json()["next"]
            ).path.removesuffix(f"/api/rooms/{room}/messages/")
            for prefix in ("/a", "", "/b", "/c/d", "")
        ]

    assert seen == ["/a", "", "/b", "/c/d", ""]


def test_a_prefix_stands_before_root_path(rooted: str) -> None:
    """The proxy knows where clients are: its prefix replaces that of the command line."""
    with Cast(rooted, headers={"X-Forwarded-Prefix": "/outer"}) as people:
        alice, room = make_pages(people)
        page = alice.get(f"/outer/api/rooms/{room}/messages/", limit=1).json()

    assert urlsplit(page["next"]).path == f"/outer/api/rooms/{room}/messages/"


@pytest.fixture(scope="module")
def account(database_url: str) -> dict[str, str]:
    """Return name and password of someone who may use the admin."""
    name, password = f"staff-{secrets.token_hex(4)}", secrets.token_urlsafe()
    run_manage(
        *("createsuperuser", "--no-input", "--username", name, "--email", "staff@example.com"),
        DATABASE_URL=database_url,
        DJANGO_SUPERUSER_PASSWORD=password,
    )
    return {"username": name, "password": password}


@pytest.mark.parametrize("arrives_as", ["", "/chat"])
def test_staff_work_below_the_prefix(below: Cast, account: dict[str, str], arrives_as: str) -> None:
    """Redirects, the form, style sheets, links and cookies of the admin stay below it."""
    browser = below.anonymous().http
    browser.cookies.clear()
    refused = browser.get(f"{arrives_as}/admin/")
    assert refused.headers["location"] == "/chat/admin/login/?next=/chat/admin/"
    assert browser.get(f"{arrives_as}/").headers["location"] == "/chat/admin/"
    form = browser.get(f"{arrives_as}/admin/login/?next=/chat/admin/")
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form.text)
    assert token, form.text

    entered = browser.post(
        f"{arrives_as}/admin/login/?next=/chat/admin/",
        data={"csrfmiddlewaretoken": token[1], **account},
        headers={"Cookie": f"csrftoken={form.cookies['csrftoken']}"},
    )
    session = {"Cookie": f"sessionid={entered.cookies['sessionid']}"}
    index = browser.get(f"{arrives_as}/admin/", headers=session)

    assert (entered.status_code, entered.headers["location"]) == (302, "/chat/admin/")
    paths = re.findall(
        r"(?i)path=([^;,]*)",
        ",".join(
            value for answer in (form, entered) for value in answer.headers.get_list("set-cookie")
        ),
    )
    assert paths
    assert set(paths) == {"/chat/"}
    assert index.status_code == 200
    links = set(re.findall(r'(?:href|src|action)="(/[^"]*)"', form.text + index.text))
    assert links
    assert {link for link in links if not link.startswith("/chat/")} == set()
    for link in links:
        address = arrives_as + link.removeprefix("/chat")
        if "/static/" in link:
            assert browser.get(address).status_code == 200, link
        elif "/login/" not in link and "/logout/" not in link:
            assert browser.get(address, headers=session).status_code == 200, link
    icon = browser.get(f"{arrives_as}/favicon.ico")
    assert icon.headers["location"] == "/chat/static/chat/icon.svg"


def test_without_a_prefix_cookies_are_for_the_whole_host(api_url: str) -> None:
    """As before: the admin then is at the root."""
    form = httpx.get(f"{api_url}/admin/login/")

    assert "Path=/;" in form.headers["set-cookie"] + ";"
