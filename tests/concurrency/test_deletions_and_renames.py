"""Deleting messages and renaming rooms while others write."""

from chat.actions.messages import delete_message, send_message
from chat.actions.rooms import rename_room
from tests.concurrency.conftest import Place
from tests.conftest import Connection
from tests.support.ledger import read_exact_ledger
from tests.support.sessions import Session, wait_until_waiting


def test_deleting_twice_at_once_is_deleting_once(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """One of two deletions deletes; the other changes nothing and sends nothing."""
    room = place.room("alice")
    message = first.run(send_message(place.message(room, "alice", "k"))).message
    first.begin()
    is_first = first.run(delete_message(message.id))
    waiting = second.start(delete_message(message.id))
    wait_until_waiting(connection)
    first.commit()

    is_second = waiting.result()

    assert (is_first, is_second) == (True, False)
    ledger = read_exact_ledger(connection, room)
    assert ledger.contents == [""]
    assert ledger.room["version"] == 3


def test_a_retry_during_a_deletion_is_the_deleted_message(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """A send that is repeated while its message is deleted stores nothing."""
    room = place.room("alice")
    message = place.message(room, "alice", "k")
    sent = first.run(send_message(message))
    first.begin()
    first.run(delete_message(sent.message.id))
    retrying = second.start(send_message(message))
    wait_until_waiting(connection)
    first.commit()

    retried = retrying.result()

    assert (retried.is_duplicate, retried.message.id) == (True, sent.message.id)
    assert read_exact_ledger(connection, room).contents == [""]


def test_a_send_after_a_rename_carries_the_new_name(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """The event of a message that waited for a rename has the name that the room has by then."""
    room = place.room("alice")
    first.begin()
    first.run(rename_room(room, "salon"))
    sending = second.start(send_message(place.message(room, "alice", "k")))
    wait_until_waiting(connection)
    first.commit()
    sending.result()

    ledger = read_exact_ledger(connection, room)

    assert [row.event["body"]["room"]["name"] for row in ledger.queued] == [
        "room",
        "salon",
        "salon",
    ]


def test_renaming_alike_at_once_is_renaming_once(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """Of two renames to one name the second finds nothing to change."""
    room = place.room("alice")
    first.begin()
    is_first = first.run(rename_room(room, "salon"))
    waiting = second.start(rename_room(room, "salon"))
    wait_until_waiting(connection)
    first.commit()

    is_second = waiting.result()

    assert (is_first, is_second) == (True, False)
    assert read_exact_ledger(connection, room).room["version"] == 2
