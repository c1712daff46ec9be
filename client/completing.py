"""What the API of the release before does not say of rooms and members, and what it means.

A client that reads rooms while the API is replaced then holds the same as one that reads them
afterwards.
"""

from collections.abc import Iterable

from client.reducer import Json

_PLAIN_ROOM: Json = {
    "kind": "public",
    "external_id": None,
    "data": {},
    "archived_at": None,
    "history": "all",
    "slow_mode_seconds": 0,
    "my": {
        "role": "member",
        "muted_until": None,
        "settings": {"muted": False, "hidden": False, "pinned": False},
    },
}


def complete_room(room: Json) -> Json:
    """Return a room with all that the present release says of one."""
    return _PLAIN_ROOM | room


def complete_members(members: Iterable[Json]) -> list[Json]:
    """Return members with all that the present release says of them."""
    return [{"role": "member"} | member for member in members]
