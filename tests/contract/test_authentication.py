"""Who is let in: the Authorization header of every request"""

import base64
import hashlib
import hmac
import json
import time

import httpx
import pytest
from django.conf import settings

from tests.contract.wire import send_bytes
from tests.support.actors import Actor, Cast, make_token

PATH = "/api/rooms/"
NOW = int(time.time())


def encode(part: object) -> bytes:
    """Return one segment of a token; bytes stand for themselves."""
    content = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def sign(claims: object, header: object = None, secret: str | None = None) -> str:
    """Return a token with a valid HS256 signature, whatever its header and claims are."""
    signed = encode(header or {"alg": "HS256", "typ": "JWT"}) + b"." + encode(claims)
    key = (secret or settings.JWT_SECRET).encode()
    return (signed + b"." + encode(hmac.new(key, signed, hashlib.sha256).digest())).decode()


def assert_unauthorized(answer: httpx.Response) -> None:
    """Check that the answer is the one for a request without a valid token."""
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (401, "invalid_token")
    assert problem["detail"].endswith(".")
    assert not problem["detail"].endswith("..")


def test_a_request_without_a_header_is_refused(anonymous: Actor) -> None:
    """No header, no answer but how to send one."""
    assert_unauthorized(anonymous.get(PATH))


@pytest.mark.parametrize(
    "header",
    [
        *(
            "Basic dTpw",
            "Bearer",
            "Bearer x",
            "Bearer x.y",
            "Bearer x.y.z",
            "Bearer ..",
            "Bearer é",
        ),
        *("Bearer null", "Bearer undefined", "Token {token}", "{token}", "Bearer\t{token}"),
        *("Bearer {token} x", "Bearer {token},", "Bearer {token}.x", 'Bearer "{token}"'),
        *("Bearer x{token}", "Bearer {token}x", "Basic {token}", "BearerX {token}"),
        *("Bearer Bearer {token}", "Bearer token={token}"),
    ],
)
def test_what_is_no_bearer_token_is_refused(anonymous: Actor, header: str) -> None:
    """Only `Bearer <token>` is read, and only a whole token is one."""
    value = header.format(token=make_token("alice")).encode("latin-1")

    assert_unauthorized(anonymous.http.get(PATH, headers={b"Authorization": value}))


@pytest.mark.parametrize("line", [b"", b"Bearer", b"Bearer ", b"Bearer  ", b" "])
def test_an_empty_token_is_refused(anonymous: Actor, line: bytes) -> None:
    """A header without a token is like no header at all."""
    answer = send_bytes(
        anonymous, "GET", PATH.encode(), headers=b"Authorization: " + line + b"\r\n"
    )

    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_read_in_any_case(anonymous: Actor, scheme: str) -> None:
    """Scheme names are case-insensitive (RFC 9110)."""
    header = {"Authorization": f"{scheme} {make_token('alice')}"}

    assert anonymous.http.get(PATH, headers=header).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        *({"alg": "none"}, {"alg": "None"}, {"alg": "NONE"}, {"alg": "nOnE"}, {"alg": ""}),
        *({"alg": None}, {"alg": 5}, {"alg": ["HS256"]}, {"alg": {}}, {"typ": "JWT"}),
        *(
            {"alg": "HS512"},
            {"alg": "HS384"},
            {"alg": "RS256"},
            {"alg": "hs256"},
            {"alg": "HS256 "},
        ),
        *({"alg": "HS256", "crit": ["exp"]}, {"alg": "HS256", "crit": []}),
        *({"alg": "HS256", "crit": "b64"}, {"alg": "HS256", "b64": False}),
        *({"alg": "HS256", "crit": ["b64"], "b64": False}, {"alg": "HS256", "kid": 5}),
        *(b"[]", b"null", b"{}", b"{", b"\xff", b'{"alg":"HS256","x":' + b"[" * 3000),
    ],
)
def test_only_the_agreed_algorithm_is_accepted(cast: Cast, header: object) -> None:
    """A header that asks for another algorithm, or for what is unknown here, is refused."""
    assert_unauthorized(cast.with_token(sign({"sub": "alice"}, header)).get(PATH))


@pytest.mark.parametrize("alg", ["none", "None", "NONE"])
def test_an_unsigned_token_is_refused(cast: Cast, alg: str) -> None:
    """A token without a signature proves nothing."""
    token = (encode({"alg": alg}) + b"." + encode({"sub": "alice"}) + b".").decode()

    assert_unauthorized(cast.with_token(token).get(PATH))


@pytest.mark.parametrize("secret", ["another secret of at least 32 bytes", "x"])
def test_a_token_of_somebody_else_is_refused(cast: Cast, secret: str) -> None:
    """A signature with another secret is not valid."""
    assert_unauthorized(cast.with_token(sign({"sub": "alice"}, secret=secret)).get(PATH))


def test_a_changed_token_is_refused(cast: Cast) -> None:
    """The signature is of these very claims."""
    header, _, signature = make_token("alice").split(".")
    claims = encode({"sub": "bob", "role": "service"}).decode()

    assert_unauthorized(cast.with_token(f"{header}.{claims}.{signature}").get(PATH))


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"sub": None},
        {"sub": ""},
        {"sub": 5},
        {"sub": True},
        {"sub": ["alice"]},
        {"sub": {"id": "alice"}},
        {"sub": "x" * 129},
        {"sub": "ж" * 39},
        {"sub": "a\x00b"},
        {"sub": "\x00"},
        {"sub": "a\nb"},
        {"sub": "a\x1b"},
        {"sub": "a\x7f"},
        {"sub": "a\x85"},
        b'{"sub":"\\ud800"}',
        b'{"sub":"a\\udc00b"}',
        b'["sub"]',
        b'"sub"',
        b"null",
        b"5",
        b"",
        b"{",
        b'{"sub":"alice"',
        b'{"sub":"\xff"}',
        b'{"sub":"alice","x":' + b"[" * 4000,
    ],
)
def test_who_is_nobody_is_refused(cast: Cast, claims: object) -> None:
    """`sub` has to be there and to be a user id: a string, neither empty nor unwritable."""
    assert_unauthorized(cast.with_token(sign(claims)).get(PATH))


@pytest.mark.parametrize(
    "user_id", ["x", "x" * 128, "ж" * 38, " ", "🙂", "é", "a/b", "0", "null", "\ufeff", "\u202e"]
)
def test_any_user_id_is_somebody(cast: Cast, user_id: str) -> None:
    """Whoever the host names is let in, under exactly that name."""
    user = cast.with_token(sign({"sub": user_id}))

    assert user.get(PATH).status_code == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": NOW - 120},
        {"exp": NOW - 120.5},
        {"exp": 0},
        {"exp": -1},
        {"exp": -(10**30)},
        {"exp": True},
        {"exp": False},
        {"exp": None},
        {"exp": []},
        {"exp": ""},
        {"exp": str(NOW + 3600)},
        {"exp": "9_999_999_999"},
        {"exp": "tomorrow"},
        b'{"sub":"alice","exp":NaN}',
        b'{"sub":"alice","exp":Infinity}',
        b'{"sub":"alice","exp":-Infinity}',
        b'{"sub":"alice","exp":1e400}',
        b'{"sub":"alice","exp":' + b"9" * 5000 + b"}",
        {"nbf": NOW + 3600},
        {"nbf": NOW + 3600.5},
        {"nbf": 10**30},
        {"nbf": True},
        {"nbf": None},
        {"nbf": []},
        {"nbf": str(NOW - 3600)},
        b'{"sub":"alice","nbf":NaN}',
        b'{"sub":"alice","nbf":-Infinity}',
    ],
)
def test_a_token_outside_its_time_is_refused(cast: Cast, claims: object) -> None:
    """`exp` and `nbf` are honoured, and a time that is not a number is refused."""
    token = sign({"sub": "alice"} | claims if isinstance(claims, dict) else claims)

    assert_unauthorized(cast.with_token(token).get(PATH))


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"exp": NOW + 3600},
        {"exp": NOW + 3600.5},
        {"exp": 10**30},
        {"nbf": NOW - 3600},
        {"nbf": 0},
        {"nbf": -1},
        {"aud": "somebody-else"},
        {"aud": ["a", "b"]},
        {"aud": 5},
        {"iss": "https://issuer.example"},
        {"iss": []},
        {"iat": NOW + 86_400},
        {"iat": "yesterday"},
        {"jti": 5},
        {"role": None, "scp": None, "scope": None},
    ],
)
def test_claims_of_the_hosts_own_are_left_alone(cast: Cast, claims: dict[str, object]) -> None:
    """`aud`, `iss`, `iat` and `jti` mean nothing unless configured; `exp` may be missing."""
    assert cast.with_token(sign({"sub": "alice"} | claims)).get(PATH).status_code == 200


def test_clocks_may_differ_by_30_seconds(cast: Cast) -> None:
    """A token that expired, or begins, within the leeway is good; beyond it, it is not."""
    now = int(time.time())

    assert cast.with_token(sign({"sub": "alice", "exp": now - 20})).get(PATH).status_code == 200
    assert cast.with_token(sign({"sub": "alice", "nbf": now + 20})).get(PATH).status_code == 200
    assert_unauthorized(cast.with_token(sign({"sub": "alice", "exp": now - 31})).get(PATH))
    assert_unauthorized(cast.with_token(sign({"sub": "alice", "nbf": now + 40})).get(PATH))


def test_a_token_has_at_most_8_kib(cast: Cast) -> None:
    """A longer one is refused unread, also where everything in it is right."""
    empty = len(sign({"sub": "alice", "pad": ""}))
    fits = sign({"sub": "alice", "pad": "x" * ((8192 - empty) // 4 * 3)})
    long = sign({"sub": "alice", "pad": "x" * ((8192 - empty) // 4 * 3 + 6)})

    assert len(fits) <= 8192 < len(long)
    assert cast.with_token(fits).get(PATH).status_code == 200
    assert_unauthorized(cast.with_token(long).get(PATH))


@pytest.mark.parametrize(
    "path",
    [
        *("/api/rooms/1/", "/api/rooms/1/messages/", "/api/rooms/1/members/"),
        *("/api/rooms/1/events/", "/api/token/connection/", "/api/token/subscription/"),
    ],
)
def test_nothing_is_read_without_a_token(anonymous: Actor, path: str) -> None:
    """Every reading endpoint asks who is there before it looks at anything else."""
    assert_unauthorized(anonymous.get(path, limit="nonsense"))


@pytest.mark.parametrize(
    "path",
    [
        *("/api/rooms/", "/api/rooms/1/messages/", "/api/rooms/1/members/"),
        *("/api/rooms/1/join/", "/api/rooms/1/leave/"),
    ],
)
def test_nothing_is_written_without_a_token(anonymous: Actor, path: str) -> None:
    """Every writing endpoint asks who is there before it looks at the body."""
    assert_unauthorized(anonymous.http.post(path, content=b"{", headers={"Content-Type": "x"}))


def test_nobody_is_removed_without_a_token(anonymous: Actor) -> None:
    """The service's endpoint, too, asks for a token first and for rights then."""
    assert_unauthorized(anonymous.delete("/api/rooms/1/members/alice/"))


def test_the_reason_tells_nothing_of_the_secret(cast: Cast) -> None:
    """The answer explains the token to its integrator, and holds no secret and no token."""
    token = sign({"sub": "alice"}, secret="x")

    answer = cast.with_token(token).get(PATH)

    assert settings.JWT_SECRET not in answer.text
    assert token not in answer.text


@pytest.mark.parametrize(
    "claims",
    [
        {"role": "service"},
        {"scp": "chat.manage"},
        {"scope": "chat.manage"},
        {"scp": "openid chat.manage profile"},
        {"scope": "openid  chat.manage"},
        {"scp": ["chat.manage"]},
        {"scope": ["openid", "chat.manage"]},
        {"scope": ["chat.manage", 5, {}, None]},
        {"role": "user", "scope": "chat.manage"},
        {"scp": "openid", "scope": "chat.manage"},
    ],
)
def test_service_rights_come_from_role_or_scope(cast: Cast, claims: dict[str, object]) -> None:
    """`role: service`, or the scope `chat.manage` as a word or as an item of a list."""
    service = cast.with_token(sign({"sub": "host"} | claims))

    assert service.post(PATH, {"name": "general"}).status_code == 201


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"role": "service "},
        {"role": " service"},
        {"role": "Service"},
        {"role": "services"},
        {"role": "user service"},
        {"role": ["service"]},
        {"role": {"service": True}},
        {"role": True},
        {"roles": "service"},
        {"scp": "service"},
        {"scp": "chat.manage2"},
        {"scp": "xchat.manage"},
        {"scp": "chat.manage.all"},
        {"scp": "chat"},
        {"scp": "Chat.Manage"},
        {"scp": "openid,chat.manage"},
        {"scope": "openid\tchat.manage"},
        {"scope": "openid\nchat.manage"},
        {"scope": ["openid chat.manage"]},
        {"scope": ["chat.manage "]},
        {"scope": [["chat.manage"]]},
        {"scope": {"chat.manage": True}},
        {"scope": True},
        {"scope": 5},
        {"scopes": "chat.manage"},
        {"sub": "service"},
    ],
)
def test_near_misses_give_no_rights(cast: Cast, claims: dict[str, object]) -> None:
    """Rights are exact: nothing is trimmed, folded or searched for inside something else."""
    user = cast.with_token(sign({"sub": "mallory"} | claims))

    answer = user.post(PATH, {"name": "general"})

    assert (answer.status_code, answer.json()["code"]) == (403, "service_rights_required")
    assert user.get(PATH).status_code == 200
