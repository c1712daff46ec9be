"""Keeping the event log to its length."""

import msgspec

from chat.sql import Call, read_single_row

PRUNE_BATCH = 10_000


class _PruneRow(msgspec.Struct, frozen=True):
    pruned: int


def prune_events(days: int, limit: int = PRUNE_BATCH) -> Call[int]:
    """Delete up to `limit` of the log's oldest events, all older than `days`; return how many.

    What stays of each room has no gap. Clients below it get 410 and read the room again.
    """
    return Call("prune_events", _PruneRow, {"days": days, "limit": limit}, _read_count)


def _read_count(rows: list[_PruneRow]) -> int:
    return read_single_row(rows).pruned
