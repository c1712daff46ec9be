"""Saying how a room has to be."""

from typing import Any
from urllib.parse import quote

from tests.conftest import Connection
from tests.support.actors import Actor


def path(key: str) -> str:
    """Return the address of a room by its key."""
    return f"/api/rooms/by-external-id/{quote(key, safe='')}/"


def want(*members: Actor | str, **state: Any) -> dict[str, Any]:
    """Return the body of a call that wants these members; `alice:owner` gives a role."""
    wanted = []
    for member in members:
        user, _, role = (member if isinstance(member, str) else member.user_id).partition(":")
        wanted.append({"user": user} | ({"role": role} if role else {}))
    return {"name": "general", "members": wanted} | state


def owner(actor: Actor) -> str:
    """Return the actor as an owner, for `want`."""
    return f"{actor.user_id}:owner"


def roles(connection: Connection, room: int) -> dict[str, str]:
    """Return who is in a room, with the role."""
    rows = connection.execute("SELECT user_id, role FROM chat_member WHERE room_id = %s", [room])
    return {row["user_id"]: row["role"] for row in rows}


def put(host: Actor, key: str, body: dict[str, Any], status: int = 200) -> dict[str, Any]:
    """Send a wanted state, and return the answer."""
    answer = host.put(path(key), body)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found
