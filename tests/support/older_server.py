"""A PostgreSQL that says it is an older one."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from tests.rig.proxy import find_postgres_socket

_VERSION = re.compile(rb"S....server_version\0[^\0]*\0", re.DOTALL)


@contextmanager
def claim_version(database_url: str, version: str) -> Iterator[str]:
    """Give the URL of the same database through a proxy that changes the version it names.

    A server names its version in a message of its own (`ParameterStatus`) when it has accepted a
    connection. Everything else passes as it is, so the database could be written to.
    """
    value = b"server_version\0" + version.encode() + b"\0"
    message = b"S" + (4 + len(value)).to_bytes(4) + value
    path = str(find_postgres_socket(database_url))
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as links:

        def accept() -> None:
            with suppress(OSError):  # the listener was closed
                while True:
                    client, _ = listener.accept()
                    server = socket.socket(socket.AF_UNIX)
                    server.connect(path)
                    for end in (client, server):
                        links.callback(end.close)
                        links.callback(_hang_up, end)
                    start(client, server)

        def start(client: socket.socket, server: socket.socket) -> None:
            there = threading.Thread(target=_pass_on, args=(client, server))
            back = threading.Thread(target=_pass_on, args=(server, client, message))
            there.start()
            back.start()

        threading.Thread(target=accept, daemon=True).start()
        host, port = listener.getsockname()
        name = database_url.partition("?")[0].rpartition("/")[2]
        try:
            yield f"postgresql://besedka@{host}:{port}/{name}?sslmode=disable"
        finally:
            _hang_up(listener)


def _hang_up(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


def _pass_on(source: socket.socket, target: socket.socket, message: bytes | None = None) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            found = _VERSION.search(data) if message else None
            if found and message:
                data, message = data[: found.start()] + message + data[found.end() :], None
            target.sendall(data)
    _hang_up(target)
