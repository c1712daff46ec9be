"""Finding rooms by name."""

import msgspec

from chat.conf import BIGINT_MAX
from chat.queries.keyset import Slice
from chat.queries.rooms import Room, decode_room
from chat.sql import Call


class FoundRoom(Room, frozen=True):
    """A room as a search shows it; its last message only to members."""

    is_member: bool


class _FoundRow(msgspec.Struct, frozen=True):
    """A room, composed in SQL, and whether the user who searches is a member."""

    is_member: bool
    room: str


def search_rooms(text: str, user_id: str, part: Slice[int]) -> Call[list[FoundRoom]]:
    """Return a part of the rooms whose name contains `text`; in the list the newest comes first.

    Planned for each text: a rare one is found by the trigram index, a common one by walking.
    """
    return Call(
        part.choose("search_rooms"),
        _FoundRow,
        {
            "text": text,
            "user_id": user_id,
            "position": part.position or BIGINT_MAX,
            "limit": part.limit + 1,
        },
        _read_found_rooms,
        is_prepared=False,
    )


def _read_found_rooms(rows: list[_FoundRow]) -> list[FoundRoom]:
    return [
        FoundRoom(**msgspec.structs.asdict(decode_room(row.room)), is_member=row.is_member)
        for row in rows
    ]
