"""Blocks that meet sends, the opening of direct rooms, and each other."""

from collections import Counter

import pytest

from chat.actions.blocks import block_user
from chat.actions.caller import SERVICE
from chat.actions.direct_rooms import open_direct_room
from chat.actions.messages import send_message
from chat.errors import BlockedError, ChatError
from chat.sql.database import run_call
from tests.concurrency.conftest import Place
from tests.conftest import Connection
from tests.support.actors import Cast
from tests.support.sessions import PATIENCE, Session, run_at_once, wait_until_waiting


def test_a_send_that_a_block_overtakes_is_refused(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """Once a block is answered, nothing more comes in the direct room of the two."""
    users = [place.user("alice"), place.user("bob")]
    room = run_call(connection, open_direct_room(users, by=SERVICE)).room.id
    first.begin()
    first.run(block_user(place.user("alice"), place.user("bob")))
    sent = second.start(send_message(place.message(room, "bob", "k")))
    wait_until_waiting(connection)
    first.commit()

    with pytest.raises(BlockedError):
        sent.result(PATIENCE)


def test_a_direct_room_that_a_block_overtakes_is_not_opened(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """It looks at the blocks when it has the locks of both users."""
    users = [place.user("alice"), place.user("bob")]
    first.begin()
    first.run(block_user(*users))
    opened = second.start(open_direct_room(users, by=SERVICE))
    wait_until_waiting(connection)
    first.commit()

    with pytest.raises(ChatError):
        opened.result(PATIENCE)


def test_a_block_waits_for_the_opening_and_then_for_the_sends_of_the_room(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """It finds the room that was opened meanwhile: sends in it are refused from then on."""
    users = [place.user("alice"), place.user("bob")]
    first.begin()
    room = first.run(open_direct_room(users, by=SERVICE)).room.id
    block = second.start(block_user(*users))
    wait_until_waiting(connection)
    first.commit()
    block.result(PATIENCE)

    with pytest.raises(BlockedError):
        run_call(connection, send_message(place.message(room, "bob", "k")))


def test_two_who_block_each_other_at_once_both_do(cast: Cast) -> None:
    """Neither waits in a circle."""
    for n in range(5):
        alice, bob = cast.user(f"alice{n}"), cast.user(f"bob{n}")

        answers = run_at_once(
            lambda pair: pair[0].put(f"/api/blocks/{pair[1].user_id}/"),
            [(alice, bob), (bob, alice)],
        )

        assert [answer.status_code for answer in answers] == [200, 200]


def test_the_limit_of_blocks_is_exact(cast: Cast, connection: Connection) -> None:
    """Of many at once so many are stored as there is room for."""
    alice = cast.user("alice")
    connection.execute(
        "INSERT INTO chat_block (user_id, blocked_id, created_at)"
        " SELECT %s, 'troll-' || n, now() FROM generate_series(1, 997) AS n",
        [alice.user_id],
    )

    answers = run_at_once(lambda n: alice.put(f"/api/blocks/new-{n}/"), range(8))

    assert Counter(answer.status_code for answer in answers) == {200: 3, 409: 5}
