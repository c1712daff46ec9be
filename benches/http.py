"""HTTP/1.1 on a plain socket: requests made by hand, and one answer at a time."""

import json
import socket
from types import TracebackType
from typing import Any, Self


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

    def __init__(self, host: str, port: int, timeout: float = 30) -> None:
        self.name = f"{host}:{port}"
        self._socket = socket.create_connection((host, port), timeout=timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def request(
        self, method: str, path: str, token: str, content: object = None
    ) -> tuple[int, Any]:
        """Send a request; return the status and the JSON of the answer, None if it is empty."""
        body = None if content is None else json.dumps(content).encode()
        status, data = self.exchange(
            write_request(method, path, host=self.name, token=token, body=body)
        )
        return status, json.loads(data) if data else None

    def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Send the bytes of a request; return the status and body of the answer."""
        self._socket.sendall(request)
        data = b""
        while (answer := read_answer(data)) is None:
            more = self._socket.recv(1 << 20)
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
