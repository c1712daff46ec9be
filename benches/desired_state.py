"""`python -m benches.desired_state`: a room of 10,000 members by one call, and how long it locks.

A probe locks the room again and again meanwhile: the longest that it waits is how long the call
keeps others from the room.
"""

import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Self

import psycopg

from benches.code import read_present
from benches.http import Connection
from benches.installation import Installation
from embedded.postgres import PostgresServer

MEMBERS = 10_000
PATH = "/api/rooms/by-external-id/measured/"


class Probe:
    """Locks the room until it is stopped, as every change of it does."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.longest = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not self._stop.is_set():
                begun = time.monotonic()
                connection.execute(
                    "SELECT FROM chat_room WHERE external_id = 'measured' FOR NO KEY UPDATE"
                )
                self.longest = max(self.longest, time.monotonic() - begun)


def measure(installation: Installation) -> None:
    """Print the time of each call, and the longest wait of the probe during it."""
    token = installation.sign("bench", role="service")
    users = [f"user-{n:05}-{'x' * 24}" for n in range(MEMBERS)]
    half = users[::2]
    states: list[tuple[str, list[dict[str, Any]]]] = [
        ("one member", [{"user": users[0], "role": "owner"}]),
        ("10,000 members", [{"user": user} for user in users]),
        ("the same again", [{"user": user} for user in users]),
        (
            "5,000 get another role",
            [{"user": u, "role": "moderator"} for u in half] + [{"user": u} for u in users[1::2]],
        ),
        ("5,000 are removed", [{"user": user} for user in half]),
        ("10,000 others", [{"user": f"other-{user}"} for user in users]),
    ]
    for user in users[:100]:
        with Connection(installation.address) as connection:
            connection.request("GET", "/api/token/connection/", installation.sign(user))
    with Connection(installation.address) as connection:
        for name, members in states:
            body = {"name": "measured", "members": members}
            with Probe(installation.database_url) as probe:
                begun = time.monotonic()
                status, answer = connection.request("PUT", PATH, token, body)
                taken = time.monotonic() - begun
            if status not in {200, 201}:
                raise RuntimeError(f"{name}: {status} {answer}")
            longest = probe.longest * 1000
            print(f"{name:24} {taken:6.2f} s, longest wait {longest:4.0f} ms {answer['counts']}")


def main() -> None:
    """Measure with a database and an API of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="besedka-bench-") as folder,
        PostgresServer.start(Path(folder) / "postgres") as postgres,
    ):
        installation = Installation(read_present(), postgres, "besedka", "none", Path(folder))
        with installation:
            installation.migrate()
            installation.start()
            measure(installation)


if __name__ == "__main__":
    main()
