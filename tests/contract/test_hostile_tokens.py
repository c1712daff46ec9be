"""Tokens made by an attacker: refused, quickly, and nothing is fetched for them"""

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import statistics
import time
from typing import Any

import httpx
import pytest
from django.conf import settings

from app.authentication import (
    InvalidTokenError,
    TokenVerifier,
    authenticate,
    load_token_verifier,
)
from chat.conf import load_configuration
from chat.realtime.tokens import create_connection_token, create_subscription_token
from tests.contract.test_authentication import PATH, assert_unauthorized, encode, sign
from tests.contract.wire import send_bytes
from tests.support.actors import Actor, Cast, make_token

CLAIMS = {"sub": "alice", "role": "service"}
PUBLIC_KEY = """\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9
q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==
-----END PUBLIC KEY-----
"""
PUBLIC_JWK = {
    "kty": "EC",
    "crv": "P-256",
    "x": "EVs_o5-uQbTjL3chynL4wXgUg2R9q9UU8I5mEovUf84",
    "y": "kGe5DgSIycKp8w9aJmoHhB1sB3QTugfnRWm5nU_TzsY",
}
DER = base64.b64decode("".join(PUBLIC_KEY.splitlines()[1:-1]))
ATTACKER = "a secret of the attacker's own, long enough to be one"
FAMILIES = ("HS", "RS", "ES", "PS")


def unsigned(header: object, signature: bytes = b"", claims: object = CLAIMS) -> str:
    """Return a token with this header and any text in place of a signature."""
    return (encode(header) + b"." + encode(claims) + b"." + encode(signature)).decode()


def sign_with(key: bytes, header: object = None, digest: Any = hashlib.sha256) -> str:
    """Return a token with an HMAC of any key."""
    signed = encode(header or {"alg": "HS256"}) + b"." + encode(CLAIMS)
    return (signed + b"." + encode(hmac.new(key, signed, digest).digest())).decode()


def make_none_tokens() -> dict[str, str]:
    """Return tokens that say they need no signature: without one, with one, with ours."""
    spellings = ("none", "None", "NONE", "nOnE", "noNe", " none", "none ", "none\x00", "null", "")
    tokens = {f"unsigned {alg!r}": unsigned({"alg": alg}) for alg in spellings}
    tokens |= {f"signed {alg!r}": sign(CLAIMS, {"alg": alg}) for alg in spellings}
    return tokens | {
        "no alg": unsigned({"typ": "JWT"}),
        "two algs": unsigned(b'{"alg":"HS256","alg":"none"}'),
        "two segments": unsigned({"alg": "none"}).rstrip("."),
        "no signature": sign(CLAIMS).rpartition(".")[0] + ".",
    }


def make_confusions() -> dict[str, str]:
    """Return tokens that use a key as another kind of key, or another algorithm with ours."""
    ours = settings.JWT_SECRET.encode()
    keys = {
        "pem": PUBLIC_KEY.encode(),
        "pem without its last newline": PUBLIC_KEY.strip().encode(),
        "pem with crlf": PUBLIC_KEY.replace("\n", "\r\n").encode(),
        "der": DER,
        "der in base64": base64.b64encode(DER),
        "jwk": json.dumps(PUBLIC_JWK).encode(),
        "point": DER[-65:],
        "nothing": b"",
        "nul": b"\x00",
        "32 nuls": bytes(32),
        "our secret with a newline": ours + b"\n",
        "our secret with a nul and more": ours + b"\x00x",
        "our secret in base64": base64.b64encode(ours),
        "half of our secret": ours[: len(ours) // 2],
    }
    tokens = {f"signed with {name}": sign_with(key) for name, key in keys.items()}
    for bits, digest in ((384, hashlib.sha384), (512, hashlib.sha512)):
        tokens[f"HS{bits} with our secret"] = sign_with(ours, {"alg": f"HS{bits}"}, digest)
    algorithms = [f"{family}{bits}" for family in FAMILIES for bits in (256, 384, 512)]
    for alg in [*algorithms[3:], "ES256K", "EdDSA", "HS1", "A256KW", "dir"]:
        tokens[f"{alg} with our HMAC"] = sign(CLAIMS, {"alg": alg})
        tokens[f"{alg} with nuls"] = unsigned({"alg": alg}, bytes(64))
    return tokens


def make_header_tricks(url: str = "http://127.0.0.1:9/jwks") -> dict[str, str]:
    """Return tokens whose header brings, or points to, the key they are signed with."""
    octets = {"kty": "oct", "k": encode(ATTACKER.encode()).decode()}
    kids = (
        *("../../../../dev/null", "/dev/null", "/etc/passwd", "a\x00b", "", "x" * 4000),
        *("' OR '1'='1", "'; SELECT pg_sleep(5); --", "| sleep 5", "${jndi:ldap://x/}"),
    )
    headers: list[dict[str, Any]] = [
        {"jwk": octets},
        {"jwk": PUBLIC_JWK},
        {"jku": url},
        {"x5u": url},
        {"x5c": [base64.b64encode(DER).decode()]},
        {"jku": "file:///etc/passwd"},
        {"jku": url, "kid": "a"},
        {"x5t": "x", "x5t#S256": "x"},
        {"crit": ["jku"], "jku": url},
        {"zip": "DEF"},
        {"cty": "JWT"},
        {"enc": "A256GCM"},
        *({"kid": kid} for kid in kids),
    ]
    return {
        f"{number} {', '.join(header)}": sign(CLAIMS, {"alg": "HS256"} | header, ATTACKER)
        for number, header in enumerate(headers)
    }


def make_garbage() -> dict[str, str]:
    """Return what is hardly a token any more."""
    good = make_token("alice")
    header, claims, signature = good.split(".")
    return {
        "8,193 bytes": "x" * 8193,
        "three segments of 8,193 bytes": f"{header}.{'A' * 8193}.{signature}",
        "60,000 bytes": "x" * 60_000,
        "60,000 dots": "." * 60_000,
        "five segments": f"{good}.x.y",
        "four segments": f"{good}.",
        "no claims": f"{header}..{signature}",
        "no header": f".{claims}.{signature}",
        "segments turned round": f"{claims}.{header}.{signature}",
        "twice": good + good,
        "padded": f"{header}=.{claims}=.{signature}=",
        "with a space": f"{header}. {claims}.{signature}",
        "another alphabet": f"{header}.{claims}.{'+/' * 21}",
        "signature cut": good[:-1],
        "signature longer": good + "AAAA",
        "signature of another token": f"{header}.{claims}.{make_token('bob').rpartition('.')[2]}",
        "quotes": f"'{good}'",
        "json": json.dumps({"alg": "HS256", "sub": "alice"}),
        "nested header": unsigned(b'{"alg":' + b"[" * 5000),
        "nested claims": sign(b"[" * 5900),
        "nested objects": sign(b'{"a":' * 1180),
        "many digits": sign(b'{"sub":"alice","exp":1' + b"0" * 5000 + b"}"),
        "many digits, negative": sign(b'{"sub":"alice","nbf":-1' + b"0" * 5000 + b"}"),
        "a huge exponent": sign(b'{"sub":"alice","exp":-1e999999}'),
        "a lone surrogate": sign(b'{"sub":"\\udfff"}'),
        "Sub": sign({"Sub": "alice"}),
        "SUB": sign({"SUB": "alice"}),
        "user_id": sign({"user_id": "alice"}),
    }


def make_centrifugo_tokens() -> dict[str, str]:
    """Return what this service signs for Centrifugo, which is not for the API."""
    configuration = load_configuration()
    return {
        "connection": create_connection_token("alice", configuration),
        "subscription": create_subscription_token("alice", configuration),
    }


def make_vectors() -> dict[str, str]:
    """Return every hostile token by a name."""
    return {
        f"{kind}: {name}": token
        for kind, tokens in (
            ("none", make_none_tokens()),
            ("confusion", make_confusions()),
            ("header", make_header_tricks()),
            ("garbage", make_garbage()),
            ("centrifugo", make_centrifugo_tokens()),
        )
        for name, token in tokens.items()
    }


VECTORS = make_vectors()


@pytest.mark.parametrize("name", VECTORS)
def test_a_hostile_token_is_refused(cast: Cast, name: str) -> None:
    """Whatever a token says of itself, only our signature over its claims lets it in."""
    assert_unauthorized(cast.with_token(VECTORS[name]).get(PATH))


def test_there_are_enough_vectors() -> None:
    """Nobody thins the list out by accident."""
    assert len(VECTORS) >= 100


def test_no_hostile_token_takes_long() -> None:
    """None is refused in more than 5 ms of work, so that none is a way to keep the service busy."""
    verifier = load_token_verifier()

    slow = {name: cost for name in VECTORS if (cost := measure(VECTORS[name], verifier)) > 0.005}

    assert slow == {}


def measure(token: str, verifier: TokenVerifier) -> float:
    """Return what refusing a token costs, in seconds of processor time: the median of three."""
    costs = []
    for _ in range(3):
        # Not by the clock on the wall: a busy machine is not the token's fault.
        began = time.thread_time()
        with pytest.raises(InvalidTokenError):
            asyncio.run(authenticate(f"Bearer {token}", verifier))
        costs.append(time.thread_time() - began)
    return statistics.median(costs)


def test_no_address_of_a_token_is_asked(cast: Cast) -> None:
    """A token that points to its key is refused without anybody going there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/jwks"

        for token in make_header_tricks(address).values():
            assert_unauthorized(cast.with_token(token).get(PATH))

        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_megabyte_is_no_token(anonymous: Actor) -> None:
    """A header that is far too long is refused, and other requests are not affected."""
    answer = send_bytes(
        anonymous, "GET", PATH.encode(), headers=b"Authorization: Bearer " + b"x" * 2**20 + b"\r\n"
    )

    assert answer.status in {400, 401, 431}
    assert anonymous.get("/health/live").status_code == 200


@pytest.mark.parametrize(
    "header", [{"kid": "x"}, {"jku": "http://127.0.0.1:9/"}, {"typ": "at+jwt"}]
)
def test_headers_without_meaning_here_are_left_alone(cast: Cast, header: dict[str, object]) -> None:
    """A host may name its keys: a token signed with the secret is valid, whatever `kid` it has."""
    user = cast.with_token(sign({"sub": "alice"}, {"alg": "HS256"} | header))

    assert user.get(PATH).status_code == 200


@pytest.mark.parametrize("offset, status", [(-33, 401), (-31, 401), (-28, 200), (0, 200)])
def test_a_token_ends_to_the_second(cast: Cast, offset: int, status: int) -> None:
    """`exp` is honoured with 30 s of leeway, neither more nor less."""
    token = sign({"sub": "alice", "exp": int(time.time()) + offset})

    answer: httpx.Response = cast.with_token(token).get(PATH)

    assert answer.status_code == status
