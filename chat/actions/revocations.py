"""Refusing the tokens of the host that a user holds."""

from datetime import datetime

import msgspec

from chat.errors import InvalidInputError
from chat.sql import Call, read_single_row

PRUNE_BATCH = 10_000


class Revoked(msgspec.Struct, frozen=True):
    """From when on a user's tokens are accepted: as text, and in seconds since 1970."""

    not_before: str
    seconds: float
    is_new: bool
    """False if it had been so before: nothing was changed."""


class _RevokeRow(msgspec.Struct, frozen=True):
    """The outcome; see chat/sql/functions/revocations.sql."""

    outcome: str
    not_before: str | None
    seconds: float | None


class _Pruned(msgspec.Struct, frozen=True):
    pruned: int


def revoke_tokens(user_id: str, not_before: datetime | None = None) -> Call[Revoked]:
    """Refuse the user's tokens that were issued before a time, by default before now.

    Of two times the later one stays. The user's connections to Centrifugo end, so that the clients
    ask for new tokens. Errors: `InvalidInputError` for an id that cannot be a user's, and for a
    time before 1970 or more than a minute ahead.
    """
    parameters = {"user_id": user_id, "not_before": not_before}
    return Call("revoke_tokens", _RevokeRow, parameters, _read_revoked, publishes=True)


def prune_revocations(seconds: int, limit: int = PRUNE_BATCH) -> Call[int]:
    """Delete up to `limit` revocations of tokens older than `seconds`; return how many."""
    parameters = {"seconds": seconds, "limit": limit}
    return Call("prune_revocations", _Pruned, parameters, lambda rows: read_single_row(rows).pruned)


def _read_revoked(rows: list[_RevokeRow]) -> Revoked:
    row = read_single_row(rows)
    if row.outcome == "invalid_user":
        raise InvalidInputError("This cannot be a user id.", pointer="user_id")
    if row.not_before is None or row.seconds is None:
        raise InvalidInputError(
            "not_before must be a time from 1970 to one minute from now.", pointer="/not_before"
        )
    return Revoked(row.not_before, row.seconds, row.outcome == "revoked")
