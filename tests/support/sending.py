"""Sending through a queue of the test's own, and over connections of the test's own."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx

from chat.actions.messages import NewMessage
from chat.actions.send_queue import SendQueue, open_send_queue
from chat.errors import ChatError
from chat.sql.database import Share, open_database, share_connections
from tests.support.actors import Actor
from tests.support.outcomes import name_outcome

POOL = 10

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def open_queue(url: str, share: Share | None = None) -> AsyncIterator[SendQueue]:
    """Open a queue with connections of its own, as an API process does."""
    async with (
        open_database(url, POOL) as database,
        open_send_queue(database, share or share_connections(POOL)) as queue,
    ):
        yield queue


async def send(queue: SendQueue, message: NewMessage) -> str:
    """Send a message; return `sent`, `duplicate`, the code of its error, or the error's name."""
    try:
        return name_outcome(await queue.send(message))
    except ChatError as error:
        return error.code
    except Exception as error:  # noqa: BLE001 - the name of whatever it was
        return type(error).__name__


async def send_all(queue: SendQueue, messages: Sequence[NewMessage]) -> list[str]:
    """Send messages at once, begun in this order; return what became of each."""
    return await asyncio.gather(*(send(queue, message) for message in messages))


async def open_connection(url: str) -> Ends:
    """Connect to an API."""
    parts = httpx.URL(url)
    return await asyncio.open_connection(parts.host, parts.port)


def compose_send(sender: Actor, room: int, content: str) -> bytes:
    """Return a whole request."""
    request = sender.http.build_request(
        "POST", f"/api/rooms/{room}/messages/", json={"content": content}
    )
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    line = f"POST {request.url.raw_path.decode()} HTTP/1.1\r\n"
    return f"{line}{head}\r\n".encode() + request.content


async def read_answer(reader: asyncio.StreamReader) -> httpx.Response:
    """Read a whole answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    fields = (line.partition(": ") for line in head[1:] if line)
    headers = httpx.Headers([(name, value) for name, _, value in fields])
    body = await reader.readexactly(int(headers["content-length"]))
    return httpx.Response(int(head[0].split()[1]), headers=headers, content=body)
