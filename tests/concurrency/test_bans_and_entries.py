"""Bans that meet entries, sends and changes of roles: no banned user is a member afterwards."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from chat.actions.bans import (
    NewBan,
    ban_from_all_rooms,
    ban_from_room,
    list_rooms_to_leave,
    remove_banned_member,
)
from chat.actions.caller import SERVICE, Caller
from chat.actions.members import MemberChange, update_member
from chat.actions.messages import send_message
from chat.errors import (
    ConflictError,
    MutedError,
    NotAMemberError,
    RightRequiredError,
)
from chat.sql.database import run_call
from tests.concurrency.conftest import Place
from tests.conftest import Connection
from tests.support.actors import Cast
from tests.support.memberships import add_members
from tests.support.sessions import PATIENCE, Session, run_at_once, wait_until_waiting

FOR_EVER = datetime(9999, 12, 31, tzinfo=UTC)


def is_member(connection: Connection, room: int, user: str) -> bool:
    """Whether a user is a member now."""
    found = connection.execute(
        "SELECT FROM chat_member WHERE room_id = %s AND user_id = %s", [room, user]
    )
    return found.fetchone() is not None


def leave_all_rooms(connection: Connection, user: str) -> None:
    """End the memberships of a banned user, as the API does after the ban."""
    for room in run_call(connection, list_rooms_to_leave(user)):
        run_call(connection, remove_banned_member(room, user, SERVICE))


def test_whom_a_ban_overtakes_does_not_enter(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """An addition that waits for the ban's commit finds the ban."""
    room, alice = place.room("bob"), place.user("alice")
    first.begin()
    first.run(ban_from_room(room, NewBan(alice), SERVICE))
    entry = second.start(add_members(room, [alice]))
    wait_until_waiting(connection)
    first.commit()

    with pytest.raises(ConflictError):
        entry.result(PATIENCE)
    assert not is_member(connection, room, alice)


def test_the_release_before_lets_nobody_in_who_is_banned(
    place: Place, connection: Connection
) -> None:
    """Its code joins by functions that know no outcome for a ban: there is no such room."""
    room, alice = place.room("bob"), place.user("alice")
    run_call(connection, ban_from_room(room, NewBan(alice), SERVICE))

    row = connection.execute(
        "SELECT outcome FROM chat.add_members(%s, ARRAY[%s])", [room, alice]
    ).fetchone()

    assert row == {"outcome": "room_not_found"}
    assert not is_member(connection, room, alice)


def test_a_ban_waits_for_an_entry_and_ends_the_membership(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """Who entered a moment before is removed by the ban."""
    room, alice = place.room("bob"), place.user("alice")
    first.begin()
    first.run(add_members(room, [alice]))
    ban = second.start(ban_from_room(room, NewBan(alice), SERVICE))
    wait_until_waiting(connection)
    first.commit()

    assert ban.result(PATIENCE).was_member
    assert not is_member(connection, room, alice)


def test_a_ban_from_all_rooms_waits_for_entries_that_began_before_it(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """An addition that is committed after the ban was asked for leaves no member behind."""
    room, alice = place.room("bob"), place.user("alice")
    first.begin()
    first.run(add_members(room, [alice, *place.users(3)]))
    ban = second.start(ban_from_all_rooms(NewBan(alice), SERVICE))
    wait_until_waiting(connection)
    first.commit()
    ban.result(PATIENCE)
    leave_all_rooms(connection, alice)

    assert not is_member(connection, room, alice)


def test_an_addition_that_meets_a_ban_from_all_rooms_is_refused(
    place: Place, first: Session, connection: Connection, cast: Cast
) -> None:
    """It looked at the bans before this one was committed; it is run again and finds it: 409."""
    room, alice = place.room("bob"), place.user("alice")
    first.begin()
    first.run(ban_from_all_rooms(NewBan(alice), SERVICE))
    with ThreadPoolExecutor(1) as threads:
        body = {"users": [alice, *place.users(3)]}
        answer = threads.submit(cast.service().post, f"/api/rooms/{room}/members/", body)
        wait_until_waiting(connection)
        first.commit()

        assert answer.result(PATIENCE).status_code == 409
    assert not is_member(connection, room, alice)
    assert not is_member(connection, room, place.users(3)[0])


def test_a_send_that_a_ban_overtakes_is_refused(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """A message that waits for the room's lock meanwhile is not stored."""
    room = place.room("alice", "bob")
    first.begin()
    first.run(ban_from_room(room, NewBan(place.user("alice")), SERVICE))
    sent = second.start(send_message(place.message(room, "alice", "k")))
    wait_until_waiting(connection)
    first.commit()

    with pytest.raises(NotAMemberError):
        sent.result(PATIENCE)


def test_a_send_that_a_mute_overtakes_is_refused(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """Once a mute is answered, nothing of the member comes any more."""
    room, alice = place.room("alice", "bob"), place.user("alice")
    mute = MemberChange(sets_mute=True, muted_until=FOR_EVER)
    first.begin()
    first.run(update_member(room, alice, mute, SERVICE))
    sent = second.start(send_message(place.message(room, "alice", "k")))
    wait_until_waiting(connection)
    first.commit()

    with pytest.raises(MutedError):
        sent.result(PATIENCE)


@pytest.mark.parametrize(
    "promoted, role", [("alice", "owner"), ("moderator", "member")], ids=["target", "caller"]
)
def test_a_change_of_a_role_decides_about_the_ban_that_waits_for_it(
    place: Place,
    first: Session,
    second: Session,
    connection: Connection,
    promoted: str,
    role: str,
) -> None:
    """A target who became an owner, a caller who is no moderator any more: nobody is banned."""
    room, alice = place.room("alice", "moderator", "bob"), place.user("alice")
    moderator = place.user("moderator")
    run_call(connection, update_member(room, moderator, MemberChange("moderator"), SERVICE))
    first.begin()
    first.run(update_member(room, place.user(promoted), MemberChange(role), SERVICE))
    ban = second.start(ban_from_room(room, NewBan(alice), Caller("user", moderator)))
    wait_until_waiting(connection)
    first.commit()

    with pytest.raises(RightRequiredError):
        ban.result(PATIENCE)
    assert is_member(connection, room, alice)


@pytest.mark.parametrize("is_everywhere", [False, True], ids=["one room", "all rooms"])
def test_of_many_at_once_no_banned_user_is_left_a_member(
    cast: Cast, connection: Connection, *, is_everywhere: bool
) -> None:
    """Joins, additions and sends beside a ban, again and again; afterwards joining is 403."""
    host = cast.service()
    for n in range(6):
        alice, room = cast.user(f"alice{n}"), host.create_room(cast.user("bob"))
        ban = f"/api/bans/{alice.user_id}/"
        if not is_everywhere:
            ban = f"/api/rooms/{room}/bans/{alice.user_id}/"
        actions: list[Callable[[], Any]] = [
            lambda: alice.post(f"/api/rooms/{room}/join/"),  # noqa: B023 - run in this round
            lambda: host.post(f"/api/rooms/{room}/members/", {"users": [alice.user_id]}),  # noqa: B023
            lambda: alice.send(room, "hello"),  # noqa: B023
            lambda: host.put(ban),  # noqa: B023
        ] * 2

        answers = run_at_once(lambda action: action(), actions)

        assert {answer.status_code for answer in answers} <= {200, 201, 403, 404, 409}
        assert not is_member(connection, room, alice.user_id)
        assert alice.post(f"/api/rooms/{room}/join/").json()["code"] == "banned"
