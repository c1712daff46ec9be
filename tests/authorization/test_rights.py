"""Every right × role × kind of `app.permissions.RIGHTS`, asked of a running service."""

from collections.abc import Callable
from dataclasses import dataclass

import httpx
import pytest

from app.permissions import RIGHTS, Kind, Right, Role, list_rights
from tests.conftest import Connection
from tests.support.actors import Actor


@dataclass(frozen=True)
class Place:
    """A room with the caller, who has the role that is tried, and a plain member."""

    room: int
    caller: Actor
    member: Actor
    stranger: Actor

    @property
    def path(self) -> str:
        """The address of the room."""
        return f"/api/rooms/{self.room}/"

    @property
    def member_path(self) -> str:
        """The address of the plain member."""
        return f"{self.path}members/{self.member.user_id}/"


# What each right is for, as a request that only this right, the kind and the role decide.
ACTS: dict[Right, Callable[[Place], httpx.Response]] = {
    Right.SEND_MESSAGES: lambda at: at.caller.send(at.room, "hello"),
    Right.ADD_MEMBERS: lambda at: at.caller.post(
        f"{at.path}members/", {"users": [at.stranger.user_id]}
    ),
    Right.REMOVE_MEMBERS: lambda at: at.caller.delete(at.member_path),
    Right.MUTE_MEMBERS: lambda at: at.caller.patch(
        at.member_path, {"muted_until": "9999-12-31T00:00:00Z"}
    ),
    Right.CHANGE_ROLES: lambda at: at.caller.patch(at.member_path, {"role": "moderator"}),
}


@pytest.mark.parametrize("right", ACTS)
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("kind", Kind)
def test_the_table_of_rights_holds(
    host: Actor,
    alice: Actor,
    bob: Actor,
    charlie: Actor,
    connection: Connection,
    kind: Kind,
    role: Role,
    right: Right,
) -> None:
    """What the table gives is done; anything else is 403 with the right that it takes."""
    room = host.create_room(bob)
    host.post(f"/api/rooms/{room}/members/", {"users": [alice.user_id], "role": role})
    connection.execute("UPDATE chat_room SET kind = %s WHERE id = %s", [kind, room])
    before = host.get(f"/api/rooms/{room}/").json()["version"]

    answer = ACTS[right](Place(room, alice, bob, charlie))

    changed = host.get(f"/api/rooms/{room}/").json()["version"] - before
    if right in RIGHTS[kind][role]:
        assert (answer.is_success, changed) == (True, 1), answer.text
    else:
        assert (answer.status_code, answer.json()["code"]) == (403, "right_required"), answer.text
        assert (answer.json()["right"], changed) == (right, 0)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("kind", Kind)
def test_a_client_is_told_its_rights(
    host: Actor, alice: Actor, connection: Connection, kind: Kind, role: Role
) -> None:
    """`my.rights` of a room is the row of the table, so a client needs no copy of it."""
    room = host.create_room()
    host.post(f"/api/rooms/{room}/members/", {"users": [alice.user_id], "role": role})
    connection.execute("UPDATE chat_room SET kind = %s WHERE id = %s", [kind, room])

    my = alice.get(f"/api/rooms/{room}/").json()["my"]

    assert (my["role"], my["rights"]) == (role, list_rights(kind, role))
