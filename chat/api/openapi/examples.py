"""One example of each answer, for people; a test checks each against its schema."""

from typing import Any

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
ROOM: dict[str, Any] = {
    "id": 1,
    "name": "general",
    "version": 3,
    "member_count": 2,
    "bumped_at": "2026-01-31T09:30:00.123456Z",
    "last_message": MESSAGE,
    "created_at": "2026-01-31T09:00:00.000000Z",
}
FOUND_ROOM = ROOM | {"is_member": True}
MEMBER = {"user": "u123", "joined_at": "2026-01-31T09:00:00.000000Z"}
MEMBER_BODY = MEMBER | {"room": EVENT_ROOM}
DELETED = {
    name: value for name, value in MESSAGE.items() if name not in {"content", "client_id"}
} | {"content": "", "deleted_at": "2026-01-31T10:00:00.000000Z"}
MESSAGE_ADDED = {"type": "message_added", "body": MESSAGE | {"room": EVENT_ROOM}}


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
    "MemberPage": make_page(MEMBER),
    "EventPage": make_page(MESSAGE_ADDED),
    "MessageAdded": MESSAGE_ADDED,
    "MessageDeleted": {"type": "message_deleted", "body": DELETED | {"room": EVENT_ROOM}},
    "RoomUpdated": {"type": "room_updated", "body": {"room": EVENT_ROOM}},
    "UserJoined": {"type": "user_joined", "body": MEMBER_BODY},
    "UserLeft": {"type": "user_left", "body": MEMBER_BODY},
    "Membership": {"room": EVENT_ROOM, "user": "u123", "joined": True},
    "Addition": {"added": ["u789"], "already": ["u123"]},
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
