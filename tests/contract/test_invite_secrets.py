"""What a new SECRET_KEY means for the tokens of invites."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.actors import Cast
from tests.support.processes import serve_api

JWT_SECRET, FIRST, SECOND = (secrets.token_urlsafe(48) for _ in range(3))


@contextmanager
def serve_with(database_url: str, secret: str, before: str = "") -> Iterator[Cast]:
    """Give the cast behind an API that signs with one secret, and accepts a second one."""
    with (
        serve_api(
            database_url, JWT_SECRET=JWT_SECRET, SECRET_KEY=secret, SECRET_KEY_BEFORE=before
        ) as url,
        Cast(url, secret=JWT_SECRET) as cast,
    ):
        yield cast


def test_a_link_works_as_long_as_the_secret_of_before_is_accepted(database_url: str) -> None:
    """As the steps of docs/secrets.md: no link stops working while both secrets are accepted."""
    with serve_with(database_url, FIRST, SECOND) as cast:
        host = cast.service()
        room = host.create_room()
        invite = host.post(f"/api/rooms/{room}/invites/").json()
    with serve_with(database_url, SECOND, FIRST) as cast:
        (listed,) = cast.service().get(f"/api/rooms/{room}/invites/").json()["results"]
        for token in (invite["token"], listed["token"]):
            assert cast.user("alice").post(f"/api/invites/{token}/accept/").status_code == 200
    with serve_with(database_url, SECOND) as cast:
        assert cast.user("bob").get(f"/api/invites/{invite['token']}/").status_code == 404
        assert cast.user("bob").get(f"/api/invites/{listed['token']}/").status_code == 200

    assert listed["token"] != invite["token"]
    assert {**listed, "token": ""} == {**invite, "token": ""}
