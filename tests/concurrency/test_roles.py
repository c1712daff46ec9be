"""Roles and members that change at the same time: the second is judged after the first."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from chat.actions.caller import SERVICE, Caller
from chat.actions.members import MemberChange, add_members, remove_member, update_member
from chat.errors import ConflictError, NotFoundError, RightRequiredError
from chat.sql.database import run_call
from tests.concurrency.conftest import Place
from tests.conftest import Connection
from tests.support.ledger import read_exact_ledger
from tests.support.sessions import Session, run_at_once, wait_until_waiting

FOR_EVER = datetime(9999, 12, 31, tzinfo=UTC)
DEMOTED = MemberChange("member")


@pytest.fixture
def roles(place: Place, connection: Connection) -> Callable[..., int]:
    """Return what makes a room with users of these roles, in this order of joining."""

    def make(**users: str) -> int:
        room = place.room()
        for name, role in users.items():
            run_call(connection, add_members(room, [place.user(name)], SERVICE, role=role))
        return room

    return make


def by(place: Place, name: str) -> Caller:
    """Return a user as the caller of a change."""
    return Caller("user", place.user(name))


def read_roles(connection: Connection, place: Place, room: int) -> dict[str, str]:
    """Return the role of each member, by the name in the test."""
    rows = connection.execute(
        "SELECT user_id, role FROM chat_member WHERE room_id = %s", [room]
    ).fetchall()
    suffix = place.user("")
    return {row["user_id"].removesuffix(suffix): row["role"] for row in rows}


def test_two_owners_who_demote_each_other_leave_one(
    place: Place,
    roles: Callable[..., int],
    first: Session,
    second: Session,
    connection: Connection,
) -> None:
    """The second, who is no owner any more when it is judged, may not: one owner stays."""
    room = roles(alice="owner", bob="owner")
    first.begin()
    first.run(update_member(room, place.user("bob"), DEMOTED, by(place, "alice")))
    demoting = second.start(update_member(room, place.user("alice"), DEMOTED, by(place, "bob")))
    wait_until_waiting(connection)
    first.commit()

    with pytest.raises(RightRequiredError):
        demoting.result()
    assert read_roles(connection, place, room) == {"alice": "owner", "bob": "member"}


def test_two_owners_who_step_down_leave_one(
    place: Place,
    roles: Callable[..., int],
    first: Session,
    second: Session,
    connection: Connection,
) -> None:
    """Each gives up the own role; the second is the only owner by then, and stays one."""
    room = roles(alice="owner", bob="owner")
    first.begin()
    first.run(update_member(room, place.user("bob"), DEMOTED, by(place, "bob")))
    demoting = second.start(update_member(room, place.user("alice"), DEMOTED, by(place, "alice")))
    wait_until_waiting(connection)
    first.commit()

    with pytest.raises(ConflictError):
        demoting.result()
    assert read_roles(connection, place, room) == {"alice": "owner", "bob": "member"}


def test_many_demotions_at_once_leave_one_owner(
    place: Place,
    roles: Callable[..., int],
    open_session: Callable[[], Session],
    connection: Connection,
) -> None:
    """However many sides demote the owners of a room at once, exactly one is left."""
    names = [f"owner{n}" for n in range(6)]
    room = roles(**dict.fromkeys(names, "owner"))
    sessions = [open_session() for _ in names]

    def demote(n: int) -> bool:
        try:
            sessions[n].run(update_member(room, place.user(names[n]), DEMOTED, SERVICE))
        except ConflictError:
            return False
        return True

    done = run_at_once(demote, range(len(names)))

    assert done.count(True) == len(names) - 1
    assert list(read_roles(connection, place, room).values()).count("owner") == 1


def test_a_promotion_after_a_removal_finds_nobody(
    place: Place,
    roles: Callable[..., int],
    first: Session,
    second: Session,
    connection: Connection,
) -> None:
    """A role for a user who was just removed is 404, and brings no member back."""
    room = roles(alice="owner", bob="member")
    first.begin()
    first.run(remove_member(room, place.user("bob"), SERVICE))
    promoting = second.start(
        update_member(room, place.user("bob"), MemberChange("owner"), by(place, "alice"))
    )
    wait_until_waiting(connection)
    first.commit()

    with pytest.raises(NotFoundError):
        promoting.result()
    assert read_roles(connection, place, room) == {"alice": "owner"}


def test_a_removal_after_a_promotion_is_judged_by_the_new_role(
    place: Place,
    roles: Callable[..., int],
    first: Session,
    second: Session,
    connection: Connection,
) -> None:
    """A moderator who removes a member that is a moderator by then may not."""
    room = roles(alice="owner", bob="moderator", charlie="member")
    first.begin()
    first.run(update_member(room, place.user("charlie"), MemberChange("moderator"), SERVICE))
    removing = second.start(remove_member(room, place.user("charlie"), by(place, "bob")))
    wait_until_waiting(connection)
    first.commit()

    with pytest.raises(RightRequiredError):
        removing.result()
    assert read_roles(connection, place, room)["charlie"] == "moderator"


def test_an_owner_who_goes_while_another_is_demoted(
    place: Place,
    roles: Callable[..., int],
    first: Session,
    second: Session,
    connection: Connection,
) -> None:
    """Who is the only owner by the time of the removal passes the room on, once."""
    room = roles(alice="owner", bob="owner", charlie="moderator")
    first.begin()
    first.run(update_member(room, place.user("bob"), DEMOTED, SERVICE))
    removing = second.start(remove_member(room, place.user("alice"), SERVICE))
    wait_until_waiting(connection)
    first.commit()
    removing.result()

    ledger = read_exact_ledger(connection, room)
    assert read_roles(connection, place, room) == {"bob": "member", "charlie": "owner"}
    changes = ["member_updated", "user_left", "member_updated"]
    assert [event["type"] for event in ledger.log[3:]] == changes


@pytest.mark.parametrize("is_undone", [False, True])
def test_a_moderator_who_is_demoted_while_adding(
    place: Place,
    roles: Callable[..., int],
    first: Session,
    second: Session,
    connection: Connection,
    is_undone: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """An addition that waited for the demotion of its caller is judged by how that ended."""
    room = roles(alice="owner", bob="moderator")
    first.begin()
    first.run(update_member(room, place.user("bob"), DEMOTED, by(place, "alice")))
    adding = second.start(add_members(room, [place.user("charlie")], by(place, "bob")))
    wait_until_waiting(connection)
    if is_undone:
        first.rollback()
        assert adding.result().added == [place.user("charlie")]
    else:
        first.commit()
        with pytest.raises(RightRequiredError):
            adding.result()

    assert ("charlie" in read_roles(connection, place, room)) == is_undone
    read_exact_ledger(connection, room)


def test_a_moderator_who_was_removed_while_muting(
    place: Place,
    roles: Callable[..., int],
    first: Session,
    second: Session,
    connection: Connection,
) -> None:
    """A caller who is no member any more is answered as a stranger is."""
    room = roles(bob="moderator", charlie="member")
    first.begin()
    first.run(remove_member(room, place.user("bob"), SERVICE))
    change = MemberChange(sets_mute=True, muted_until=FOR_EVER)
    muting = second.start(update_member(room, place.user("charlie"), change, by(place, "bob")))
    wait_until_waiting(connection)
    first.commit()

    with pytest.raises(NotFoundError):
        muting.result()


def test_an_addition_after_a_ban_is_refused(
    place: Place,
    roles: Callable[..., int],
    first: Session,
    second: Session,
    connection: Connection,
) -> None:
    """Who is banned under the room's lock is not added by a call that waited for it."""
    room = roles(alice="owner")
    first.lock_room(room)
    first.execute(
        "INSERT INTO chat_ban (room_id, user_id, reason, created_by, created_at)"
        " VALUES (%s, %s, '', 'host', now())",
        [room, place.user("bob")],
    )
    adding = second.start(
        add_members(room, [place.user("charlie"), place.user("bob")], by(place, "alice"))
    )
    wait_until_waiting(connection)
    first.commit()

    with pytest.raises(ConflictError, match=place.user("bob")):
        adding.result()
    assert read_roles(connection, place, room) == {"alice": "owner"}


def test_the_same_change_from_many_sides_is_one(
    place: Place,
    roles: Callable[..., int],
    open_session: Callable[[], Session],
    connection: Connection,
) -> None:
    """However many sides make the same change at once, it is one version and one entry."""
    room = roles(alice="member")
    sessions = [open_session() for _ in range(6)]
    change = MemberChange("moderator", sets_mute=True, muted_until=FOR_EVER)

    answers = run_at_once(
        lambda n: sessions[n].run(update_member(room, place.user("alice"), change, SERVICE)),
        range(6),
    )

    assert len(set(answers)) == 1
    assert read_exact_ledger(connection, room).room["version"] == 2
    entries = connection.execute(
        "SELECT action FROM chat_audit WHERE room_id = %s AND user_id = %s ORDER BY id",
        [room, place.user("alice")],
    ).fetchall()
    assert [entry["action"] for entry in entries] == ["role_changed", "member_muted"]
