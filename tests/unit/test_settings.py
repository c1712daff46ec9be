"""Settings are read strictly: at the start, each mistake in the environment is named."""

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.support.processes import PROJECT

PRINT = """
import json, app.settings as s
values = {name: getattr(s, name) for name in dir(s) if name.isupper()}
print(json.dumps(values, default=str))
"""


def load(**environment: str) -> subprocess.CompletedProcess[str]:
    """Load the settings in a process whose environment holds these variables only."""
    return subprocess.run(
        [sys.executable, "-c", PRINT],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"]} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def read(**environment: str) -> dict[str, Any]:
    """Return the settings under these variables."""
    done = load(**environment)
    assert done.returncode == 0, done.stderr
    values: dict[str, Any] = json.loads(done.stdout)
    return values


@pytest.mark.parametrize(
    "variable, value, message",
    [
        (
            "DATABASE_URL",
            "mysql://u@h/d",
            "DATABASE_URL must begin with postgresql://, not 'mysql'",
        ),
        ("DATABASE_URL", "besedka", "DATABASE_URL must begin with postgresql://, not ''"),
        (
            "DATABASE_URL",
            "postgresql://u@h/d?no_parameter=1",
            "DATABASE_URL cannot be read: invalid URI query parameter.",
        ),
        ("CHAT_SENDS_PER_USER", "30", "CHAT_SENDS_PER_USER='30' is not a number and a number"),
        ("CHAT_JOINS_PER_USER", "x", "CHAT_JOINS_PER_USER='x' is not a number and a number"),
        (
            "CHAT_ROOMS_CREATED_PER_USER",
            "20",
            "CHAT_ROOMS_CREATED_PER_USER='20' is not a number and a number",
        ),
        (
            "CHAT_DIRECT_ROOMS_PER_USER",
            "20/day",
            "CHAT_DIRECT_ROOMS_PER_USER='20/day' is not a number and a number",
        ),
        (
            "CHAT_REPORTS_PER_USER",
            "20/100000",
            "CHAT_REPORTS_PER_USER='20/100000' is not a number and a number",
        ),
        ("CHAT_ROOMS_PER_USER", "1e3", "CHAT_ROOMS_PER_USER='1e3' is not a whole number"),
        ("CHAT_SENDS_PER_ROOM", "0/60", "CHAT_SENDS_PER_ROOM='0/60' is not a number and a number"),
        ("DATABASE_POOL_SIZE", "many", "DATABASE_POOL_SIZE='many' is not a whole number"),
        ("DATABASE_POOL_SIZE", "1.5", "DATABASE_POOL_SIZE='1.5' is not a whole number"),
        ("CHAT_MESSAGE_MAX_LENGTH", "4k", "CHAT_MESSAGE_MAX_LENGTH='4k' is not a whole number"),
        (
            "CENTRIFUGO_TOKEN_TTL_SECONDS",
            "10m",
            "CENTRIFUGO_TOKEN_TTL_SECONDS='10m' is not a whole",
        ),
        ("DEBUG", "maybe", "DEBUG='maybe' is neither true nor false: write 1 or 0"),
        ("DEBUG", "2", "DEBUG='2' is neither true nor false: write 1 or 0"),
        ("DEBUG", "y", "DEBUG='y' is neither true nor false: write 1 or 0"),
    ],
)
def test_a_mistake_is_named(variable: str, value: str, message: str) -> None:
    """The process ends at once, with the variable, its value and what is expected instead."""
    done = load(**{variable: value})

    assert done.returncode != 0
    assert message in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "variable, values, bounds",
    [
        ("DATABASE_POOL_SIZE", ("0", "-1", "1001"), "from 1 to 1000"),
        ("CHAT_EVENT_RETENTION_DAYS", ("0", "-90", "99999"), "from 1 to 36500"),
        ("CENTRIFUGO_TOKEN_TTL_SECONDS", ("0", "-600", "31536001"), "from 1 to 31536000"),
        ("METRICS_PORT", ("-1", "65536"), "from 0 to 65535"),
        ("CHAT_MESSAGE_MAX_LENGTH", ("-1", "9" * 12), "from 0 to 2147483647"),
        ("CHAT_AUDIENCE_HOURS", ("-48",), "from 0 to 2147483647"),
        ("CHAT_ROOMS_PER_USER", ("-1", "1000001"), "from 0 to 1000000"),
        ("CHAT_MEMBERS_PER_ROOM", ("-1", "10000001"), "from 0 to 10000000"),
    ],
)
def test_a_number_out_of_its_bounds_is_named(
    variable: str, values: tuple[str, ...], bounds: str
) -> None:
    """The process ends at once, with the variable, the number and the numbers that are possible."""
    for value in values:
        done = load(**{variable: value})

        expected = f"{variable}={value} is out of bounds: give a number {bounds}."
        assert done.returncode != 0
        assert done.stderr.splitlines()[-1].endswith(expected)


def test_no_number_is_without_bounds() -> None:
    """Each setting that is a number refuses one that no service can run with."""
    numbers = [
        name for name, value in read().items() if type(value) is int and name in list_numbers()
    ]

    assert len(numbers) >= 6
    for name in numbers:
        assert f"{name}=-99999999 is out of bounds" in load(**{name: "-99999999"}).stderr


def list_numbers() -> set[str]:
    """Return the variables that the settings read."""
    text = (PROJECT / "app" / "settings.py").read_text(encoding="utf-8")
    return set(re.findall(r'^[A-Z_]+ = _number\("(\w+)"', text, re.MULTILINE))


@pytest.mark.parametrize("level", ["LOUD", "20", "INFO,DEBUG"])
def test_an_unknown_log_level_is_named(level: str) -> None:
    """It is refused with the levels that there are."""
    done = load(LOG_LEVEL=level)

    assert done.returncode != 0
    expected = f"LOG_LEVEL={level!r} is none of DEBUG, INFO, WARNING, ERROR and CRITICAL."
    assert done.stderr.splitlines()[-1].endswith(expected)


def test_a_log_level_is_read_in_either_case() -> None:
    """Lower case and spaces are accepted."""
    assert read(LOG_LEVEL=" warning ")["LOG_LEVEL"] == "WARNING"


def test_every_mistake_has_its_line() -> None:
    """Several mistakes are all named at once, each in a line of its own."""
    done = load(DEBUG="maybe", METRICS_PORT="none", DATABASE_URL="mysql://h/d")

    assert done.stderr.splitlines()[-3:] == [
        "ValueError: DEBUG='maybe' is neither true nor false: write 1 or 0.",
        "DATABASE_URL must begin with postgresql://, not 'mysql'.",
        "METRICS_PORT='none' is not a whole number.",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:s3cret%zz@host/name",
        "postgresql://user:s3cret@[::1/name",
        "postgresql://user:s3cret@host:port:/name",
        "postgresql://user@host/name?password=s3cret&=",
        "mysql://user:s3cret@host/name",
    ],
)
def test_a_mistake_shows_no_password(url: str) -> None:
    """A database address that cannot be read is refused without printing what it holds."""
    done = load(DATABASE_URL=url)

    assert done.returncode != 0
    assert "DATABASE_URL" in done.stderr.splitlines()[-1]
    assert "s3cret" not in done.stderr


def test_a_secret_is_taken_as_it_is() -> None:
    """Spaces at the ends of a secret belong to it."""
    assert read(JWT_SECRET=" a secret ")["JWT_SECRET"] == " a secret "


@pytest.mark.parametrize(
    "value, expected",
    [
        *(("1", True), ("true", True), ("tRUE", True), ("YES", True), (" on ", True)),
        *(("0", False), ("off", False)),
    ],
)
def test_flags_are_read_in_any_usual_spelling(value: str, expected: object) -> None:
    """Upper case, spaces and the usual words are accepted."""
    assert read(DEBUG=value)["DEBUG"] is expected


def test_nothing_set_is_production() -> None:
    """Without an environment DEBUG is off, so the checks of secrets apply."""
    values = read()

    assert values["DEBUG"] is False
    assert values["ALLOWED_HOSTS"] == []


def test_an_empty_variable_is_an_unset_one() -> None:
    """`NAME=` in an environment file means the default."""
    names = ["DEBUG", "SECRET_KEY", "JWT_SECRET", "DATABASE_URL", "DATABASE_POOL_SIZE", "SERVE"]

    assert read(**dict.fromkeys(names, "")) == read()


def test_the_secret_of_tokens_falls_back() -> None:
    """`JWT_SECRET` is `SECRET_KEY` unless it is set, as the published contract has it."""
    fallen_back = read(SECRET_KEY="one")
    of_its_own = read(SECRET_KEY="one", JWT_SECRET="two")

    assert (fallen_back["JWT_SECRET"], of_its_own["JWT_SECRET"]) == ("one", "two")


def test_a_database_url_is_read_whole() -> None:
    """Escapes, ports, sockets and options of a URL reach Django as they reach the API's pool."""
    url = "postgresql://us%40er:p%2Fw%25@db.example:6432/na%20me?sslmode=require"

    database = read(DATABASE_URL=url)["DATABASES"]["default"]

    expected = {
        "USER": "us@er",
        "PASSWORD": "p/w%",
        "HOST": "db.example",
        "PORT": "6432",
        "NAME": "na me",
        "OPTIONS": {"sslmode": "require"},
    }
    assert {name: database[name] for name in expected} == expected


def test_a_database_url_may_name_several_hosts() -> None:
    """The hosts and their ports reach libpq as the lists that it reads."""
    url = "postgresql://u@h1:5432,h2:5433/db?target_session_attrs=read-write"

    database = read(DATABASE_URL=url)["DATABASES"]["default"]

    expected = {
        "USER": "u",
        "HOST": "h1,h2",
        "PORT": "5432,5433",
        "NAME": "db",
        "OPTIONS": {"target_session_attrs": "read-write"},
    }
    assert {name: database[name] for name in expected} == expected


def test_a_database_is_named_after_its_user() -> None:
    """Without a database in the URL, Django opens the one that libpq opens for the API."""
    assert read(DATABASE_URL="postgresql://chat@h")["DATABASES"]["default"]["NAME"] == "chat"


def test_a_socket_folder_can_be_the_host() -> None:
    """`?host=` names the folder of a Unix socket, as in libpq."""
    url = "postgresql:///besedka?host=%2Frun%2Fpostgresql"

    database = read(DATABASE_URL=url)["DATABASES"]["default"]

    assert (database["HOST"], database["NAME"]) == ("/run/postgresql", "besedka")


def test_hosts_are_separated_by_commas() -> None:
    """Spaces around a host name are removed."""
    hosts = read(ALLOWED_HOSTS=" a.example , b.example,, ")["ALLOWED_HOSTS"]

    assert hosts == ["a.example", "b.example"]
