"""What `make up` says when everything runs."""

import pytest

from embedded.__main__ import plan
from embedded.terminal import BOLD, RED, Terminal
from tests.support.processes import find_free_port

SECRETS = ("JWT_SECRET", "SECRET_KEY", "CENTRIFUGO_TOKEN_SECRET")


@pytest.fixture
def welcome(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Return what sets the environment of a run; it has none of the secrets, and a free port."""
    for name in (*SECRETS, "HOST", "NO_COLOR", "CENTRIFUGO_BIN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PORT", str(find_free_port()))
    return monkeypatch


def greet(terminal: Terminal | None = None) -> str:
    """Return the page that a run with this environment prints; nothing is started."""
    return plan(terminal or Terminal()).welcome({"manage.py": "a.token.printed"})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "chat.example.com"])
def test_published_secrets_on_an_open_address_are_warned_of(
    welcome: pytest.MonkeyPatch, host: str
) -> None:
    """Where other machines reach the run, it says that anyone can sign tokens, and what to set."""
    welcome.setenv("HOST", host)

    said = greet()

    assert f"WARNING: with HOST={host} others reach this run. Its secrets are public." in said
    assert "can sign tokens for every user" in said
    assert "Set JWT_SECRET, SECRET_KEY and CENTRIFUGO_TOKEN_SECRET to secrets of your own" in said
    # What scrolls away last.
    assert said.index("WARNING") > said.index("watch --sub")


@pytest.mark.parametrize("host", ["", "127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_a_run_for_this_machine_only_warns_of_nothing(
    welcome: pytest.MonkeyPatch, host: str
) -> None:
    """By default nobody else reaches it."""
    welcome.setenv("HOST", host)

    assert "WARNING" not in greet()


@pytest.mark.parametrize(
    "own, named",
    [
        (SECRETS, None),
        (("SECRET_KEY", "CENTRIFUGO_TOKEN_SECRET"), None),
        (("SECRET_KEY", "JWT_SECRET"), "Set CENTRIFUGO_TOKEN_SECRET to"),
        (("JWT_SECRET", "CENTRIFUGO_TOKEN_SECRET"), "Set SECRET_KEY to"),
        (("JWT_SECRET",), "Set SECRET_KEY and CENTRIFUGO_TOKEN_SECRET to"),
    ],
)
def test_only_what_is_public_is_named(
    welcome: pytest.MonkeyPatch, own: tuple[str, ...], named: str | None
) -> None:
    """JWT_SECRET follows SECRET_KEY; with secrets of one's own there is no warning."""
    welcome.setenv("HOST", "192.168.1.7")
    for name in own:
        welcome.setenv(name, "a secret of my own")

    said = greet()

    assert ("WARNING" in said) == (named is not None)
    assert named is None or named in said


def test_a_published_secret_that_was_set_is_public(welcome: pytest.MonkeyPatch) -> None:
    """It is not safer because somebody copied it from the source code."""
    welcome.setenv("HOST", "192.168.1.7")
    welcome.setenv("SECRET_KEY", "a secret of my own")
    welcome.setenv("CENTRIFUGO_TOKEN_SECRET", "besedka-development-centrifugo-token-secret")

    assert "Set CENTRIFUGO_TOKEN_SECRET to" in greet()


def test_the_warning_is_red(welcome: pytest.MonkeyPatch) -> None:
    """On a terminal it stands out from the rest."""
    welcome.setenv("HOST", "192.168.1.7")
    welcome.setattr("sys.stdout.isatty", lambda: True)
    welcome.setenv("TERM", "xterm")

    assert f"\x1b[{BOLD};{RED}mWARNING" in greet(Terminal())
