"""Finding rooms by name."""

import msgspec

from chat.conf import BIGINT_MAX
from chat.queries.keyset import Slice
from chat.queries.rooms import Room
from chat.sql import Call


class FoundRoom(Room, frozen=True):
    """A room as a search shows it; its last message only to members."""

    is_member: bool


class FoundPart(msgspec.Struct, frozen=True):
    """A part of what a search finds."""

    rooms: list[msgspec.Raw]
    """Each is a `FoundRoom` in JSON, as it was composed in SQL."""
    stopped_at: int | None
    """The id at which the search stopped before it had enough rooms and before the list's end."""


class _FoundRow(msgspec.Struct, frozen=True):
    """A room, composed in SQL, or null where none was found."""

    stopped_at: int | None
    room: str | None


class _FoundPlace(msgspec.Struct, frozen=True):
    """What a found room's JSON says of its position."""

    id: int


_decode_place = msgspec.json.Decoder(_FoundPlace).decode


def search_rooms(
    text: str, user_id: str, part: Slice[int], *, is_service: bool = False
) -> Call[FoundPart]:
    """Return a part of the rooms whose name contains `text`; in the list the newest comes first.

    Public rooms are found, and the user's own; none that is archived. The host's service finds all.

    Its cost is bounded: for a text of one or two letters, which no index knows, it looks at no more
    than 100,000 rooms and says where it stopped.
    """
    return Call(
        part.choose("search_rooms"),
        _FoundRow,
        {
            "text": text,
            "user_id": user_id,
            "is_service": is_service,
            "position": part.position or BIGINT_MAX,
            "limit": part.limit + 1,
        },
        _read_found_rooms,
    )


def read_position(room: msgspec.Raw) -> int:
    """Return the place of one of the found rooms."""
    return _decode_place(room).id


def _read_found_rooms(rows: list[_FoundRow]) -> FoundPart:
    rooms = [msgspec.Raw(row.room) for row in rows if row.room is not None]
    return FoundPart(rooms, rows[0].stopped_at)
