"""A raw client that sends exactly what a test gives it, tokens, and a writer of the outbox."""

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Self

import jwt
import psycopg
from psycopg import AsyncConnection
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.conformance.servers import SECRET, RunningServer

Message = dict[str, Any]
ANSWER_TIMEOUT = 10.0


def run(scenario: Coroutine[Any, Any, None], *, within: float = 30) -> None:
    """Run an asynchronous test, with a limit in seconds."""

    async def limited() -> None:
        async with asyncio.timeout(within):
            await scenario
        # The SDK closes its sockets in tasks; a socket that is still open causes a warning later.
        if left := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(left, timeout=2)
        for _ in range(3):
            await asyncio.sleep(0)

    asyncio.run(limited())


def new_user() -> str:
    """Return a user id, and so a channel, that no other test uses."""
    return f"u-{uuid.uuid4().hex[:12]}"


def sign(secret: str = SECRET, **claims: object) -> str:
    """Sign claims; None leaves a claim out."""
    present = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(present, secret, algorithm="HS256")


def connection_token(user: str, ttl: int | None = 600) -> str:
    """Sign a connection token."""
    return sign(sub=user, exp=None if ttl is None else int(time.time()) + ttl)


def subscription_token(user: str, channel: str, ttl: int | None = 600) -> str:
    """Sign a subscription token."""
    return sign(sub=user, channel=channel, exp=None if ttl is None else int(time.time()) + ttl)


class RawClient:
    """One WebSocket connection that sends and returns protocol messages unchanged."""

    def __init__(self, websocket: ClientConnection, user: str) -> None:
        self.websocket = websocket
        self.user = user
        self.channel = f"personal:{user}"
        self._messages: list[Message] = []
        self._id = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, server: RunningServer, user: str | None = None) -> AsyncIterator[Self]:
        """Open a connection and send nothing yet."""
        async with connect(
            server.url, ping_interval=None, compression=None, max_size=None, proxy=None
        ) as websocket:
            yield cls(websocket, user or new_user())

    @classmethod
    @contextlib.asynccontextmanager
    async def connected(cls, server: RunningServer, user: str | None = None) -> AsyncIterator[Self]:
        """Open a connection and connect as a user."""
        async with cls.open(server, user) as client:
            reply = await client.call("connect", token=connection_token(client.user))
            assert "connect" in reply, reply
            yield client

    @classmethod
    @contextlib.asynccontextmanager
    async def subscribed(
        cls, server: RunningServer, user: str | None = None
    ) -> AsyncIterator[Self]:
        """Connect, and subscribe to the user's own channel."""
        async with cls.connected(server, user) as client:
            reply = await client.subscribe()
            assert "subscribe" in reply, reply
            yield client

    async def send(self, *commands: Message) -> None:
        """Send commands in one frame."""
        await self.websocket.send("\n".join(json.dumps(command) for command in commands))

    async def call(self, method: str, /, **request: object) -> Message:
        """Send one command and return its reply; pushes before it are kept for `receive`."""
        self._id += 1
        await self.send({"id": self._id, method: request})
        return await self.reply_to(self._id)

    async def reply_to(self, number: int) -> Message:
        """Return the reply to a command."""
        kept: list[Message] = []
        while True:
            message = await self.receive()
            if message.get("id") == number:
                self._messages[:0] = kept
                return message
            kept.append(message)

    async def subscribe(self, channel: str | None = None, **request: object) -> Message:
        """Subscribe, with a valid token unless the test gives another."""
        channel = channel or self.channel
        request.setdefault("token", subscription_token(self.user, channel))
        return await self.call("subscribe", channel=channel, **request)

    async def receive(self, *, answer_pings: bool = True) -> Message:
        """Return the next message; pings are answered and skipped unless the test wants them."""
        while True:
            if not self._messages:
                async with asyncio.timeout(ANSWER_TIMEOUT):
                    frame = await self.websocket.recv()
                assert isinstance(frame, str)
                self._messages = [json.loads(line) for line in frame.split("\n")]
            message = self._messages.pop(0)
            if message or not answer_pings:
                return message
            await self.send({})

    async def receive_push(self) -> Message:
        """Return the next push."""
        message = await self.receive()
        assert "push" in message, message
        push: Message = message["push"]
        return push

    async def receive_data(self) -> Any:
        """Return the data of the next publication."""
        push = await self.receive_push()
        return push["pub"]["data"]

    @property
    def unread(self) -> list[Message]:
        """What `receive` has not returned yet."""
        return self._messages

    async def stay_for(self, seconds: float) -> None:
        """Answer pings for a while, and require that nothing else arrives."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                message = await self.receive()
                raise AssertionError(f"unexpected: {message}")

    async def wait_closed_answering(self) -> tuple[int, str]:
        """Answer pings until the server closes; return its code and reason."""
        with contextlib.suppress(ConnectionClosed):
            message = await self.receive()
            raise AssertionError(f"unexpected: {message}")
        return await self.wait_closed()

    async def wait_closed(self) -> tuple[int, str]:
        """Return the code and the reason with which the server closes."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                while True:
                    frame = await self.websocket.recv()
                    self._messages += map(json.loads, frame.splitlines())
        except ConnectionClosed:
            pass
        return self.websocket.close_code or 0, self.websocket.close_reason or ""


class Outbox:
    """Publishes as the application does: writes rows and notifies in one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, database_url: str) -> AsyncIterator[Self]:
        """Connect to the database of the test."""
        async with await AsyncConnection.connect(database_url, autocommit=True) as connection:
            yield cls(connection)

    async def publish(self, channel: str, *data: object, key: str = "", partition: int = 0) -> None:
        """Broadcast each of the data to one channel, in one transaction."""
        payloads: list[object] = []
        for item in data:
            payload: Message = {"channels": [channel], "data": item}
            if key:
                payload["idempotency_key"] = key
            payloads.append(payload)
        await self.write("broadcast", *payloads, partition=partition)

    async def write(self, method: str, *payloads: object, partition: int = 0) -> None:
        """Write one row per payload, in order and in one transaction."""
        async with self.connection.transaction():
            for payload in payloads:
                await self.connection.execute(
                    "INSERT INTO chat_outbox (method, payload, partition, created_at)"
                    " VALUES (%s, %s, %s, now())",
                    (method, json.dumps(payload), partition),
                )
            await self.connection.execute("SELECT pg_notify('chat_outbox', %s)", (str(partition),))

    async def count(self) -> int:
        """Return how many rows wait."""
        cursor = await self.connection.execute("SELECT count(*) FROM chat_outbox")
        row = await cursor.fetchone()
        assert row is not None
        return int(row[0])

    async def wait_drained(self) -> None:
        """Wait until the outbox is empty; a deletion sends no signal, so it is polled."""
        async with asyncio.timeout(ANSWER_TIMEOUT):
            while await self.count():  # noqa: ASYNC110 - PostgreSQL sends no signal
                await asyncio.sleep(0.01)


@contextlib.contextmanager
def blocked_deletes(database_url: str, partition: int) -> Iterator[None]:
    """Make a server that has published the rows of a partition wait when it deletes them."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(4711)")
        connection.execute("""
            CREATE FUNCTION chat_outbox_wait() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN OLD; END $$
        """)
        connection.execute(f"""
            CREATE TRIGGER wait BEFORE DELETE ON chat_outbox FOR EACH ROW
            WHEN (OLD.partition = {partition}) EXECUTE FUNCTION chat_outbox_wait()
        """)
        try:
            yield
        finally:
            connection.execute("SELECT pg_advisory_unlock(4711)")
            connection.execute("DROP FUNCTION chat_outbox_wait CASCADE")


@contextlib.contextmanager
def counted_deletes(database_url: str) -> Iterator[Callable[[], int]]:
    """Count the transactions that delete rows of the outbox."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE chat_outbox_deletes (xid text)")
        connection.execute("""
            CREATE FUNCTION chat_outbox_count() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO chat_outbox_deletes VALUES (pg_current_xact_id()::text); RETURN NULL;
            END $$
        """)
        connection.execute("""
            CREATE TRIGGER count AFTER DELETE ON chat_outbox EXECUTE FUNCTION chat_outbox_count()
        """)

        def count() -> int:
            row = connection.execute("SELECT count(DISTINCT xid) FROM chat_outbox_deletes")
            return int(row.fetchone()[0])  # type: ignore[index]

        try:
            yield count
        finally:
            connection.execute("DROP FUNCTION chat_outbox_count CASCADE")
            connection.execute("DROP TABLE chat_outbox_deletes")
