"""A client hangs up while its request waits."""

import asyncio

import pytest

from chat.actions.messages import send_message
from chat.sql.database import open_database
from tests.concurrency.conftest import Place
from tests.conftest import Connection
from tests.support.sessions import Session, wait_until_waiting


@pytest.mark.slow
def test_a_call_that_is_cancelled_gives_its_connection_back(
    place: Place, first: Session, connection: Connection, database_url: str
) -> None:
    """The only connection of a pool serves again, and the cancelled message was not sent."""
    room = place.room("alice")

    async def scenario() -> None:
        async with open_database(database_url, 1) as database:
            await asyncio.to_thread(first.lock_room, room)
            call = send_message(place.message(room, "alice", "cancelled"))
            waiting = asyncio.create_task(database.run(call))
            await asyncio.to_thread(wait_until_waiting, connection)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await asyncio.to_thread(first.rollback)
            sent = await database.run(send_message(place.message(room, "alice", "next")))
            assert (sent.is_duplicate, sent.message.seq) == (False, 1)
            assert database.read_statistics()["pool_size"] == 1

    asyncio.run(scenario())
