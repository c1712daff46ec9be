"""Reading whom a user blocks."""

from typing import Annotated

import msgspec

from chat.queries.keyset import Slice
from chat.sql import Call


class Block(msgspec.Struct, frozen=True):
    """A user with whom the caller wants nothing to do."""

    user: str
    created_at: Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]


def list_blocks(user_id: str, part: Slice[str]) -> Call[list[Block]]:
    """Return a part of those whom a user blocks, by user id."""
    parameters = {"user_id": user_id, "position": part.position, "limit": part.limit + 1}
    return Call(part.choose("list_blocks"), Block, parameters, list)
