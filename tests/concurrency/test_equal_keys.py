"""One sender, one key, two sessions at once."""

from collections.abc import Callable

import pytest

from chat.actions.caller import Caller
from chat.actions.messages import send_message, send_messages
from chat.actions.rooms import create_room
from chat.errors import IdempotencyConflictError
from tests.concurrency.conftest import Place
from tests.conftest import Connection
from tests.support.actors import Actor
from tests.support.ledger import read_exact_ledger
from tests.support.outcomes import name_outcome, require_sent
from tests.support.sessions import Session, run_at_once, wait_until_waiting


def test_two_equal_sends_are_one_message(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """The second waits for the first to commit and then finds its message: same id, no gap."""
    room = place.room("alice", "bob")
    message = place.message(room, "alice", "k")
    first.begin()
    sent = first.run(send_message(message))
    waiting = second.start(send_message(message))
    wait_until_waiting(connection)
    first.commit()

    repeated = waiting.result()

    assert (sent.is_duplicate, repeated.is_duplicate) == (False, True)
    assert repeated.message == sent.message
    ledger = read_exact_ledger(connection, room)
    assert (ledger.room["version"], ledger.seqs) == (3, [1])


def test_a_send_that_was_undone_never_was(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """When the first is rolled back the second is the first: no gap, nothing queued twice."""
    room = place.room("alice", "bob")
    message = place.message(room, "alice", "k")
    first.begin()
    undone = first.run(send_message(message))
    waiting = second.start(send_message(message))
    wait_until_waiting(connection)
    first.rollback()

    sent = waiting.result()

    assert (undone.is_duplicate, sent.is_duplicate) == (False, False)
    assert sent.message.seq == 1
    assert sent.message.id != undone.message.id
    ledger = read_exact_ledger(connection, room)
    assert ledger.room["version"] == 3
    assert [row.event["body"].get("id") for row in ledger.queued] == [None, None, sent.message.id]


def test_two_contents_under_one_key_are_one_message(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """Of two contents under one key the first is stored and the second refused."""
    room = place.room("alice")
    first.begin()
    first.run(send_message(place.message(room, "alice", "k", "this")))
    waiting = second.start(send_message(place.message(room, "alice", "k", "that")))
    wait_until_waiting(connection)
    first.commit()

    with pytest.raises(IdempotencyConflictError):
        waiting.result()

    assert read_exact_ledger(connection, room).contents == ["this"]


def test_a_key_twice_in_one_batch_is_one_message(
    place: Place, first: Session, connection: Connection
) -> None:
    """Within one call, too, a key belongs to the first content sent with it."""
    room = place.room("alice", "bob")
    batch = [
        place.message(room, "alice", "k", "this"),
        place.message(room, "alice", "k", "this"),
        place.message(room, "bob", "k", "mine"),
        place.message(room, "alice", "k", "that"),
        place.message(room, "alice", "l", "next"),
    ]

    sent = first.run(send_messages(batch))

    assert [name_outcome(one) for one in sent] == [
        "sent",
        "duplicate",
        "sent",
        "client_id_conflict",
        "sent",
    ]
    stored = [require_sent(sent[n]).message for n in (0, 1, 2, 4)]
    assert [message.seq for message in stored] == [1, 1, 2, 3]
    assert stored[0] == stored[1]
    assert read_exact_ledger(connection, room).contents == ["this", "mine", "next"]


def test_keys_are_of_one_sender_and_one_room(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """The same key of another sender, or in another room, is another message."""
    room, other = place.room("alice", "bob"), place.room("alice", "bob")
    first.begin()
    first.run(send_messages([place.message(room, "alice", "k")]))
    waiting = second.start(
        send_messages([place.message(room, "bob", "k"), place.message(other, "alice", "k")])
    )
    wait_until_waiting(connection)
    first.commit()

    assert [name_outcome(one) for one in waiting.result()] == ["sent", "sent"]
    assert read_exact_ledger(connection, room).seqs == [1, 2]
    assert read_exact_ledger(connection, other).seqs == [1]


@pytest.mark.parametrize("attempt", range(5))
def test_many_sessions_with_one_key(
    place: Place, open_session: Callable[[], Session], connection: Connection, attempt: int
) -> None:
    """However many send the same at once, one message is stored and all are given its id."""
    del attempt
    room = place.room("alice")
    message = place.message(room, "alice", "k")
    sessions = [open_session() for _ in range(8)]

    sent = run_at_once(lambda session: session.run(send_message(message)), sessions)

    assert sorted(one.is_duplicate for one in sent) == [False] + [True] * 7
    assert len({one.message.id for one in sent}) == 1
    assert read_exact_ledger(connection, room).room["version"] == 2


def test_many_requests_with_one_key(host: Actor, alice: Actor, connection: Connection) -> None:
    """Over HTTP, too: one 201, the rest 200, all with the same message."""
    room = host.create_room(alice.listen())

    answers = run_at_once(lambda key: alice.send(room, "hello", client_id=key), ["k"] * 8)

    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.content for answer in answers}) == 1
    assert read_exact_ledger(connection, room).seqs == [1]


def test_two_equal_creations_are_one_room(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """The second waits for the first to commit and then finds its room; each user joined once."""
    users = place.users(3)
    call = create_room("room", users, by=Caller("service", place.user("host")), client_id="k")
    first.begin()
    created = first.run(call)
    waiting = second.start(call)
    wait_until_waiting(connection)
    first.commit()

    repeated = waiting.result()

    assert (created.is_duplicate, repeated.is_duplicate) == (False, True)
    assert repeated.room == created.room
    assert read_exact_ledger(connection, created.room.id).room["version"] == 3


def test_a_creation_that_was_undone_never_was(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """When the first is rolled back the second creates the room, whatever the first asked for."""
    host = Caller("service", place.user("host"))
    first.begin()
    first.run(create_room("undone", place.users(2), by=host, client_id="k"))
    waiting = second.start(create_room("room", place.users(3), by=host, client_id="k"))
    wait_until_waiting(connection)
    first.rollback()

    created = waiting.result()

    assert (created.is_duplicate, created.room.name) == (False, "room")
    assert read_exact_ledger(connection, created.room.id).room["version"] == 3


def test_two_rooms_under_one_key_are_one_room(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """Of two rooms under one key at once the first is created and the second refused."""
    host = Caller("service", place.user("host"))
    first.begin()
    first.run(create_room("this", [], by=host, client_id="k"))
    waiting = second.start(create_room("that", [], by=host, client_id="k"))
    wait_until_waiting(connection)
    first.commit()

    with pytest.raises(IdempotencyConflictError):
        waiting.result()


def test_many_creations_with_one_key(host: Actor, alice: Actor, connection: Connection) -> None:
    """Over HTTP, too: one 201, the rest 200, all with the same room."""
    wanted = {"name": "room", "members": [alice.listen().user_id], "client_id": alice.user_id}

    answers = run_at_once(lambda body: host.post("/api/rooms/", body), [wanted] * 8)

    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.content for answer in answers}) == 1
    (room,) = alice.get("/api/rooms/").json()["results"]
    assert read_exact_ledger(connection, room["id"]).room["version"] == 1
