"""The process that receives for all devices: one plain WebSocket for each, in JSON."""

import base64
import contextlib
import json
import multiprocessing
import os
import resource
import select
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from typing import Self
from urllib.parse import quote

from benches.http import Address, Connection, read_arrived

PUBLICATION = b'"pub":{'


@dataclass(frozen=True, slots=True)
class Device:
    """A user's device, and what it needs to connect and to subscribe."""

    user_id: str
    channel: str
    connection_token: str
    subscription_token: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """What one device received in one WebSocket message; time in ns of the monotonic clock."""

    at: int
    device: int
    payload: bytes


class WebSocket:
    """One WebSocket: what it sends is masked, as the protocol demands, with zeros."""

    def __init__(self, address: Address) -> None:
        """Connect; the path of the address is that of the WebSocket."""
        self.plain = address.connect()
        self._data = b""
        key = base64.b64encode(os.urandom(16)).decode()
        self.plain.sendall(
            f"GET {address.path} HTTP/1.1\r\nHost: {address.name}\r\n"
            f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self._data:
            if not (more := self.plain.recv(4096)):
                raise ConnectionError("the realtime server closed the connection")
            self._data += more
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        if b" 101 " not in head.split(b"\r\n", 1)[0]:
            raise ConnectionError(f"no WebSocket: {head[:200]!r}")

    def send(self, payload: bytes, opcode: int = 1) -> None:
        """Send one frame."""
        size = len(payload)
        length = struct.pack("!B", 0x80 | size) if size < 126 else struct.pack("!BH", 0xFE, size)
        self.plain.sendall(bytes([0x80 | opcode]) + length + b"\0\0\0\0" + payload)

    def read(self) -> Iterator[tuple[int, bytes]]:
        """Read once from the socket; give the opcode and payload of each complete frame."""
        try:
            more = read_arrived(self.plain)
        except ConnectionError:
            more = b""
        if not more:
            yield 8, b""
            return
        data = self._data + more
        at = 0
        while len(data) - at >= 2:
            size, start = data[at + 1] & 0x7F, at + 2
            if size == 126:
                size, start = int.from_bytes(data[at + 2 : at + 4]), at + 4
            elif size == 127:
                size, start = int.from_bytes(data[at + 2 : at + 10]), at + 10
            if len(data) < start + size:
                break
            yield data[at] & 0x0F, data[start : start + size]
            at = start + size
        self._data = data[at:]


class _Loop:
    """Notes what each device receives, in the process that receives."""

    def __init__(self, address: Address, devices: Sequence[Device]) -> None:
        self._poll = select.epoll()
        self._sockets: dict[int, tuple[int, WebSocket]] = {}
        self.arrivals: list[Arrival] = []
        self.publications = 0
        self.disconnected: list[str] = []
        self._awaited = 0
        for number, device in enumerate(devices):
            made = WebSocket(address)
            connect = {"id": 1, "connect": {"token": device.connection_token}}
            wanted = {"channel": device.channel, "token": device.subscription_token}
            subscribe = {"id": 2, "subscribe": wanted}
            made.send(f"{json.dumps(connect)}\n{json.dumps(subscribe)}".encode())
            self._sockets[made.plain.fileno()] = number, made
            self._poll.register(made.plain.fileno(), select.EPOLLIN)
            self._awaited += 2
        self._await_subscriptions()

    def _await_subscriptions(self) -> None:
        deadline = time.monotonic() + 30
        while self._awaited > 0:
            self.receive(1.0)
            for arrival in self.arrivals:
                if b'"error"' in arrival.payload:
                    raise ConnectionError(arrival.payload.decode())
                self._awaited -= arrival.payload.count(b'"id":')
            self.arrivals.clear()
            if time.monotonic() > deadline or self.disconnected:
                raise ConnectionError(f"devices cannot subscribe: {self.disconnected[:3]}")

    def receive(self, seconds: float, other: int | None = None) -> bool:
        """Note what arrives, at most for so long; return True when `other` can be read."""
        is_readable = False
        for number, _ in self._poll.poll(seconds):
            if number == other:
                is_readable = True
                continue
            self._read(number)
        return is_readable

    def _read(self, number: int) -> None:
        device, found = self._sockets[number]
        for opcode, payload in found.read():
            if opcode == 1:
                if payload == b"{}":
                    found.send(b"{}")  # a ping of the Centrifuge protocol
                    continue
                self.arrivals.append(Arrival(time.monotonic_ns(), device, payload))
                self.publications += payload.count(PUBLICATION)
            elif opcode == 9:
                found.send(payload, 10)
            elif opcode == 8:
                self.disconnected.append(f"device {device}: {payload[:120]!r}")
                self._poll.unregister(number)
                del self._sockets[number]

    def serve(self, pipe: Pipe) -> None:
        """Receive until the other end of the pipe is closed, and answer what it asks."""
        self._poll.register(pipe.fileno(), select.EPOLLIN)
        while True:
            if not self.receive(5.0, pipe.fileno()):
                continue
            try:
                awaited, seconds = pipe.recv()
            except EOFError:
                return
            deadline = time.monotonic() + seconds
            while self.publications < awaited and time.monotonic() < deadline:
                if self.receive(0.05, pipe.fileno()):
                    return  # the other end was closed
            pipe.send((self.arrivals, self.disconnected))
            self.arrivals, self.publications, self.disconnected = [], 0, []


def make_device(connection: Connection, user_id: str, token: str) -> Device:
    """Return a user's device, with tokens from the API. Errors: `RuntimeError` if it refuses."""
    status, connecting = connection.request("GET", "/api/token/connection/", token)
    channel = f"personal:{user_id}"
    query = f"?channel={quote(channel)}"
    other, subscribing = connection.request("GET", f"/api/token/subscription/{query}", token)
    if {status, other} != {200}:
        raise RuntimeError(f"there is no token for {user_id}: {connecting} {subscribing}")
    return Device(user_id, channel, connecting["token"], subscribing["token"])


def _serve(pipe: Pipe, address: Address, devices: Sequence[Device]) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        loop = _Loop(address, devices)
        pipe.send(None)
        loop.serve(pipe)
    except OSError as error:
        with contextlib.suppress(BrokenPipeError):
            pipe.send(error)
    except KeyboardInterrupt:
        return


class Receiver:
    """A process that receives for these devices from a realtime server."""

    def __init__(self, address: Address, devices: Sequence[Device]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, address, devices), daemon=True)
        self._process.start()
        theirs.close()
        self._recv()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid or 0

    def take(self, awaited: int, within: float = 10.0) -> list[Arrival]:
        """Return what arrived since the last call.

        It waits until so many publications have arrived, at most for so many seconds. Errors:
        `ConnectionError` if a device was disconnected.
        """
        self._pipe.send((awaited, within))
        arrivals, disconnected = self._recv()
        if disconnected:
            raise ConnectionError(f"{len(disconnected)} disconnected, first {disconnected[0]}")
        found: list[Arrival] = arrivals
        return found

    def _recv(self) -> tuple[list[Arrival], list[str]]:
        answer = self._pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer or ([], [])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join(5)
        self._process.kill()
