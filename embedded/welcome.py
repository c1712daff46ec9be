"""The page that is printed when everything runs: addresses, and lines to paste."""

import http.client
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from embedded.terminal import BOLD, CYAN, DIM, GREEN, Terminal


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
