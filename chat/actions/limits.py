"""Deleting the counts of what users did, when they limit nothing any more."""

import msgspec

from chat.sql import Call, read_single_row

PRUNE_BATCH = 10_000
PRUNE_DAYS = 2
"""A limit is for 99,999 seconds at most: after two days a use counts for none."""


class PrunedCounts(msgspec.Struct, frozen=True):
    """How many counts were deleted, and the last user of those looked at; None after all users."""

    pruned: int
    last_user_id: str | None


def prune_counts(after: str = "", limit: int = PRUNE_BATCH) -> Call[PrunedCounts]:
    """Delete the counts that are over, of the next `limit` users after a user."""
    parameters = {"days": PRUNE_DAYS, "after": after, "limit": limit}
    return Call("prune_counts", PrunedCounts, parameters, read_single_row)
