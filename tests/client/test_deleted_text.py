"""How long a deleted text can still be replayed, to whom, and that a client ends without it."""

import pytest

from chat.actions.messages import delete_message
from chat.sql.database import run_call
from tests.client.conftest import Follow
from tests.client.test_device import OVERRUN, send_many, wait_drained
from tests.conformance.clients import run
from tests.conftest import Connection
from tests.support.actors import Actor

SECRET = "the text that was deleted"


@pytest.fixture
def room_id(host: Actor, alice: Actor, bob: Actor) -> int:
    """Return a room of Alice's and Bob's."""
    return host.create_room(alice, bob)


def send_and_delete(connection: Connection, sender: Actor, room_id: int) -> None:
    """Send the text, and delete it."""
    message = sender.send(room_id, SECRET).json()
    run_call(connection, delete_message(message["id"]))


def test_a_client_that_recovers_ends_without_a_deleted_text(
    follow: Follow,
    connection: Connection,
    database_url: str,
    room_id: int,
    alice: Actor,
    bob: Actor,
) -> None:
    """It receives a deleted message as it was published, and then that the message was deleted."""

    async def scenario() -> None:
        async with follow(bob) as follower:
            await follower.device.start()
            await follower.device.pause()
            send_and_delete(connection, alice, room_id)
            await wait_drained(database_url)
            await follower.device.resume()
            await follower.wait_for(room_id)

            assert follower.notebook.subscriptions[-1] == (True, True)
            replayed = [
                (frame["type"], frame["body"]["content"]) for frame in follower.notebook.frames
            ]
            assert replayed == [("message_added", SECRET), ("message_deleted", "")]
            assert SECRET not in str(follower.reducer.state())
            await follower.check()

    run(scenario())


@pytest.mark.slow
def test_after_a_hundred_publications_a_deleted_text_is_not_replayed(
    follow: Follow,
    connection: Connection,
    database_url: str,
    room_id: int,
    alice: Actor,
    bob: Actor,
) -> None:
    """The history has the last 100 publications: the client then reads what the API has."""

    async def scenario() -> None:
        async with follow(bob) as follower:
            await follower.device.start()
            await follower.device.pause()
            send_and_delete(connection, alice, room_id)
            send_many(connection, alice, room_id, OVERRUN)
            await wait_drained(database_url)
            await follower.device.resume()
            await follower.wait_for(room_id)

            assert follower.notebook.subscriptions[-1] == (False, True)
            assert SECRET not in str([follower.notebook.frames, follower.reducer.state()])
            await follower.check()

    run(scenario())


def test_a_text_deleted_before_a_user_came_is_never_sent_to_the_user(
    follow: Follow,
    connection: Connection,
    database_url: str,
    room_id: int,
    alice: Actor,
    charlie: Actor,
    host: Actor,
) -> None:
    """A history is of one user's channel: who came later has nothing of the text in it."""
    send_and_delete(connection, alice, room_id)

    async def scenario() -> None:
        async with follow(charlie) as follower:
            await follower.device.start()
            host.post(f"/api/rooms/{room_id}/members/", {"users": [charlie.user_id]})
            await follower.wait_for(room_id)
            await wait_drained(database_url)

            assert SECRET not in str([follower.notebook.frames, follower.reducer.state()])
            await follower.check()

    run(scenario())
