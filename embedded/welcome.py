"""The page that is printed when everything runs: addresses, and lines to paste."""

import http.client
import ipaddress
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from embedded.terminal import BOLD, CYAN, DIM, GREEN, RED, Terminal

# The API's default. Its other one is for SECRET_KEY, from which JWT_SECRET follows.
DEVELOPMENT_CENTRIFUGO_SECRET = "besedka-development-centrifugo-token-secret"  # noqa: S105 - public
PUBLISHED_BEGINNINGS = ("django-insecure-", DEVELOPMENT_CENTRIFUGO_SECRET)


@dataclass(frozen=True)
class Addresses:
    """The addresses of this run, as seen from this machine."""

    host: str
    port: int
    realtime_port: int
    realtime_name: str

    @property
    def api(self) -> str:
        """The base address of the HTTP API."""
        return f"http://{self._authority}:{self.port}"

    @property
    def realtime(self) -> str:
        """The address that client SDKs connect to."""
        return f"ws://{self._authority}:{self.realtime_port}/connection/websocket"

    @property
    def _authority(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def welcome(addresses: Addresses, user: str, token: str, terminal: Terminal) -> str:
    """Compose the page; every line under "Try it" works when pasted as it is."""

    def title(text: str) -> str:
        return terminal.paint(text, BOLD)

    def paste(text: str) -> str:
        return f"  {terminal.paint(text, CYAN)}"

    manage = f"{interpreter()} manage.py"
    curl = 'curl -H "Authorization: Bearer $TOKEN"'
    page = [
        "",
        terminal.paint("Besedka is running.", GREEN)
        + terminal.paint(" Ctrl-C stops it; the data stays in .data/.", DIM),
        "",
        f"  API       {addresses.api}/api/",
        f"  Admin     {addresses.api}/admin/ (first: {manage} createsuperuser)",
        f"  Realtime  {addresses.realtime} ({addresses.realtime_name})",
        "",
        title(f"Try it in a second terminal, as the user {user}:"),
        paste(f"TOKEN={token}"),
        paste(f"{curl} {addresses.api}/api/rooms/"),
    ]
    room = find_room(addresses, token)
    if room is not None:
        messages = f"{addresses.api}/api/rooms/{room}/messages/"
        body = """-H "Content-Type: application/json" -d '{"content":"hello"}'"""
        page += [paste(f"{curl} {messages}"), paste(f"{curl} {body} {messages}")]
    watch = f"{manage} watch --sub {user}"
    return "\n".join([*page, "", title("Watch the events arrive in a third:"), paste(watch), ""])


def warn_of_published_secrets(
    host: str, environment: Mapping[str, str], terminal: Terminal
) -> list[str]:
    """Return the lines of a warning where others reach this run and anyone knows its secrets.

    `host` is the address that it listens on, `environment` what the person who started it has set.
    """
    if _is_loopback(host):
        return []
    own = {name: environment.get(name, "") for name in ("SECRET_KEY", "CENTRIFUGO_TOKEN_SECRET")}
    secrets = {"JWT_SECRET": environment.get("JWT_SECRET") or own["SECRET_KEY"], **own}
    names = [
        name
        for name, value in secrets.items()
        if not value or value.startswith(PUBLISHED_BEGINNINGS)
    ]
    if not names:
        return []
    listed = " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
    loud = f"{BOLD};{RED}"
    return [
        "",
        terminal.paint(
            f"WARNING: with HOST={host} others reach this run. Its secrets are public.", loud
        ),
        terminal.paint(
            "Anyone who reaches a port of this run can sign tokens for every user and", RED
        ),
        terminal.paint(
            "for the host's service: the defaults of development are in the source code.", RED
        ),
        f"Set {listed} to secrets of your own, or leave HOST out.",
        "",
    ]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def find_room(addresses: Addresses, token: str) -> int | None:
    """Return a room of the demo user, so that the printed lines name one that exists."""
    connection = http.client.HTTPConnection(addresses.host, addresses.port, timeout=5)
    try:
        headers = {"Authorization": f"Bearer {token}"}
        connection.request("GET", "/api/rooms/?limit=1", headers=headers)
        room = json.load(connection.getresponse())["results"][0]["id"]
        return room if isinstance(room, int) else None
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
        return None  # the page is printed without a room
    finally:
        connection.close()


def interpreter() -> str:
    """Return the path of this Python, relative to the current folder if it is inside."""
    python = Path(sys.executable)
    here = Path.cwd()
    return str(python.relative_to(here)) if python.is_relative_to(here) else str(python)
