"""A key verifies what its owner signed with an algorithm of its kind, and nothing else."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from django.conf import settings
from django.test import override_settings

from app.authentication import InvalidTokenError
from app.identity.jwt_verifier import JwtVerifier
from app.identity.keys import read_jwk_set, read_pem
from app.settings import KEY_ALGORITHMS
from tests.contract.test_authentication import encode
from tests.support.identity_provider import (
    Endpoint,
    make_jwk,
    make_key,
    make_pem,
    serve_endpoint,
    sign,
)

CLAIMS = {"sub": "alice"}
RSA, OTHER_RSA, EC = make_key("RS256"), make_key("RS256", 1), make_key("ES256")
SECRET = "a-secret-of-these-tests-0123456789-abcdef"


def verify(token: str, **changed: Any) -> str:
    """Return whom a verifier with these settings takes the token's bearer for."""
    with override_settings(**changed):
        return asyncio.run(JwtVerifier().verify(token)).user_id


def with_pem(*keys: Any, **changed: Any) -> dict[str, Any]:
    """Return the settings for these keys."""
    pem = "".join(make_pem(key) for key in keys)
    return {"JWT_PUBLIC_KEY": pem, "JWT_ALGORITHMS": KEY_ALGORITHMS} | changed


def sign_by_hmac(key: bytes, header: dict[str, Any]) -> str:
    """Return a token with an HMAC of any bytes, which PyJWT would refuse to make."""
    signed = encode({"alg": "HS256"} | header) + b"." + encode(CLAIMS)
    return (signed + b"." + encode(hmac.new(key, signed, hashlib.sha256).digest())).decode()


@pytest.fixture(scope="module")
def provider() -> Iterator[Endpoint]:
    """Serve a provider with one key of each kind."""
    with serve_endpoint() as endpoint:
        endpoint.publish(make_jwk(RSA, kid="rsa", use="sig"), make_jwk(EC, kid="ec", alg="ES256"))
        yield endpoint


def with_provider(provider: Endpoint, **changed: Any) -> dict[str, Any]:
    """Return the settings for this provider."""
    return {"JWT_JWKS_URL": [provider.address], "JWT_ALGORITHMS": KEY_ALGORITHMS} | changed


@pytest.mark.parametrize("algorithm", [*KEY_ALGORITHMS, "Ed448"])
def test_every_algorithm_verifies(algorithm: str) -> None:
    """RS, PS and ES with 256, 384 and 512 bits, and EdDSA on both of its curves."""
    key = make_key(algorithm)
    token = sign(CLAIMS, key, "EdDSA" if algorithm == "Ed448" else algorithm)

    assert verify(token, **with_pem(key)) == "alice"


@pytest.mark.parametrize("algorithm", KEY_ALGORITHMS)
def test_another_key_of_its_kind_verifies_nothing(algorithm: str) -> None:
    """The signature is of this very key."""
    token = sign(CLAIMS, make_key(algorithm, 7, bits=2049), algorithm)

    with pytest.raises(InvalidTokenError):
        verify(token, **with_pem(make_key(algorithm)))


def test_several_keys_are_tried() -> None:
    """While a host changes its key, both are in the setting."""
    settings_of_both = with_pem(RSA, OTHER_RSA, EC)

    for key, algorithm in ((RSA, "RS256"), (OTHER_RSA, "PS256"), (EC, "ES256")):
        assert verify(sign(CLAIMS, key, algorithm), **settings_of_both) == "alice"


def test_only_the_algorithms_that_are_named_verify() -> None:
    """A key for RS256 verifies no PS256 if only RS256 is named."""
    settings_of_one = with_pem(RSA, JWT_ALGORITHMS=["RS256"])

    assert verify(sign(CLAIMS, RSA, "RS256"), **settings_of_one) == "alice"
    for algorithm in ("RS384", "PS256"):
        with pytest.raises(InvalidTokenError):
            verify(sign(CLAIMS, RSA, algorithm), **settings_of_one)


@pytest.mark.parametrize("algorithms", [KEY_ALGORITHMS, ["HS256", *KEY_ALGORITHMS]])
def test_a_public_key_is_no_secret(provider: Endpoint, algorithms: list[str]) -> None:
    """An HMAC with the bytes of a public key, which everyone knows, proves nothing."""
    pem, jwk = make_pem(RSA), make_jwk(RSA, kid="rsa")
    der = RSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, pem.strip(), json.dumps(jwk), jwk["n"], der, "", "rsa"):
        token = sign_by_hmac(
            secret if isinstance(secret, bytes) else secret.encode(), {"kid": "rsa"}
        )
        for given in (with_pem(RSA), with_provider(provider)):
            with pytest.raises(InvalidTokenError):
                verify(token, **given | {"JWT_ALGORITHMS": algorithms})


def test_a_secret_counts_only_if_it_is_asked_for(provider: Endpoint) -> None:
    """With keys configured, JWT_SECRET verifies nothing unless JWT_ALGORITHMS has HS256."""
    token = sign(CLAIMS, settings.JWT_SECRET, "HS256")

    for given in (with_pem(RSA), with_provider(provider)):
        with pytest.raises(InvalidTokenError):
            verify(token, **given)
        assert verify(token, **given | {"JWT_ALGORITHMS": ["RS256", "HS256"]}) == "alice"
        both = given | {"JWT_ALGORITHMS": ["RS256", "HS256"]}
        assert verify(sign(CLAIMS, RSA, "RS256", kid="rsa"), **both) == "alice"


def test_an_unsigned_token_is_refused(provider: Endpoint) -> None:
    """Also where the setting could be made to name `none`."""
    token = sign(CLAIMS, None, "none", kid="rsa")

    for given in (with_pem(RSA), with_provider(provider)):
        for algorithms in (KEY_ALGORITHMS, ["none", "RS256"], ["none"]):
            with pytest.raises(InvalidTokenError):
                verify(token, **given | {"JWT_ALGORITHMS": algorithms})


@pytest.mark.parametrize(
    "key, algorithm, header",
    [
        (RSA, "RS256", {"kid": "ec"}),
        (EC, "ES256", {"kid": "rsa"}),
        (OTHER_RSA, "RS256", {"kid": "rsa"}),
        (OTHER_RSA, "RS256", {"kid": "rsa", "jwk": make_jwk(OTHER_RSA, kid="rsa")}),
        (OTHER_RSA, "RS256", {"kid": "x", "jwk": make_jwk(OTHER_RSA, kid="x")}),
        (OTHER_RSA, "RS256", {"jku": "http://127.0.0.1:9/keys", "kid": "x"}),
        (OTHER_RSA, "RS256", {"x5u": "http://127.0.0.1:9/key", "kid": "x"}),
        (RSA, "RS256", {"kid": "rsa", "crit": ["exp"]}),
        (RSA, "RS256", {"kid": "rsa", "crit": []}),
        (RSA, "RS256", {"kid": "rsa", "crit": ["b64"], "b64": True}),
    ],
)
def test_a_header_names_no_other_key(
    provider: Endpoint, key: Any, algorithm: str, header: dict[str, Any]
) -> None:
    """Refused: a key of another kind or owner, embedded, or at an address that the token names."""
    signed = encode({"alg": algorithm} | header) + b"." + encode(CLAIMS)
    found = jwt.get_algorithm_by_name(algorithm)
    token = (signed + b"." + encode(found.sign(signed, key))).decode()
    if header.get("b64"):
        # The one extension that PyJWT knows, with its default value, changes nothing.
        assert verify(token, **with_provider(provider)) == "alice"
        return

    with pytest.raises(InvalidTokenError):
        verify(token, **with_provider(provider))


def test_a_token_without_kid_is_tried_with_each_key(provider: Endpoint) -> None:
    """Not every provider names its keys in its tokens."""
    assert verify(sign(CLAIMS, RSA, "RS256"), **with_provider(provider)) == "alice"
    assert verify(sign(CLAIMS, EC, "ES256"), **with_provider(provider)) == "alice"


@pytest.mark.parametrize(
    "members",
    [
        {"use": "enc"},
        {"use": 5},
        {"key_ops": ["encrypt"]},
        {"key_ops": "verify"},
        {"alg": "RSA-OAEP"},
        {"alg": "ES256"},
        {"alg": "HS256"},
        {"alg": "none"},
        {"alg": ["RS256"]},
        {"d": "AQAB"},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "EC"},
        {"kty": "rsa"},
        {"kty": ["RSA"]},
        {"kty": None},
        {"kid": 5},
        {"n": 5},
        {"n": ""},
        {"n": "!"},
        {"n": "AQAB"},
        {"e": None},
        {"e": "AA"},
        {"e": "Ag"},
    ],
)
def test_a_key_that_verifies_nothing_is_left_out(members: dict[str, Any]) -> None:
    """Keys for encryption, secrets, private and broken keys are as if they were not there."""
    good = make_jwk(EC, kid="good")
    document = json.dumps({"keys": [make_jwk(RSA, kid="bad") | members, good, 5, None, [], {}]})

    assert [key.kid for key in read_jwk_set(document.encode())] == ["good"]


@pytest.mark.parametrize(
    "key, fact",
    [
        (make_key("RS256", bits=1024), "2048 to 8192 bits, not 1024"),
        (ec.generate_private_key(ec.SECP256K1()), "secp256k1"),
    ],
)
def test_a_weak_key_is_refused(key: Any, fact: str) -> None:
    """A key that can be broken, or that no algorithm here uses, is named at the start."""
    with pytest.raises(ValueError, match=fact):
        read_pem(make_pem(key))


def test_a_private_key_is_refused() -> None:
    """A host that pastes the wrong half is told so, without the key in the message."""
    pem = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    with pytest.raises(ValueError, match="private key") as found:
        read_pem(pem)
    assert pem[40:80] not in str(found.value)


def test_a_pem_in_one_line_is_read() -> None:
    r"""Environment files have one line a variable, so that `\n` is often written out."""
    pem = make_pem(RSA)

    assert read_pem(pem.replace("\n", "\\n")) == read_pem(pem) == read_pem(f"# key\n{pem}\n")


def test_the_former_secret_verifies_too() -> None:
    """While a host changes its secret, tokens of both are valid; of a third, none."""
    both = {"JWT_SECRET": SECRET, "JWT_SECRET_BEFORE": SECRET[::-1]}

    for secret in both.values():
        assert verify(sign(CLAIMS, secret, "HS256"), **both) == "alice"
    for secret in ("another " * 5, settings.JWT_SECRET):
        with pytest.raises(InvalidTokenError):
            verify(sign(CLAIMS, secret, "HS256"), **both)
    with pytest.raises(InvalidTokenError):
        verify(sign(CLAIMS, SECRET[::-1], "HS256"), JWT_SECRET=SECRET)


def test_an_expired_token_of_the_former_secret_is_expired() -> None:
    """Its owner is told the reason, not that the signature is wrong."""
    token = sign(CLAIMS | {"exp": 1}, SECRET[::-1], "HS256")

    with pytest.raises(InvalidTokenError, match="expired"):
        verify(token, JWT_SECRET=SECRET, JWT_SECRET_BEFORE=SECRET[::-1])
