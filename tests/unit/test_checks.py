"""With DEBUG off, an unsafe service does not start, and says what to set."""

import os
import subprocess
import sys

import pytest
from django.core.checks import CheckMessage
from django.test import override_settings

from chat.checks import (
    check_audience_hours,
    check_hosts,
    check_message_length,
    check_secrets,
    check_secrets_before,
    check_serve,
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
    [(0, ["chat.E007"]), (1, []), (4000, []), (6819, []), (6820, ["chat.E007"])],
)
def test_a_history_of_the_longest_messages_fits_the_queue(length: int, codes: list[str]) -> None:
    """No setting allows messages that do not fit the queue of a client that recovers."""
    with override_settings(CHAT_MESSAGE_MAX_LENGTH=length):
        assert [message.id for message in check_message_length()] == codes


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
