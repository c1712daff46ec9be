"""One example of each answer, for people; a test checks each against its schema."""

from typing import Any, get_args, get_type_hints

from chat.events import Event, MessageAdded

MESSAGE: dict[str, Any] = {
    "id": 1,
    "room_id": 1,
    "seq": 1,
    "user": "u123",
    "content": "hello",
    "created_at": "2026-01-31T09:30:00.123456Z",
    "client_id": "0f8fad5b-d9cb-469f-a165-70867728950e",
}
EVENT_ROOM: dict[str, Any] = {
    "id": 1,
    "name": "general",
    "version": 3,
    "bumped_at": "2026-01-31T09:30:00.123456Z",
    "member_count": 2,
}
MY = {
    "role": "member",
    "muted_until": None,
    "settings": {"muted": False, "hidden": False, "pinned": False},
}
ROOM: dict[str, Any] = {
    "id": 1,
    "name": "general",
    "kind": "public",
    "external_id": None,
    "data": {},
    "version": 3,
    "member_count": 2,
    "bumped_at": "2026-01-31T09:30:00.123456Z",
    "bump_id": 1,
    "archived_at": None,
    "history": "all",
    "slow_mode_seconds": 0,
    "last_message": MESSAGE,
    "created_at": "2026-01-31T09:00:00.000000Z",
    "my": MY,
}
FOUND_ROOM = ROOM | {"is_member": True}
BAN = {
    "user": "u456",
    "until": "2026-02-28T00:00:00.000000Z",
    "reason": "spam",
    "created_by": "u123",
    "created_at": "2026-01-31T09:30:00.000000Z",
}
OWN_REPORT: dict[str, Any] = {
    "id": 1,
    "user": "u123",
    "room_id": 1,
    "message_id": 1,
    "reason": "This is an insult.",
    "created_at": "2026-01-31T09:40:00.000000Z",
}
REPORT = OWN_REPORT | {
    "reported_by": "u456",
    "decision": "keep",
    "decided_at": "2026-01-31T10:00:00.000000Z",
}
DECISION: dict[str, Any] = {
    "id": 1,
    "report_id": 1,
    "decision": "keep",
    "note": "Rude, and allowed.",
    "until": None,
    "decided_by": "anna",
    "decided_at": "2026-01-31T10:00:00.000000Z",
}
JOINED = {"user": "u123", "joined_at": "2026-01-31T09:00:00.000000Z"}
MEMBER = JOINED | {"role": "moderator"}
BLOCK = {"user": "u456", "created_at": "2026-01-31T09:30:00.000000Z"}
INVITE_TOKEN = "AAAAAAAAAAEGTLcIwnHA.47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"  # noqa: S105 - an example
INVITE = {
    "id": 1,
    "token": INVITE_TOKEN,
    "room_id": 1,
    "expires_at": "2026-02-07T09:30:00.123456Z",
    "max_uses": 5,
    "uses": 2,
    "created_by": "u123",
    "created_at": "2026-01-31T09:30:00.123456Z",
    "revoked_at": None,
}
DELETED = {
    name: value for name, value in MESSAGE.items() if name not in {"content", "client_id"}
} | {"content": "", "deleted_at": "2026-01-31T10:00:00.000000Z"}
# An event shows the example of its body; an event that looks different has one of its own.
BODIES: dict[str, dict[str, Any]] = {
    "MessageBody": MESSAGE | {"room": EVENT_ROOM},
    "LeftBody": JOINED | {"room": EVENT_ROOM},
    "JoinedBody": JOINED | {"room": EVENT_ROOM},
    "UpdatedMemberBody": {
        "user": "u123",
        "role": "moderator",
        "muted_until": None,
        "room": EVENT_ROOM,
    },
    "RoomBody": {"room": EVENT_ROOM},
    "RoomUpdatedBody": {
        "room": EVENT_ROOM,
        "kind": "private",
        "external_id": "team-7",
        "data": {"topic": "all of us"},
        "archived_at": None,
        "history": "all",
        "slow_mode_seconds": 0,
    },
    "MessageDeleted": DELETED | {"room": EVENT_ROOM},
}


def make_event(kind: Any) -> dict[str, Any]:  # noqa: ANN401 - a class of the union `Event`
    """Return an event of this kind."""
    hints = get_type_hints(kind)
    (name,) = get_args(hints["type"])
    return {"type": name, "body": BODIES.get(kind.__name__) or BODIES[hints["body"].__name__]}


def make_page(item: dict[str, Any]) -> dict[str, Any]:
    """Return a page with this one item."""
    return {"next": None, "previous": None, "results": [item]}


# By the names of the document's schemas.
EXAMPLES: dict[str, dict[str, Any]] = {
    "Message": MESSAGE,
    "MessagePage": make_page(MESSAGE),
    "Room": ROOM,
    "RoomPage": make_page(ROOM),
    "FoundRoomPage": make_page(FOUND_ROOM),
    "Member": MEMBER,
    "MemberPage": make_page(MEMBER),
    "EventPage": make_page(make_event(MessageAdded)),
    **{kind.__name__: make_event(kind) for kind in get_args(Event)},
    "RoomDeletion": {
        "room_id": 1,
        "external_id": "team-7",
        "requested_at": "2026-01-31T09:30:00.123456Z",
        "finished_at": None,
        "members": 2,
        "messages": 0,
        "events": 0,
    },
    "Membership": {"room": EVENT_ROOM, "user": "u123", "joined": True},
    "InviteWithToken": INVITE,
    "InvitePage": make_page(INVITE),
    "Invitation": {
        "room": {"id": 1, "name": "general", "member_count": 2},
        "expires_at": "2026-02-07T09:30:00.123456Z",
    },
    "Addition": {"added": ["u789"], "already": ["u123"]},
    "Block": BLOCK,
    "BlockPage": make_page(BLOCK),
    "Ban": BAN,
    "BanPage": make_page(BAN),
    "Banned": BAN | {"rooms_left": 1, "messages_deleted": 12, "is_complete": True},
    "StateChange": {
        "room": ROOM,
        "created": False,
        "changed": {"kind": {"from": "public", "to": "private"}},
        "counts": {"added": 1, "removed": 0, "role_changes": 1},
        "added": ["u456"],
        "removed": [],
        "role_changes": [{"user": "u123", "from": "member", "to": "owner"}],
    },
    "Revocation": {"user": "u456", "not_before": "2026-01-31T09:30:00.000000Z"},
    "OwnReport": OWN_REPORT,
    "ReportPage": make_page(REPORT),
    "ReportInContext": REPORT
    | {"message": MESSAGE, "context": [MESSAGE], "other_reports": 2, "decisions": [DECISION]},
    "Decision": DECISION,
    "AuditPage": make_page(
        {
            "id": 1,
            "created_at": "2026-01-31T10:00:00.000000Z",
            "actor": "anna",
            "actor_kind": "staff",
            "address": "192.0.2.1",
            "action": "report_decided",
            "room_id": 1,
            "user": "u123",
            "details": DECISION,
        }
    ),
    "Word": {"word": "darn", "action": "mask"},
    "CentrifugoToken": {"token": "eyJhbGciOiJIUzI1NiIs…", "channel": "personal:u123"},
    "Liveness": {"status": "ok"},
    "Readiness": {
        "status": "ok",
        "database": "ok",
        "realtime": "ok",
        "outbox_age_seconds": None,
    },
    "Problem": {
        "status": 422,
        "title": "Unprocessable Content",
        "code": "invalid_input",
        "detail": "limit must be one whole number from 1 to 200.",
        "pointer": "limit",
    },
}
