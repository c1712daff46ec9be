"""With DEBUG off, an unsafe service does not start, and says what to set."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.checks import CheckMessage
from django.test import override_settings

from chat.checks import (
    check_audience_hours,
    check_cors_origins,
    check_hosts,
    check_message_length,
    check_published_keys,
    check_secrets,
    check_secrets_before,
    check_serve,
    check_token_lifetime,
)
from chat.conf import DEVELOPMENT_CENTRIFUGO_SECRET, DEVELOPMENT_SECRET_KEY
from tests.support.processes import PROJECT

GOOD = {
    "DEBUG": "0",
    "SECRET_KEY": "a" * 40,
    "JWT_SECRET": "b" * 40,
    "CENTRIFUGO_TOKEN_SECRET": "c" * 40,
    "ALLOWED_HOSTS": "chat.example.com",
}
DEFAULTS = {"SECRET_KEY": "", "JWT_SECRET": "", "CENTRIFUGO_TOKEN_SECRET": "", "ALLOWED_HOSTS": ""}
SHORT = {"SECRET_KEY": "d" * 31, "JWT_SECRET": "d" * 31, "CENTRIFUGO_TOKEN_SECRET": "d" * 31}


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the project with these variables; the others are good."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=PROJECT,
        env=os.environ | GOOD | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def find_secrets(**changed: str) -> list[CheckMessage]:
    """Return what the check of secrets finds when these settings are changed from good ones."""
    values = {name: GOOD[name] for name in SHORT} | changed
    with override_settings(DEBUG=False, **values):
        return list(check_secrets())


def test_good_settings_pass() -> None:
    """Long, private and distinct secrets and a host name are enough."""
    done = run("manage.py", "check")

    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_development_defaults_do_not_start() -> None:
    """Without any setting, production does not start: each default is named, with what to do."""
    done = run("manage.py", "check", **DEFAULTS)

    assert done.returncode == 1
    found = ["chat.E001", "chat.E002", "chat.E003", "chat.E005", "chat.W001"]
    assert [code for code in found if f"({code})" in done.stderr] == found
    assert done.stderr.count("HINT: Set ") == 5
    assert "secrets.token_urlsafe" in done.stderr


def test_short_and_equal_secrets_do_not_start() -> None:
    """A short secret, or one used for two purposes, is refused under a code of its own."""
    done = run("manage.py", "check", **SHORT)

    assert done.returncode == 1
    found = ["chat.E001", "chat.E002", "chat.E003", "chat.E004"]
    assert [code for code in found if f"({code})" in done.stderr] == found
    assert "d" * 31 not in done.stderr + done.stdout


def test_the_service_itself_refuses_to_start() -> None:
    """The checks hold for the server process too, not only for `manage.py`."""
    done = run("-c", "import app.asgi", JWT_SECRET="short")

    assert done.returncode != 0
    assert "SystemCheckError" in done.stderr
    assert "chat.E002" in done.stderr


def test_the_service_starts_with_good_settings() -> None:
    """The start above was refused because of the secret only."""
    done = run("-c", "import app.asgi")

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "changed, codes",
    [
        ({}, []),
        ({"SECRET_KEY": DEVELOPMENT_SECRET_KEY}, ["chat.E001"]),
        ({"JWT_SECRET": DEVELOPMENT_SECRET_KEY}, ["chat.E002"]),
        ({"CENTRIFUGO_TOKEN_SECRET": DEVELOPMENT_CENTRIFUGO_SECRET}, ["chat.E003"]),
        ({"JWT_SECRET": DEVELOPMENT_CENTRIFUGO_SECRET}, ["chat.E002"]),
        ({"SECRET_KEY": "x" * 31}, ["chat.E001"]),
        ({"SECRET_KEY": "x" * 32}, []),
        ({"SECRET_KEY": "ж" * 16}, []),
        ({"JWT_SECRET": ""}, ["chat.E002"]),
        ({"CENTRIFUGO_TOKEN_SECRET": "x"}, ["chat.E003"]),
        ({"CENTRIFUGO_TOKEN_SECRET": GOOD["JWT_SECRET"]}, ["chat.E004"]),
        ({"CENTRIFUGO_TOKEN_SECRET": GOOD["SECRET_KEY"]}, ["chat.E004"]),
        ({"JWT_SECRET": GOOD["SECRET_KEY"]}, ["chat.W001"]),
    ],
)
def test_each_secret_has_its_code(changed: dict[str, str], codes: list[str]) -> None:
    """Each fault of each secret is found, counted in bytes, and comes with a hint."""
    found = find_secrets(**changed)

    assert [message.id for message in found] == codes
    assert all(message.hint for message in found)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return keys as hosts copy them from their identity provider, made by OpenSSL."""
    folder = tmp_path_factory.mktemp("keys")
    keys: dict[str, str] = {}
    for kind in ("RSA", "EC -pkeyopt ec_paramgen_curve:P-256", "ED25519"):
        name = kind.split()[0]
        call_openssl(folder, "genpkey", "-algorithm", *kind.split(), "-out", name)
        private = (folder / name).read_text()
        public = call_openssl(folder, "pkey", "-in", name, "-pubout")
        keys |= {f"{name} private": private, f"{name} public": public}
        body = "".join(public.strip().splitlines()[1:-1])
        keys[f"{name} public, in one line of base64"] = body
        keys[f"{name} public, with its line breaks escaped"] = public.strip().replace("\n", "\\n")
    subject = ("-subj", "/CN=x", "-days", "1", "-key", "RSA")
    certificate = call_openssl(folder, "req", "-x509", "-new", *subject)
    keys["certificate"] = certificate
    keys["x5c"] = "".join(certificate.strip().splitlines()[1:-1])
    keys["JWK"] = json.dumps({"kty": "RSA", "n": "0vx7", "e": "AQAB"})
    keys["JWKS"] = "https://login.example.com/.well-known/jwks.json"
    return keys


def call_openssl(folder: Path, *arguments: str) -> str:
    """Return what OpenSSL prints."""
    command = ["openssl", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("debug", ["", "1"])
@pytest.mark.parametrize("name", list(SHORT))
def test_a_published_key_is_no_secret(published: dict[str, str], name: str, debug: str) -> None:
    """A service that verified HS256 with a public key would accept what anyone signs."""
    for kind, value in published.items():
        with override_settings(**(GOOD | {"DEBUG": bool(debug), name: value})):
            (message,) = check_published_keys()

        assert (message.id, message.is_serious()) == ("chat.E050", True), kind
        assert message.msg.startswith(f"{name} is a")
        assert value.strip() not in f"{message.msg} {message.hint}"
        is_token_secret = name == "JWT_SECRET"
        assert ("JWT_PUBLIC_KEY" in str(message.hint)) == is_token_secret
        assert ("JWT_JWKS_URL" in str(message.hint)) == is_token_secret


def test_a_public_key_does_not_start_with_debug(published: dict[str, str]) -> None:
    """The start itself is refused, in development too, so that the mistake is found there."""
    done = run("-c", "import app.asgi", DEBUG="1", JWT_SECRET=published["RSA public"])

    assert done.returncode != 0
    assert "JWT_SECRET is a key or certificate in PEM format" in done.stderr
    assert "JWT_PUBLIC_KEY" in done.stderr


def test_random_secrets_are_no_keys() -> None:
    """Secrets as people make them are accepted, in base64 too."""
    for size in range(24, 300):
        for first in (b"", b"\x30", b"\x30\x82"):
            secret = base64.b64encode((first + os.urandom(size))[:size]).decode()
            with override_settings(JWT_SECRET=secret, SECRET_KEY="-" * 40):
                assert check_published_keys() == [], secret


@pytest.mark.parametrize(
    "changed, codes",
    [
        ({}, []),
        ({"SECRET_KEY_BEFORE": "x" * 32, "CENTRIFUGO_TOKEN_SECRET_BEFORE": "y" * 32}, []),
        ({"SECRET_KEY_BEFORE": "x" * 31}, ["chat.E030"]),
        ({"SECRET_KEY_BEFORE": DEVELOPMENT_SECRET_KEY}, ["chat.E030"]),
        ({"CENTRIFUGO_TOKEN_SECRET_BEFORE": "x" * 31}, ["chat.E031"]),
        ({"CENTRIFUGO_TOKEN_SECRET_BEFORE": DEVELOPMENT_CENTRIFUGO_SECRET}, ["chat.E031"]),
        ({"CENTRIFUGO_TOKEN_SECRET_BEFORE": GOOD["JWT_SECRET"]}, ["chat.E032"]),
        ({"CENTRIFUGO_TOKEN_SECRET_BEFORE": GOOD["SECRET_KEY"]}, ["chat.E032"]),
        (
            {"CENTRIFUGO_TOKEN_SECRET_BEFORE": "x" * 32, "JWT_SECRET_BEFORE": "x" * 32},
            ["chat.E032"],
        ),
        (
            {"CENTRIFUGO_TOKEN_SECRET_BEFORE": "x" * 32, "SECRET_KEY_BEFORE": "x" * 32},
            ["chat.E032"],
        ),
        ({"SECRET_KEY_BEFORE": GOOD["CENTRIFUGO_TOKEN_SECRET"]}, ["chat.E032"]),
    ],
)
def test_a_secret_from_before_is_as_good(changed: dict[str, str], codes: list[str]) -> None:
    """What is still accepted is long, not published, and used for one purpose, like the new one."""
    unset = dict.fromkeys(
        ("SECRET_KEY_BEFORE", "JWT_SECRET_BEFORE", "CENTRIFUGO_TOKEN_SECRET_BEFORE"), ""
    )
    values = {name: GOOD[name] for name in SHORT} | unset | changed
    with override_settings(DEBUG=False, **values):
        found = list(check_secrets_before())
    with override_settings(DEBUG=True, **values):
        assert list(check_secrets_before()) == []

    assert [message.id for message in found] == codes
    assert all(message.hint for message in found)


def test_a_fallback_is_a_warning_only() -> None:
    """The seed's contract verifies tokens with SECRET_KEY, so this alone stops nothing."""
    (message,) = find_secrets(JWT_SECRET=GOOD["SECRET_KEY"])

    assert not message.is_serious()


def test_development_is_left_alone() -> None:
    """With DEBUG on, the service starts with the published defaults."""
    secrets = {
        "SECRET_KEY": DEVELOPMENT_SECRET_KEY,
        "JWT_SECRET": DEVELOPMENT_SECRET_KEY,
    }
    with override_settings(DEBUG=True, ALLOWED_HOSTS=[], **secrets):
        assert [*check_secrets(), *check_hosts()] == []


@pytest.mark.parametrize("hosts, codes", [([], ["chat.E005"]), (["chat.example.com"], [])])
def test_host_names_are_stated(hosts: list[str], codes: list[str]) -> None:
    """A production service does not start without host names."""
    with override_settings(DEBUG=False, ALLOWED_HOSTS=hosts):
        assert [message.id for message in check_hosts()] == codes


@pytest.mark.parametrize(
    "serve, codes", [("api", []), ("admin", []), ("all", []), ("API", ["chat.E006"])]
)
def test_what_to_serve_is_one_of_three(serve: str, codes: list[str]) -> None:
    """A misspelt SERVE is refused, not replaced by a default."""
    with override_settings(SERVE=serve):
        assert [message.id for message in check_serve()] == codes


@pytest.mark.parametrize(
    "length, codes",
    [(0, ["chat.E007"]), (1, []), (4000, []), (6307, []), (6308, ["chat.E007"])],
)
def test_a_history_of_the_longest_messages_fits_the_queue(length: int, codes: list[str]) -> None:
    """No setting allows messages that do not fit the queue of a client that recovers."""
    with override_settings(CHAT_MESSAGE_MAX_LENGTH=length):
        assert [message.id for message in check_message_length()] == codes


@pytest.mark.parametrize(
    "lifetime, debug, codes",
    [(1, False, ["chat.E051"]), (29, False, ["chat.E051"]), (30, False, []), (1, True, [])],
)
def test_a_token_lives_long_enough_to_be_used(
    lifetime: int,
    debug: bool,  # noqa: FBT001 - a value of the setting
    codes: list[str],
) -> None:
    """A lifetime of a few seconds is for tests only."""
    with override_settings(DEBUG=debug, CENTRIFUGO_TOKEN_TTL_SECONDS=lifetime):
        assert [message.id for message in check_token_lifetime()] == codes


@pytest.mark.parametrize(
    "hours, lifetime, codes",
    [
        (0, 600, []),
        (0, 86_400, []),
        (-1, 600, ["chat.E008"]),
        (1, 600, ["chat.E008"]),
        (47, 600, ["chat.E008"]),
        (48, 600, []),
        (48, 43_200, []),
        (48, 43_201, ["chat.E009"]),
        (8760, 600, []),
        (8761, 600, ["chat.E008"]),
    ],
)
def test_a_listener_is_kept_longer_than_a_position(
    hours: int, lifetime: int, codes: list[str]
) -> None:
    """No setting lets a client recover from a history in which an event is missing."""
    with override_settings(CHAT_AUDIENCE_HOURS=hours, CENTRIFUGO_TOKEN_TTL_SECONDS=lifetime):
        assert [message.id for message in check_audience_hours()] == codes


@pytest.mark.parametrize(
    "word",
    [
        *("*", "https://app.example.com", "http://localhost:3000", "https://*.example.com"),
        *("https://*.example.com:8443", "capacitor://localhost", "http://127.0.0.1:8000"),
        *("http://[::1]:3000", "https://xn--e1afmkfd.example", "chrome-extension://abcdef"),
    ],
)
def test_an_origin_is_one(word: str) -> None:
    """What a browser can send as its origin is accepted, and one level of subdomains."""
    with override_settings(CORS_ALLOWED_ORIGINS=[word]):
        assert check_cors_origins() == []


@pytest.mark.parametrize(
    "word",
    [
        *("https://app.example.com/", "https://app.example.com/path", "https://app.example.com?x"),
        *("app.example.com", "//app.example.com", "https:app.example.com", "https://", "null"),
        *("https://app.example.com:443", "http://app.example.com:80", "https://app.example.com:"),
        *(
            "https://user@app.example.com",
            "https://a.*.example.com",
            "https://*",
            "**",
            "https://.x",
        ),
        *("https://*example.com", "*.example.com", "https://юзер.example.com", "https://a b"),
        "https://app.example.com\r\nX: y",
    ],
)
def test_what_is_no_origin_is_named(word: str) -> None:
    """It could never equal a browser's origin: the start is refused, and says which word it is."""
    with override_settings(CORS_ALLOWED_ORIGINS=["https://good.example.com", word]):
        (message,) = check_cors_origins()

    assert message.is_serious()
    assert message.id == "chat.E040"
    assert repr(word) in message.msg
    assert message.hint


@pytest.mark.slow
def test_a_wrong_origin_does_not_start() -> None:
    """Also in development, and each is named, however they are separated."""
    wrong = "https://good.example.com https://a.example.com/,b.example.com"
    done = run("-c", "import app.asgi", DEBUG="1", CORS_ALLOWED_ORIGINS=wrong)

    assert done.returncode != 0
    assert done.stderr.count("(chat.E040)") == 2
    assert "'https://a.example.com/'" in done.stderr
    assert "'b.example.com'" in done.stderr
