"""The page's example: the service at https://example.com/chat/, behind two proxies."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.deploy.front import Front
from tests.deploy.mount import run_mount
from tests.support.actors import Cast


@pytest.fixture(scope="module")
def mounted(front: Front, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cast]:
    """Return a cast that reaches the shipped nginx through the one of the page."""
    folder: Path = tmp_path_factory.mktemp("outer")
    with run_mount(folder, front=front.port) as url, Cast(url) as people:
        yield people


def test_a_walk_stays_below_the_mount(mounted: Cast) -> None:
    """`next` is the address that the client can ask for as it is."""
    host, alice = mounted.service(), mounted.user("alice")
    rooms = {host.create_room(alice) for _ in range(3)}

    found, address = set(), f"{mounted.url}/api/rooms/?limit=1"
    while address:
        page = alice.http.get(address).raise_for_status().json()
        found |= {room["id"] for room in page["results"]}
        address = page["next"]
        assert address is None or address.startswith(f"{mounted.url}/api/rooms/?")

    assert found == rooms


@pytest.mark.parametrize("user", ["a/b", "50%", "/chat/", "../../admin", "юзер", "a//b"])
def test_user_ids_pass_both_proxies(mounted: Cast, user: str) -> None:
    """The path arrives byte by byte, without its prefix."""
    host, alice = mounted.service(), mounted.user("alice")
    room = host.create_room(alice, user)

    answer = host.delete(f"/api/rooms/{room}/members/{quote(user, safe='')}/")

    assert answer.status_code == 204, answer.text
    assert alice.get(f"/api/rooms/{room}/").json()["member_count"] == 1


def test_the_admin_is_below_the_mount(mounted: Cast) -> None:
    """From the bare prefix to the login page with its style sheet."""
    guest = mounted.anonymous()
    root = mounted.url.removesuffix("/chat")

    bare = httpx.get(f"{root}/chat")
    form = guest.http.get("/", follow_redirects=True)
    style = re.search(r'href="(/chat/static/[^"]*base\.css)"', form.text)

    assert (bare.status_code, bare.headers["location"].removeprefix(root)) == (308, "/chat/")
    assert str(form.url) == f"{mounted.url}/admin/login/?next=/chat/admin/"
    assert style
    assert httpx.get(root + style[1]).headers["content-type"] == "text/css"
    assert "Path=/chat/" in form.headers["set-cookie"]
