"""Reading who changed what."""

from typing import Any, Literal

import msgspec

from chat.queries.keyset import Slice
from chat.sql import Call


class AuditFilter(msgspec.Struct, frozen=True):
    """Which entries of the audit to list: those for which all that is given holds."""

    room: int | None = None
    user: str | None = None
    actor: str | None = None
    action: str | None = None


class AuditEntry(msgspec.Struct, frozen=True):
    """Who changed what, when and from where; it is never changed."""

    id: int
    created_at: str
    actor: str
    """A user, the `sub` of the service's token, or the name of the member of staff."""
    actor_kind: Literal["user", "service", "staff"]
    address: str
    """The network address of the request; empty where there was none."""
    action: str
    room_id: int | None
    user: str | None
    """The user whom it is about."""
    details: dict[str, Any] | None


class _Row(msgspec.Struct, frozen=True):
    """An entry, composed in SQL."""

    entry: str


_decode = msgspec.json.Decoder(AuditEntry).decode


def list_audit(wanted: AuditFilter, part: Slice[int]) -> Call[list[AuditEntry]]:
    """Return a part of the audit, the newest entry first."""
    return Call(
        part.choose("list_audit"),
        _Row,
        msgspec.structs.asdict(wanted) | {"position": part.position, "limit": part.limit + 1},
        lambda rows: [_decode(row.entry) for row in rows],
    )
