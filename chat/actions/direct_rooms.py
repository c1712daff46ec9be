"""Direct rooms: the one room of some people."""

from collections.abc import Sequence

import msgspec

from chat.actions.caller import Caller
from chat.actions.rooms import CreatedRoom, describe_unwanted
from chat.conf import DIRECT_USERS_LEAST, DIRECT_USERS_MOST
from chat.errors import ChatError, InvalidInputError, RateLimitedError
from chat.queries.rooms import decode_room
from chat.sql import Call, read_single_row


class _OpenRow(msgspec.Struct, frozen=True):
    """The outcome; see chat/sql/functions/direct.sql."""

    outcome: str
    refused_user_id: str | None
    room: str | None
    retry_after: float | None
    """Seconds, for `rate_limited`."""


def open_direct_room(
    user_ids: Sequence[str], *, by: Caller, opened_per_user: str = ""
) -> Call[CreatedRoom]:
    """Find the direct room of exactly these users, or create it; repeating it finds it.

    A user who calls is one of them anyway. `opened_per_user`: how many direct rooms a user may
    open, as `20/86400`; empty for no limit.

    Errors: `InvalidInputError`; `ConflictError` where one of them blocks another one, or is banned;
    `BannedError`; `RateLimitedError`.
    """
    return Call(
        "open_direct_room",
        _OpenRow,
        {"by": by.to_json(), "user_ids": list(user_ids), "opened_per_user": opened_per_user},
        lambda rows: _read_opened(read_single_row(rows), by),
        publishes=True,
        # Of two calls for the same users the second waits for the first.
        lock=("direct", *sorted({*user_ids, by.id})),
    )


def _read_opened(row: _OpenRow, by: Caller) -> CreatedRoom:
    if row.room is not None:
        return CreatedRoom(decode_room(row.room), is_duplicate=row.outcome == "found")
    raise _find_refusal(row, by)


def _find_refusal(row: _OpenRow, by: Caller) -> ChatError:
    match row.outcome:
        case "rate_limited":
            return RateLimitedError(
                "You opened too many direct rooms in a short time. Nothing was created; "
                "try again later.",
                seconds=row.retry_after or 1,
            )
        case "invalid_user":
            return InvalidInputError(f"{row.refused_user_id!r} is not a user id.", pointer="/users")
        case "invalid_number":
            return InvalidInputError(
                f"A direct room has {DIRECT_USERS_LEAST} to {DIRECT_USERS_MOST} users.",
                pointer="/users",
            )
        case outcome:
            return describe_unwanted(outcome, row.refused_user_id, by)
