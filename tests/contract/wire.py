"""Requests as bytes, for what a well-behaved client library refuses to send."""

import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tests.support.actors import Actor


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the parsed body."""
        return msgspec.json.decode(self.body)


def send_bytes(
    actor: Actor,
    method: str,
    target: bytes,
    *,
    host: bytes = b"localhost",
    headers: bytes = b"",
    body: bytes = b"",
) -> Answer:
    """Send a request with exactly this target, these header lines and this body."""
    address = urlsplit(str(actor.http.base_url))
    request = b"\r\n".join(
        [
            method.encode() + b" " + target + b" HTTP/1.1",
            b"Host: " + host,
            b"Authorization: " + actor.http.headers.get("authorization", "").encode(),
            b"Connection: close",
            headers + b"\r\n" + body,
        ]
    )
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall(request)
        received = b"".join(iter(lambda: connection.recv(65_536), b""))
    head, _, content = received.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.split(":", 1) for line in lines)
    return Answer(
        status=int(status_line.split(" ")[1]),
        headers={name.lower(): value.strip() for name, value in pairs},
        body=content,
    )
