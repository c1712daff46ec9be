"""A service that could not verify tokens, or not safely, says so and does not start."""

from pathlib import Path
from typing import Any

import pytest
from django.core.checks import CheckMessage
from django.test import override_settings

from app.authentication import load_token_verifier
from app.jwt_verifier import JwtVerifier
from chat.checks import check_secrets
from chat.conf import DEVELOPMENT_CENTRIFUGO_SECRET, DEVELOPMENT_SECRET_KEY
from chat.identity_checks import check_audience, check_former_secret, check_identity
from tests.support.identity_provider import make_key, make_pem
from tests.unit.test_checks import GOOD, run
from tests.unit.test_settings import load, read

URL = "https://id.example.com/jwks"
KEYS = {"JWT_ALGORITHMS": ["RS256"]}
SECRETS = {name: GOOD[name] for name in ("SECRET_KEY", "JWT_SECRET", "CENTRIFUGO_TOKEN_SECRET")}


def find(**changed: Any) -> list[CheckMessage]:
    """Return what the checks find in production when these settings are changed."""
    with override_settings(DEBUG=False, **SECRETS | changed):
        return [*check_identity(), *check_former_secret(), *check_audience(), *check_secrets()]


@pytest.mark.parametrize(
    "changed, codes",
    [
        ({}, []),
        (KEYS | {"JWT_JWKS_URL": [URL], "JWT_AUDIENCE": ["a"]}, []),
        (KEYS | {"JWT_JWKS_URL": [URL]}, ["chat.W020"]),
        (KEYS | {"JWT_JWKS_URL": [URL], "JWT_AUDIENCE": ["a"], "JWT_SECRET": "short"}, []),
        (KEYS | {"JWT_PUBLIC_KEY": "a key"}, []),
        (KEYS, ["chat.E020"]),
        ({"JWT_PUBLIC_KEY": "a key"}, ["chat.E020"]),
        (
            KEYS | {"JWT_JWKS_URL": [URL, URL + "2"], "JWT_AUDIENCE": ["a"]},
            ["chat.E021"],
        ),
        (
            KEYS
            | {"JWT_JWKS_URL": [URL, URL + "2"], "JWT_AUDIENCE": ["a"], "JWT_ISSUER": ["a", "b"]},
            [],
        ),
        (
            KEYS | {"JWT_JWKS_URL": [URL], "JWT_AUDIENCE": ["a"], "JWT_ISSUER": ["a", "b"]},
            ["chat.E021"],
        ),
        (
            {"JWT_ALGORITHMS": ["HS256", "RS256"], "JWT_JWKS_URL": [URL], "JWT_AUDIENCE": ["a"]}
            | {"JWT_ISSUER": ["a", "host"]},
            [],
        ),
        (
            KEYS | {"JWT_JWKS_URL": [URL], "JWT_PUBLIC_KEY": "x", "JWT_AUDIENCE": ["a"]},
            ["chat.E023"],
        ),
        ({"AUTH_VERIFY_URL": URL, "JWT_SECRET": "short"}, []),
        (KEYS | {"AUTH_VERIFY_URL": URL, "JWT_PUBLIC_KEY": "x"}, ["chat.E023"]),
        ({"TOKEN_VERIFIER": "app.remote_verifier.RemoteVerifier"}, ["chat.E027"]),
        ({"JWT_SERVICE_CLAIM": ["role"]}, ["chat.E026"]),
        ({"JWT_SERVICE_VALUE": "service"}, ["chat.E026"]),
        ({"JWT_SERVICE_CLAIM": ["role"], "JWT_SERVICE_VALUE": "service"}, []),
        ({"JWT_MAX_LIFETIME_SECONDS": -1}, ["chat.E028"]),
        ({"AUTH_VERIFY_TIMEOUT_SECONDS": 0}, ["chat.E028"]),
        ({"AUTH_VERIFY_TIMEOUT_SECONDS": 5}, ["chat.E028"]),
        ({"AUTH_VERIFY_CACHE_SECONDS": -1}, ["chat.E028"]),
        ({"JWT_SECRET_BEFORE": "x" * 32}, []),
        ({"JWT_SECRET_BEFORE": "x" * 31}, ["chat.E024"]),
        ({"JWT_SECRET_BEFORE": DEVELOPMENT_SECRET_KEY}, ["chat.E024"]),
        ({"JWT_SECRET_BEFORE": DEVELOPMENT_CENTRIFUGO_SECRET}, ["chat.E024"]),
        ({"JWT_SECRET_BEFORE": SECRETS["CENTRIFUGO_TOKEN_SECRET"]}, ["chat.E025"]),
    ],
)
def test_each_mistake_has_its_code(changed: dict[str, Any], codes: list[str]) -> None:
    """Each setting that cannot work or is unsafe is found, with what to do."""
    found = find(**changed)

    assert [message.id for message in found] == codes
    assert all(message.hint for message in found)


@pytest.mark.parametrize(
    "address, is_safe",
    [
        (URL, True),
        ("https://id.example.com:8443/jwks?x=1", True),
        ("http://127.0.0.1:8080/jwks", True),
        ("http://[::1]:8080/jwks", True),
        ("http://localhost/jwks", True),
        ("http://id.example.com/jwks", False),
        ("http://127.0.0.1.evil.example/jwks", False),
        ("http://localhost.evil.example/jwks", False),
        ("http://10.0.0.5/jwks", False),
        ("https://user:password@id.example.com/jwks", False),
        ("https://", False),
        ("https://id.example.com:port/jwks", False),
        ("https://[::1/jwks", False),
        ("file:///etc/passwd", False),
        ("id.example.com/jwks", False),
        ("ftp://id.example.com/jwks", False),
    ],
)
def test_only_safe_addresses_are_asked(address: str, *, is_safe: bool) -> None:
    """Keys and verdicts come over https, or from this machine."""
    expected = [] if is_safe else ["chat.E022"]

    for changed in (
        KEYS | {"JWT_JWKS_URL": [address], "JWT_AUDIENCE": ["a"]},
        {"AUTH_VERIFY_URL": address},
    ):
        found = find(**changed)
        assert [message.id for message in found] == expected


def test_development_may_ask_in_clear() -> None:
    """With DEBUG on, an identity provider in a container of its own has no certificate."""
    with override_settings(DEBUG=True, AUTH_VERIFY_URL="http://host:3000/auth/verify"):
        assert check_identity() == []


def test_keys_choose_their_algorithms() -> None:
    """One variable is enough: with keys, the algorithms of keys; else HS256. Lists have commas."""
    pem = make_pem(make_key("ES256"))

    assert read()["JWT_ALGORITHMS"] == ["HS256"]
    for given in ({"JWT_PUBLIC_KEY": pem.replace("\n", "\\n")}, {"JWT_JWKS_URL": URL}):
        algorithms = read(**given)["JWT_ALGORITHMS"]
        assert "ES256" in algorithms
        assert not [name for name in algorithms if name.startswith(("HS", "none"))]
    found = read(JWT_ISSUER="a, b", JWT_AUDIENCE="c,,d ", JWT_ALGORITHMS="RS256, HS256")
    assert (found["JWT_ISSUER"], found["JWT_AUDIENCE"]) == (["a", "b"], ["c", "d"])
    assert found["JWT_ALGORITHMS"] == ["RS256", "HS256"]


def test_an_address_chooses_the_verifier() -> None:
    """AUTH_VERIFY_URL alone makes the service ask the host."""
    assert read()["TOKEN_VERIFIER"] == "app.jwt_verifier.JwtVerifier"
    assert read(AUTH_VERIFY_URL=URL)["TOKEN_VERIFIER"] == "app.remote_verifier.RemoteVerifier"


@pytest.mark.parametrize(
    "variable, value, message",
    [
        ("JWT_ALGORITHMS", "none", "JWT_ALGORITHMS has 'none', which is not one of HS256"),
        ("JWT_ALGORITHMS", "RS256,hs256", "JWT_ALGORITHMS has 'hs256', which is not one of"),
        ("JWT_PUBLIC_KEY", "secret", "JWT_PUBLIC_KEY holds no PEM"),
        (
            "JWT_PUBLIC_KEY",
            "-----BEGIN PUBLIC KEY-----\\nAAAA\\n-----END PUBLIC KEY-----",
            "JWT_PUBLIC_KEY holds a PUBLIC KEY that cannot be read.",
        ),
        (
            "JWT_PUBLIC_KEY",
            "-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----",
            "JWT_PUBLIC_KEY holds a private key",
        ),
        ("JWT_PUBLIC_KEY_FILE", "/nowhere", "JWT_PUBLIC_KEY_FILE='/nowhere' is no file in PEM"),
        ("JWT_REQUIRE_EXP", "perhaps", "JWT_REQUIRE_EXP='perhaps' is neither true nor false"),
        ("JWT_MAX_LIFETIME_SECONDS", "1h", "JWT_MAX_LIFETIME_SECONDS='1h' is not a whole number"),
    ],
)
def test_a_mistake_in_one_variable_is_named(variable: str, value: str, message: str) -> None:
    """The process ends at once, with the variable and what is wrong."""
    done = load(**{variable: value})

    assert done.returncode != 0
    assert message in done.stderr.splitlines()[-1]


def test_a_key_may_be_in_a_file(tmp_path: Path) -> None:
    """A mounted key is read from its path; two keys at once are refused."""
    path, pem = tmp_path / "key.pem", make_pem(make_key("ES256"))
    path.write_text(pem, encoding="ascii")

    assert read(JWT_PUBLIC_KEY_FILE=str(path))["JWT_PUBLIC_KEY"] == pem
    done = load(JWT_PUBLIC_KEY_FILE=str(path), JWT_PUBLIC_KEY=pem)
    assert "JWT_PUBLIC_KEY_FILE and JWT_PUBLIC_KEY are both set" in done.stderr.splitlines()[-1]


def test_the_service_refuses_to_start_without_a_key() -> None:
    """The checks hold for the server process too."""
    done = run("-c", "import app.asgi", JWT_ALGORITHMS="RS256")

    assert done.returncode != 0
    assert "chat.E020" in done.stderr


def test_the_former_name_of_the_verifier_is_known() -> None:
    """A host that wrote the default of the release before into its settings starts as before."""
    with override_settings(TOKEN_VERIFIER="app.authentication.SharedSecretVerifier"):
        assert isinstance(load_token_verifier(), JwtVerifier)
