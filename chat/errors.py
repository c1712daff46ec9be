"""What can go wrong in the domain: one class for each, named after the fact.

    ChatError
    ├── InvalidInputError        a value that can never be accepted        422
    ├── NotFoundError            unknown, or not yours: same answer        404
    │   └── NotAMemberError
    ├── TokenRevokedError        issued before the host's `not_before`     401
    ├── ServiceRightsRequiredError                                          403
    ├── RightRequiredError       the role lacks a right                    403
    ├── BannedError              the user may not be in the room           403
    ├── MutedError               the user may not send now                 403
    ├── BlockedError             one of two blocks the other               403
    ├── RoomArchivedError        the room can only be read                 409
    ├── ConflictError            the change meets another state            409
    ├── LimitReachedError        as many as the host allows are there      409
    ├── IdempotencyConflictError one client_id, two contents               409
    ├── InviteGoneError          revoked, expired or used up               410
    ├── EventsGoneError          a position outside the kept log           410
    ├── RateLimitedError         too many messages, or joins, in a time    429
    ├── RoomBusyError            a room stayed locked too long             503
    ├── OverloadedError          more sends wait than can be stored        503
    └── DatabaseUnavailableError                                            503

`chat.api.problems` alone knows HTTP statuses.
"""

import math
from typing import ClassVar


class ChatError(Exception):
    """An error that is reported to the caller; `code` is stable, the message is for people."""

    code: ClassVar[str] = "chat_error"
    default_message: ClassVar[str] = "The request could not be fulfilled."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.default_message)


class InvalidInputError(ChatError):
    """A value that can never be accepted; `pointer` is the JSON pointer or parameter at fault."""

    code = "invalid_input"
    default_message = "A value in the request is invalid."

    def __init__(self, message: str, *, pointer: str | None = None) -> None:
        super().__init__(message)
        self.pointer = pointer


class NotFoundError(ChatError):
    """The thing does not exist, or the caller may not know that it does."""

    code = "not_found"
    default_message = "There is no such room, or you are not a member of it."


class NotAMemberError(NotFoundError):
    """The caller is not a member of the room; answered exactly like a room that does not exist."""


class TokenRevokedError(ChatError):
    """The host's service revoked the user's tokens that were issued before a time; this is one."""

    code = "token_revoked"
    default_message = (
        "The token was revoked: it has no iat, or was issued before the time from which on tokens "
        "of this user are accepted. Log in again."
    )


class ServiceRightsRequiredError(ChatError):
    """The endpoint is for the host's service only."""

    code = "service_rights_required"
    default_message = (
        "This endpoint is for the host's service: the token needs role=service "
        "or the scope chat.manage."
    )


class RightRequiredError(ChatError):
    """The caller is in the room, and the role there does not have the right that this takes."""

    code = "right_required"
    default_message = "Your role in this room does not allow this."

    def __init__(self, right: str, message: str | None = None) -> None:
        super().__init__(
            message or f"This takes the right {right}, which your role in this room lacks."
        )
        self.right = right


class BannedError(ChatError):
    """The user was banned from the room, or from all rooms."""

    code = "banned"
    default_message = "You are banned."


class MutedError(ChatError):
    """The member may read the room, and may not send now."""

    code = "muted"
    default_message = "You may not send messages in this room now."


class BlockedError(ChatError):
    """One of two users blocks the other; which of them is not told."""

    code = "blocked"
    default_message = "One of you blocks the other. Nothing was sent."


class RoomArchivedError(ChatError):
    """The room was archived: it can be read, and is not changed."""

    code = "room_archived"
    default_message = "The room is archived. It can only be read."


class ConflictError(ChatError):
    """The change does not go with what the room, or a member, is now."""

    code = "conflict"
    default_message = "This does not go with the present state."


class LimitReachedError(ChatError):
    """There are as many rooms of this user, or members of this room, as the host allows."""

    code = "limit_reached"
    default_message = "There are as many as are allowed. Nothing was changed."


class IdempotencyConflictError(ChatError):
    """The sender used this client_id in this room before, with other content."""

    code = "client_id_conflict"
    default_message = (
        "You already sent a message with this client_id in this room, with other content."
    )


class InviteGoneError(ChatError):
    """The invite was one: it was revoked, has expired, or as many users joined as it allows."""

    code = "invite_gone"
    default_message = "The invite was revoked, has expired, or is used up. Ask for a new one."


class EventsGoneError(ChatError):
    """The log does not hold all events after the requested version."""

    code = "events_gone"
    default_message = (
        "The event log does not hold the events after this version. Fetch the room, its members "
        "and its messages again, and continue from the room's version."
    )

    def __init__(self, *, floor: int, head: int) -> None:
        super().__init__()
        self.floor = floor
        self.head = head


class RoomBusyError(ChatError):
    """Another change held the room's lock for longer than a request may wait."""

    code = "room_busy"
    default_message = "The room is busy. Nothing was changed; try again."


class RateLimitedError(ChatError):
    """As many as `CHAT_SENDS_PER_…` or `CHAT_JOINS_PER_USER` allows were accepted before."""

    code = "rate_limited"
    default_message = "Too many messages in a short time. Nothing was stored; try again later."

    def __init__(self, message: str | None = None, *, seconds: float = 1) -> None:
        super().__init__(message)
        self.seconds = math.ceil(seconds)
        """After how many the next message is accepted, if nobody else is faster."""


class OverloadedError(ChatError):
    """More sends wait, in all or for this room, than can be stored in time."""

    code = "overloaded"
    default_message = "Too many messages wait to be stored. Nothing was changed; try again."


class DatabaseUnavailableError(ChatError):
    """The database did not answer; whether a change was made is unknown, so retry with its key."""

    code = "database_unavailable"
    default_message = "The database is not available. Try again with the same client_id."
