"""Joining and leaving while somebody else changes the room, or what the user may do."""

from collections.abc import Callable
from functools import partial

import pytest

from chat.actions.joins import EntryLimits, join_room
from chat.errors import BannedError, LimitReachedError, NotFoundError
from tests.concurrency.conftest import Place
from tests.conftest import Connection
from tests.support.actors import Actor
from tests.support.ledger import read_exact_ledger
from tests.support.sessions import Session, run_at_once, wait_until_waiting

UNKNOWN = 10**12


@pytest.mark.parametrize("word", ["join", "leave"])
def test_a_locked_private_room_is_like_no_room_to_a_stranger(
    host: Actor, alice: Actor, charlie: Actor, connection: Connection, first: Session, word: str
) -> None:
    """A stranger's call does not wait, and is not answered as busy: that would show the room."""
    room = host.create_room(alice)
    connection.execute("UPDATE chat_room SET kind = 'private' WHERE id = %s", [room])
    first.lock_room(room)

    answers = [charlie.post(f"/api/rooms/{room}/{word}/") for _ in range(3)]

    unknown = charlie.post(f"/api/rooms/{UNKNOWN}/{word}/")
    assert unknown.status_code == 404
    assert {answer.content for answer in answers} == {unknown.content}


def test_who_is_a_member_joins_a_locked_room_at_once(
    host: Actor, alice: Actor, first: Session
) -> None:
    """There is nothing to change, so nothing to wait for."""
    room = host.create_room(alice)
    first.lock_room(room)

    assert alice.post(f"/api/rooms/{room}/join/").status_code == 200


def test_a_join_waits_for_a_locked_public_room(
    host: Actor, bob: Actor, connection: Connection, first: Session, second: Session
) -> None:
    """It is made when the room is free."""
    room = host.create_room()
    first.lock_room(room)
    joining = second.start(join_room(room, bob.user_id))
    wait_until_waiting(connection)

    first.commit()

    assert joining.result(10).member_count == 1


def test_a_room_that_becomes_private_meanwhile_lets_nobody_in(
    place: Place, connection: Connection, first: Session, second: Session
) -> None:
    """What counts is the kind that the room has when its lock is free."""
    room = place.room("alice")
    first.lock_room(room)
    joining = second.start(join_room(room, place.user("bob")))
    wait_until_waiting(connection)

    first.execute("UPDATE chat_room SET kind = 'private' WHERE id = %s", [room])
    first.commit()

    with pytest.raises(NotFoundError):
        joining.result(10)


def test_who_is_being_banned_from_all_rooms_waits_and_does_not_join(
    place: Place, connection: Connection, first: Session, second: Session
) -> None:
    """A ban holds the user's lock, so no join passes it by."""
    room, bob = place.room("alice"), place.user("bob")
    first.begin()
    first.execute("SELECT chat.lock_user(%s)", [bob])
    first.execute(
        "INSERT INTO chat_ban (user_id, reason, created_by, created_at)"
        " VALUES (%s, '', 'host', now())",
        [bob],
    )
    joining = second.start(join_room(room, bob))
    wait_until_waiting(connection)

    first.commit()

    with pytest.raises(BannedError):
        joining.result(10)


def test_of_two_joins_at_once_the_limit_lets_one_in(
    place: Place, connection: Connection, first: Session, second: Session
) -> None:
    """The second waits until the first is committed, and sees that no place is left."""
    rooms, bob, limits = [place.room(), place.room()], place.user("bob"), EntryLimits("", 1)
    first.begin()
    first.run(join_room(rooms[0], bob, limits))
    joining = second.start(join_room(rooms[1], bob, limits))
    wait_until_waiting(connection)

    first.commit()

    with pytest.raises(LimitReachedError):
        joining.result(10)


def test_many_joins_at_once_never_pass_the_limit(
    place: Place, open_session: Callable[[], Session], connection: Connection
) -> None:
    """In each of many rounds eight sessions let one user into eight rooms, and three get in."""
    rooms, limits = [place.room() for _ in range(8)], EntryLimits("", 3)
    sessions = [open_session() for _ in rooms]

    def try_to_join(user: str, n: int) -> bool:
        try:
            sessions[n].run(join_room(rooms[n], user, limits))
        except LimitReachedError:
            return False
        return True

    for user in place.users(20):
        joined = run_at_once(partial(try_to_join, user), range(len(rooms)))

        assert joined.count(True) == 3
    for room in rooms:
        read_exact_ledger(connection, room)


def test_a_join_that_is_undone_takes_no_place(
    place: Place, open_session: Callable[[], Session], connection: Connection
) -> None:
    """While the first may still be undone the second waits, and then it has the place."""
    rooms, bob, limits = [place.room(), place.room()], place.user("bob"), EntryLimits("", 1)
    first, second = open_session(), open_session()
    first.begin()
    first.run(join_room(rooms[0], bob, limits))
    joining = second.start(join_room(rooms[1], bob, limits))
    wait_until_waiting(connection)

    first.rollback()

    assert joining.result(10).member_count == 1
