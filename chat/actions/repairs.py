"""Mending what `manage.py doctor` found, where that is surely safe.

Each repair looks again under the lock, so a finding that is no longer true changes nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from chat.sql import Call

Place = Mapping[str, Any]


class RepairRow(msgspec.Struct, frozen=True):
    """What was changed; no `after` for a row that was removed, then `before` is that row whole."""

    before: str
    after: str | None


def repair_member_count(place: Place) -> Call[RepairRow]:
    """Count a room's members anew."""
    return Call("repair_member_count", RepairRow, {"room_id": place["room"]})


def repair_member_channel(place: Place) -> Call[RepairRow]:
    """Give a member the channel of its user."""
    return Call(
        "repair_member_channel", RepairRow, {"room_id": place["room"], "user_id": place["user"]}
    )


def repair_sequence(place: Place) -> Call[RepairRow]:
    """Move the sequence of a table's ids beyond the greatest of them; inserts wait meanwhile."""
    return Call("repair_sequence", RepairRow, {"table": place["table"]})


def repair_outbox_partition(place: Place) -> Call[RepairRow]:
    """Move a row of the outbox into the partition of its room."""
    return Call("repair_outbox_partition", RepairRow, {"id": place["outbox"]})


def repair_outbox_row(place: Place) -> Call[RepairRow]:
    """Remove a row of the outbox that can never be delivered; its event stays in the log."""
    return Call("repair_outbox_row", RepairRow, {"id": place["outbox"]})


REPAIRS: Mapping[str, Callable[[Place], Call[RepairRow]]] = {
    "member_count": repair_member_count,
    "member_channel": repair_member_channel,
    "sequence_behind": repair_sequence,
    "outbox_partition": repair_outbox_partition,
    "outbox_undeliverable": repair_outbox_row,
}
"""The repair of each finding that has one."""
