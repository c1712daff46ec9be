"""GET /api/token/connection/ and /api/token/subscription/"""

import time
from typing import Any
from urllib.parse import quote

import httpx
import jwt
import pytest
from django.conf import settings

from chat.realtime.channels import personal_channel
from tests.conftest import Connection
from tests.support.actors import Actor, Cast, make_token

# Ids that are written otherwise in a channel's name, or in an address.
UNUSUAL = [
    *(
        "auth0|abc",
        "urn:x:1",
        "a+b@c",
        "a b",
        "Ольга",
        "🙂",
        "a#b",
        "a,b",
        "$a",
        "a*",
        "a&b",
        "a/b",
    ),
    *("100%", "~", "~20", "%20", "é", "personal:bob", "x" * 128),
]


def read_claims(answer: httpx.Response) -> dict[str, Any]:
    """Return the claims of the token in an answer, verified as Centrifugo verifies them."""
    assert answer.status_code == 200, answer.text
    return jwt.decode(
        answer.json()["token"],
        settings.CENTRIFUGO_TOKEN_SECRET,
        algorithms=["HS256"],
        options={"require": ["sub", "exp", "iat"]},
    )


def subscribe(actor: Actor, channel: str) -> httpx.Response:
    """Ask for a subscription token, the channel percent-encoded."""
    return actor.get(f"/api/token/subscription/?channel={quote(channel, safe='')}")


def test_a_connection_token_speaks_for_its_user(alice: Actor) -> None:
    """The token lets its bearer connect as the caller for up to ten minutes, and nothing else."""
    before = int(time.time())

    answer = alice.get("/api/token/connection/")

    claims = read_claims(answer)
    expiry = claims.pop("exp")
    assert claims == {"sub": alice.user_id, "iat": claims["iat"]}
    assert 480 <= expiry - claims["iat"] <= 600
    assert before <= claims["iat"] <= time.time()
    assert answer.json()["channel"] == f"personal:{alice.user_id}"


def test_a_subscription_token_opens_one_channel(alice: Actor) -> None:
    """The token lets the caller, and only the caller, subscribe to the caller's own channel."""
    answer = subscribe(alice, f"personal:{alice.user_id}")

    claims = read_claims(answer)
    expiry = claims.pop("exp")
    assert claims == {
        "sub": alice.user_id,
        "channel": f"personal:{alice.user_id}",
        "iat": claims["iat"],
    }
    assert 480 <= expiry - claims["iat"] <= 600
    assert answer.json()["channel"] == f"personal:{alice.user_id}"


def test_tokens_of_one_moment_expire_one_after_the_other(alice: Actor) -> None:
    """Clients that came together after an outage do not come back together for new tokens."""
    answers = [alice.get("/api/token/connection/") for _ in range(20)]

    lifetimes = {claims["exp"] - claims["iat"] for claims in map(read_claims, answers)}
    assert len(lifetimes) > 10


@pytest.mark.parametrize("user_id", UNUSUAL)
def test_unusual_ids_have_a_channel(cast: Cast, user_id: str) -> None:
    """Any user gets both tokens, names the channel by the id as it is or by the answered name."""
    user = cast.with_token(make_token(user_id), user_id)
    channel = personal_channel(user_id)

    connection = user.get("/api/token/connection/")
    answers = [subscribe(user, f"personal:{user_id}"), subscribe(user, channel)]

    assert connection.json()["channel"] == channel
    assert read_claims(connection)["sub"] == user_id
    assert [answer.json()["channel"] for answer in answers] == [channel, channel]
    assert [read_claims(answer)["channel"] for answer in answers] == [channel, channel]
    assert [read_claims(answer)["sub"] for answer in answers] == [user_id, user_id]


def test_the_channel_is_the_one_events_go_to(
    cast: Cast, host: Actor, alice: Actor, connection: Connection
) -> None:
    """The answered channel is the one that the outbox writes to for the same user."""
    user_id = f"Ольга & {alice.user_id}/#1"
    answer = cast.with_token(make_token(user_id)).get("/api/token/connection/")

    room = host.create_room(user_id)

    queued = connection.execute(
        "SELECT payload FROM chat_outbox WHERE payload->>'idempotency_key' LIKE %s",
        [f"%:{room}:1:0"],
    ).fetchone()
    assert queued is not None
    assert queued["payload"]["channels"] == [answer.json()["channel"]]


def test_the_command_of_the_readme_works(cast: Cast) -> None:
    """An id that needs no encoding is written into the address as it stands."""
    user = cast.with_token(make_token("u123"), "u123")

    assert user.get("/api/token/subscription/?channel=personal:u123").status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        *("", "channel=", "channel=personal:", "channel=personal", "channel=%00", "channel=%FF"),
        *("channel=personal:bob", "channel=bob", "channel=personal:bob%23", "channel=*"),
        *("chanel=personal:alice-{suffix}", "channel=alice-{suffix}"),
        *("channel=Personal:alice-{suffix}", "channel=personal:ALICE-{suffix}"),
        *("channel=rooms:alice-{suffix}", "channel=%23personal:alice-{suffix}"),
        *("channel=personal:alice-{suffix}%20", "channel=%20personal:alice-{suffix}"),
        *("channel=personal:alice-{suffix}%00", "channel=personal:alice-{suffix}%0A"),
        *("channel=personal:alice-{suffix},bob", "channel=personal:alice-{suffix}%23bob"),
        *("channel=personal:alice-{suffix}/", "channel=personal:~61lice-{suffix}"),
        "channel=personal:bob&channel=personal:alice-{suffix}",
    ],
)
def test_any_other_channel_is_refused(alice: Actor, query: str) -> None:
    """A user gets a token for the own channel only, and for no similar spelling of it."""
    suffix = alice.user_id.removeprefix("alice-")

    answer = alice.get(f"/api/token/subscription/?{query.format(suffix=suffix)}")

    assert answer.status_code == 422
    assert answer.json()["pointer"] == "channel"


def test_the_service_gets_no_other_channel_either(host: Actor, alice: Actor) -> None:
    """Service rights are rights over rooms, not over what users receive."""
    assert subscribe(host, f"personal:{alice.user_id}").status_code == 422


def test_an_escaped_name_is_its_owners_alone(cast: Cast) -> None:
    """A user whose id looks like the escaped channel of another user gets a channel of its own."""
    owner = cast.with_token(make_token("a b"), "a b")
    imitator = cast.with_token(make_token("a~20b"), "a~20b")

    owned = read_claims(subscribe(owner, "personal:a~20b"))
    imitated = read_claims(subscribe(imitator, "personal:a~20b"))

    assert (owned["sub"], owned["channel"]) == ("a b", "personal:a~20b")
    assert (imitated["sub"], imitated["channel"]) == ("a~20b", "personal:a~7e20b")


def test_centrifugo_tokens_are_no_api_tokens(cast: Cast, alice: Actor) -> None:
    """The two secrets differ, so what a client hands to Centrifugo opens nothing here."""
    token = alice.get("/api/token/connection/").json()["token"]

    assert cast.with_token(token).get("/api/rooms/").status_code == 401


@pytest.mark.parametrize("name", ["connection", "subscription"])
def test_tokens_need_a_token(anonymous: Actor, name: str) -> None:
    """Nobody in particular has no channel."""
    assert anonymous.get(f"/api/token/{name}/").status_code == 401


def test_a_plus_may_stand_unescaped(cast: Cast) -> None:
    """An address with the channel pasted in as it is works for ids with a `+` too."""
    user = cast.with_token(make_token("a+b@c"), "a+b@c")

    answer = user.http.get("/api/token/subscription/?channel=personal:a+b@c")

    assert answer.json()["channel"] == "personal:a+b@c"


def ask_both(actor: Actor) -> list[httpx.Response]:
    """Ask for a token of each kind."""
    return [actor.get("/api/token/connection/"), subscribe(actor, f"personal:{actor.user_id}")]


@pytest.mark.parametrize("left", [-20, 0, 60, 400])
def test_no_token_outlives_the_one_it_was_asked_for_with(cast: Cast, left: int) -> None:
    """A JWT is valid until `exp` and 30 seconds of leeway, and what it gets is not valid longer."""
    until = int(time.time()) + left + 30
    user = cast.with_token(make_token("short", exp=until - 30), "short")

    expiries = [read_claims(answer)["exp"] for _ in range(5) for answer in ask_both(user)]

    assert set(expiries) == {until}


def test_a_longer_jwt_changes_nothing(cast: Cast) -> None:
    """A JWT for a day, or for ever, gets tokens for the time that is configured."""
    for exp in (int(time.time()) + 86_400, 10**400):
        for answer in ask_both(cast.with_token(make_token("long", exp=exp), "long")):
            claims = read_claims(answer)
            assert 480 <= claims["exp"] - claims["iat"] <= 600


@pytest.mark.parametrize("left, status", [(8, 200), (4, 401)])
def test_a_token_that_is_about_to_end_is_refused_or_usable(
    cast: Cast, left: int, status: int
) -> None:
    """In its last five seconds a JWT gets no token that ends before it is used, but a reason."""
    user = cast.with_token(make_token("late", exp=int(time.time()) + left - 30), "late")
    assert user.get("/api/rooms/").status_code == 200

    for answer in ask_both(user):
        assert answer.status_code == status
        if status == 401:
            assert answer.json()["code"] == "invalid_token"
            assert "less than 5 seconds" in answer.json()["detail"]
            assert answer.headers["www-authenticate"] == "Bearer"
        else:
            assert read_claims(answer)["exp"] - time.time() > 4


def test_a_token_is_stored_by_nobody_on_the_way(alice: Actor) -> None:
    """Caches of proxies and browsers keep no copy of a secret."""
    assert {answer.headers["cache-control"] for answer in ask_both(alice)} == {"no-store"}
