"""`manage.py token` prints what the API accepts, whatever the settings of identity are."""

from collections.abc import Callable

import jwt
import pytest
from django.test import override_settings

from tests.support.actors import Cast
from tests.support.processes import call_manage, run_manage, serve_api

STRICT = {
    "JWT_SECRET": "a secret of the host's own, of at least 32 bytes",
    "JWT_AUDIENCE": "besedka, another",
    "JWT_ISSUER": "https://login.example.com, https://old.example.com",
    "JWT_REQUIRE_EXP": "1",
    "JWT_MAX_LIFETIME_SECONDS": "600",
    "JWT_SERVICE_CLAIM": "rights",
    "JWT_SERVICE_VALUE": "chat",
}


@pytest.mark.slow
def test_its_tokens_are_accepted(clone_database: Callable[[], str]) -> None:
    """An audience, an issuer, a longest lifetime, a claim of the host's own: all are in it."""
    url = clone_database()
    with serve_api(url, output=None, **STRICT) as api, Cast(api) as cast:
        sign = ("token", "--ttl=1d", "--sub=alice")
        user, service = (
            cast.with_token(run_manage(*sign, *more, DATABASE_URL=url, **STRICT).strip())
            for more in ([], ["--service"])
        )
        body = {"name": "general", "members": ["alice"]}

        assert user.get("/api/rooms/").status_code == 200
        assert service.post("/api/rooms/", body).status_code == 201
        assert user.post("/api/rooms/", body).status_code == 403


def test_a_token_that_is_valid_for_a_shorter_time_says_so(database_url: str) -> None:
    """Only the token is on stdout; the note is on stderr."""
    done = call_manage("token", "--ttl=1d", "--sub=alice", DATABASE_URL=database_url, **STRICT)

    assert done.stdout.count(".") == 2
    assert done.stderr == "It is valid for 600 seconds: see JWT_MAX_LIFETIME_SECONDS.\n"


@pytest.mark.parametrize(
    "identity",
    [
        {
            "JWT_JWKS_URL": "https://login.example.com/keys",
            "JWT_ISSUER": "https://login.example.com",
        },
        {"JWT_ALGORITHMS": "HS512"},
    ],
)
def test_it_prints_no_token_that_is_refused(database_url: str, identity: dict[str, str]) -> None:
    """Where the API verifies with keys, the command cannot sign, and says what is used instead."""
    done = call_manage("token", "--sub=alice", DATABASE_URL=database_url, **(STRICT | identity))

    assert (done.returncode, done.stdout) == (1, "")
    assert "Tokens of JWT_SECRET are not accepted" in done.stderr
    assert "JWT_JWKS_URL" in done.stderr


def test_the_load_test_has_such_tokens_too() -> None:
    """It signs for its users and for the service as the command does."""
    from embedded.management.commands.loadtest import sign  # noqa: PLC0415 - needs Django

    secret = STRICT["JWT_SECRET"]
    with override_settings(JWT_SECRET=secret, JWT_AUDIENCE=["besedka"], JWT_ISSUER=["host"]):
        user, service = (
            jwt.decode(token, secret, ["HS256"], audience="besedka", issuer="host")
            for token in (sign("alice", False), sign("loadtest", True))
        )

    assert (user["sub"], user.get("role")) == ("alice", None)
    assert (service["sub"], service["role"]) == ("loadtest", "service")
