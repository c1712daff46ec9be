"""Joins, leaves and sends at the same time in one room: the second sees the first."""

from collections.abc import Callable

import pytest

from chat.actions.joins import join_room
from chat.actions.messages import send_messages
from chat.realtime.channels import personal_channel
from tests.concurrency.conftest import Place
from tests.conftest import Connection
from tests.support.ledger import read_exact_ledger
from tests.support.memberships import add_members, remove_member
from tests.support.outcomes import name_outcome
from tests.support.sessions import Session, run_at_once, wait_until_waiting


def test_a_join_after_a_send_does_not_get_it(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """Who joins while a message is being stored begins with the version after it."""
    room = place.room("alice")
    bob = place.user("bob")
    first.begin()
    first.run(send_messages([place.message(room, "alice", "k")]))
    joining = second.start(add_members(room, [bob]))
    wait_until_waiting(connection)
    first.commit()
    joining.result()

    ledger = read_exact_ledger(connection, room)

    assert ledger.members[bob] == 3
    assert ledger.audience(2) == {personal_channel(place.user("alice"))}
    assert personal_channel(bob) in ledger.audience(3)


def test_a_send_after_a_join_reaches_the_joiner(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """A message that is stored after a join goes to the joiner, though its send began before."""
    room = place.room("alice")
    bob = place.user("bob")
    first.begin()
    first.run(add_members(room, [bob]))
    sending = second.start(send_messages([place.message(room, "alice", "k")]))
    wait_until_waiting(connection)
    first.commit()
    sending.result()

    ledger = read_exact_ledger(connection, room)

    assert ledger.members[bob] == 2
    assert ledger.audience(3) == {personal_channel(place.user("alice")), personal_channel(bob)}


def test_a_send_after_a_leave_does_not_reach_the_leaver(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """The last event for a user who leaves is the own user_left, whatever was being sent."""
    room = place.room("alice", "bob")
    bob = place.user("bob")
    first.begin()
    first.run(remove_member(room, bob))
    sending = second.start(send_messages([place.message(room, "alice", "k")]))
    wait_until_waiting(connection)
    first.commit()
    sending.result()

    ledger = read_exact_ledger(connection, room)

    assert personal_channel(bob) in ledger.audience(3)
    assert ledger.audience(4) == {personal_channel(place.user("alice"))}


@pytest.mark.parametrize(
    "is_undone, outcome, contents", [(False, "not_found", []), (True, "sent", ["hello"])]
)
def test_a_sender_who_is_being_removed(
    place: Place,
    first: Session,
    second: Session,
    connection: Connection,
    is_undone: bool,  # noqa: FBT001 - a parameter of the test
    outcome: str,
    contents: list[str],
) -> None:
    """A send that waited for a removal is judged by how the removal ended."""
    room = place.room("alice", "bob")
    first.begin()
    first.run(remove_member(room, place.user("bob")))
    sending = second.start(send_messages([place.message(room, "bob", "k")]))
    wait_until_waiting(connection)
    if is_undone:
        first.rollback()
    else:
        first.commit()

    (sent,) = sending.result()

    assert name_outcome(sent) == outcome
    assert read_exact_ledger(connection, room).contents == contents


@pytest.mark.parametrize("is_undone, outcome", [(False, "sent"), (True, "not_found")])
def test_a_sender_who_is_just_joining(
    place: Place,
    first: Session,
    second: Session,
    connection: Connection,
    is_undone: bool,  # noqa: FBT001 - a parameter of the test
    outcome: str,
) -> None:
    """A send that waited for its sender's join is judged by how the join ended."""
    room = place.room("alice")
    first.begin()
    first.run(add_members(room, [place.user("bob")]))
    sending = second.start(send_messages([place.message(room, "bob", "k")]))
    wait_until_waiting(connection)
    if is_undone:
        first.rollback()
    else:
        first.commit()

    (sent,) = sending.result()

    assert name_outcome(sent) == outcome
    read_exact_ledger(connection, room)


def test_a_removal_after_an_addition_of_the_same_user(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """The user joined and left: two events, both sent to the user, and no membership."""
    room = place.room("alice")
    bob = place.user("bob")
    first.begin()
    first.run(add_members(room, [bob]))
    removing = second.start(remove_member(room, bob))
    wait_until_waiting(connection)
    first.commit()

    removed = removing.result()

    ledger = read_exact_ledger(connection, room)
    assert removed.version == 3
    assert [event["type"] for event in ledger.log[1:]] == ["user_joined", "user_left"]
    assert bob not in ledger.members
    assert personal_channel(bob) in ledger.audience(2) & ledger.audience(3)


def test_an_addition_after_a_removal_of_the_same_user(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """The user left and joined again, and is a member from the later version on."""
    room = place.room("alice", "bob")
    bob = place.user("bob")
    first.begin()
    first.run(remove_member(room, bob))
    adding = second.start(add_members(room, [bob]))
    wait_until_waiting(connection)
    first.commit()

    addition = adding.result()

    ledger = read_exact_ledger(connection, room)
    assert addition.added == [bob]
    assert [event["type"] for event in ledger.log[2:]] == ["user_left", "user_joined"]
    assert ledger.members[bob] == 4


def test_overlapping_additions_add_each_user_once(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """Two sides that add overlapping users at once: each user is added by one of them."""
    room = place.room("alice")
    users = place.users(4)
    first.begin()
    first.run(add_members(room, users[:3]))
    adding = second.start(add_members(room, [users[3], users[2], users[1], users[2]]))
    wait_until_waiting(connection)
    first.commit()

    addition = adding.result()

    assert (addition.added, addition.already) == ([users[3]], [users[2], users[1]])
    ledger = read_exact_ledger(connection, room)
    assert [ledger.members[user] for user in users] == [2, 2, 2, 5]


def test_the_same_users_from_many_sides(
    place: Place, open_session: Callable[[], Session], connection: Connection
) -> None:
    """However many sides add the same users at once, each user joins once."""
    room = place.room("alice")
    users = place.users(10)
    sessions = [open_session() for _ in range(6)]

    additions = run_at_once(
        lambda n: sessions[n].run(add_members(room, users[n:] + users[:n])), range(6)
    )

    assert sorted(user for addition in additions for user in addition.added) == users
    assert read_exact_ledger(connection, room).room["version"] == 11


def test_leaving_twice_at_once_is_leaving_once(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """One of two leaves ends the membership; the other changes nothing and sends nothing."""
    room = place.room("alice", "bob")
    bob = place.user("bob")
    first.begin()
    left = first.run(remove_member(room, bob))
    leaving = second.start(remove_member(room, bob))
    wait_until_waiting(connection)
    first.commit()

    repeated = leaving.result()

    assert repeated == left
    assert read_exact_ledger(connection, room).room["version"] == 3


def test_joining_twice_at_once_is_joining_once(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """One of two joins begins the membership; the other changes nothing and sends nothing."""
    room = place.room("alice")
    bob = place.user("bob")
    first.begin()
    joined = first.run(join_room(room, bob))
    joining = second.start(join_room(room, bob))
    wait_until_waiting(connection)
    first.commit()

    repeated = joining.result()

    assert repeated == joined
    assert read_exact_ledger(connection, room).room["version"] == 2
