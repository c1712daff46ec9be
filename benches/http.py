"""HTTP/1.1 on a plain socket: requests made by hand, and one answer at a time."""

import json
import socket
import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

READ_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens; `path` is what its paths begin with."""

    host: str
    port: int
    path: str = ""
    is_tls: bool = False

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read an http, https, ws or wss URL. Errors: `ValueError`."""
        parts = urlsplit(url)
        is_tls = parts.scheme in {"https", "wss"}
        if parts.hostname is None or parts.scheme not in {"http", "https", "ws", "wss"}:
            raise ValueError(f"{url} is no http, https, ws or wss URL")
        port = parts.port or (443 if is_tls else 80)
        return cls(parts.hostname, port, parts.path.rstrip("/"), is_tls)

    @property
    def name(self) -> str:
        """The value of the `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def connect(self, timeout: float = 30) -> socket.socket:
        """Return a connection that sends small packets at once."""
        plain = socket.create_connection((self.host, self.port), timeout=timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self.is_tls:
            return plain
        return ssl.create_default_context().wrap_socket(plain, server_hostname=self.host)


def read_arrived(connection: socket.socket) -> bytes:
    """Return what has arrived; nothing when the other side has closed the connection."""
    data = connection.recv(READ_BYTES)
    # What TLS has already decrypted, epoll does not show again.
    while isinstance(connection, ssl.SSLSocket) and connection.pending():
        data += connection.recv(READ_BYTES)
    return data


def write_request(
    method: str, path: str, *, host: str, token: str, body: bytes | None = None
) -> bytes:
    """Return the bytes of a request on a connection that is kept open."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {token}"]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def read_answer(data: bytes) -> tuple[int, bytes] | None:
    """Return status and body when the answer is complete, else None."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[:end].lower()
    at = head.find(b"content-length:")
    length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
    body = data[end + 4 :]
    return (int(head[9:12]), body) if len(body) >= length else None


class Connection:
    """A connection that is kept open and waits for each answer."""

    def __init__(self, address: Address, timeout: float = 30) -> None:
        self._address = address
        self._socket = address.connect(timeout)

    def request(
        self, method: str, path: str, token: str, content: object = None
    ) -> tuple[int, Any]:
        """Send a request; return the status and the JSON of the answer, None if it is empty."""
        body = None if content is None else json.dumps(content).encode()
        status, data = self.exchange(
            write_request(
                method, self._address.path + path, host=self._address.name, token=token, body=body
            )
        )
        return status, json.loads(data) if data else None

    def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Send the bytes of a request; return the status and body of the answer."""
        self._socket.sendall(request)
        data = b""
        while (answer := read_answer(data)) is None:
            more = read_arrived(self._socket)
            if not more:
                raise ConnectionError("the server closed the connection")
            data += more
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()
