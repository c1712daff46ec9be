"""Keeping the log to its length."""

import msgspec

from chat.sql import Call

PRUNE_BATCH = 10_000


class PruneRow(msgspec.Struct, frozen=True):
    """How many events a call deleted."""

    pruned: int


def prune_events(days: int, limit: int = PRUNE_BATCH) -> Call[PruneRow]:
    """Delete up to `limit` of the log's oldest events, all older than `days`.

    What stays of each room has no gap; clients below it are told 410 and read the room anew.
    """
    return Call("prune_events", PruneRow, {"days": days, "limit": limit})
