"""Finding rooms by name."""

import msgspec

from chat.conf import BIGINT_MAX
from chat.queries.rooms import Room
from chat.sql import Call


class FoundRoom(Room, frozen=True):
    """A room as a search shows it; its last message only to members."""

    is_member: bool


class FoundRow(msgspec.Struct, frozen=True):
    """A room, composed in SQL, and whether the one who searches is a member."""

    id: int
    is_member: bool
    room: str


def search_rooms(text: str, user_id: str, *, below: int | None, limit: int) -> Call[FoundRow]:
    """Return up to `limit` rooms whose name contains `text`, newest first, below a room id.

    Planned for each text: a rare one is found by the trigram index, a common one by walking.
    """
    return Call(
        "search_rooms",
        FoundRow,
        {"text": text, "user_id": user_id, "position": below or BIGINT_MAX, "limit": limit},
        is_prepared=False,
    )


def search_rooms_backwards(text: str, user_id: str, *, above: int, limit: int) -> Call[FoundRow]:
    """Return up to `limit` rooms whose name contains `text` above a room id, nearest first."""
    return Call(
        "search_rooms_backwards",
        FoundRow,
        {"text": text, "user_id": user_id, "position": above, "limit": limit},
        is_prepared=False,
    )


def read_found_rooms(rows: list[FoundRow]) -> list[FoundRoom]:
    """Return the rooms of a page."""
    return [
        FoundRoom(**msgspec.structs.asdict(room), is_member=row.is_member)
        for row in rows
        for room in (msgspec.json.decode(row.room, type=Room),)
    ]
