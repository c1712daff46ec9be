"""Sending and deleting messages."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

import msgspec
from prometheus_client import Counter

from chat.conf import CLIENT_ID_MAX_LENGTH, SERVER_KEY_PREFIX
from chat.errors import (
    BannedError,
    BlockedError,
    ChatError,
    IdempotencyConflictError,
    InvalidInputError,
    MutedError,
    NotAMemberError,
    NotFoundError,
    RateLimitedError,
    RightRequiredError,
    RoomArchivedError,
    RoomBusyError,
)
from chat.events import Message
from chat.metrics import SENDS
from chat.queries.messages import decode_message
from chat.sql import Call, Result, read_single_row
from chat.sql.arrays import BigintArray, BooleanArray, TextArray


class NewMessage(msgspec.Struct, frozen=True):
    """A message to be sent; `client_id` is the key that makes sending it again harmless."""

    room_id: int
    user_id: str
    client_id: str
    content: str
    is_limited: bool = False
    """Whether it is refused beyond the limits of its sender and its room, and in slow mode."""


class SendLimits(msgspec.Struct, frozen=True):
    """How many messages a user and a room may have: `30/60` is at most 30 in any 60 seconds.

    Empty for no limit. These two apply to messages that are limited.
    """

    per_user: str = ""
    per_room: str = ""
    allowed: list[str] | None = None
    """Where members may send, as `kind:role`; None for everywhere, which costs no comparison."""


UNLIMITED = SendLimits()


class SentMessage(msgspec.Struct, frozen=True):
    """The stored message, and whether it had been stored before."""

    message: Message
    is_duplicate: bool


class _SendRow(msgspec.Struct, frozen=True):
    """The outcome of one message; see chat/sql/functions/messages.sql."""

    outcome: str
    message: str | None
    retry_after: float | None
    """Seconds, for `rate_limited`."""
    until: str | None
    """Until when the sender is muted, for `muted`."""


class _DeleteRow(msgspec.Struct, frozen=True):
    """The outcome; see chat/sql/functions/messages.sql."""

    outcome: str


_REFUSALS: Mapping[str, Callable[[], ChatError]] = {
    "not_member": NotAMemberError,
    "conflict": IdempotencyConflictError,
    "busy": RoomBusyError,
    "banned": BannedError,
    "archived": RoomArchivedError,
    "right_required": partial(RightRequiredError, "send_messages"),
    "blocked": BlockedError,
    "invalid": partial(
        InvalidInputError,
        f"A message has content, and a key of 1 to {CLIENT_ID_MAX_LENGTH} characters.",
    ),
}

_FOR_EVER = "9999"
"""The year until which a member is muted who is muted for ever."""


def make_server_key() -> str:
    """Return a key for a send without one, so that it can be repeated after a lost connection."""
    return SERVER_KEY_PREFIX + uuid.uuid4().hex


def send_message(message: NewMessage) -> Call[SentMessage]:
    """Send one message; see `send_messages`.

    Errors: `NotAMemberError`, `IdempotencyConflictError`, `RateLimitedError`, `RoomBusyError`,
    `InvalidInputError`, `MutedError`, `RoomArchivedError`, `BlockedError`, `BannedError`,
    `RightRequiredError`.
    """
    return _make_call([message], _read_sent, wait=True)


def send_messages(
    messages: Sequence[NewMessage], *, wait: bool = True, limits: SendLimits = UNLIMITED
) -> Call[list[SentMessage | ChatError]]:
    """Send messages in one transaction; return for each the stored message or its error.

    Each is stored once however often it is sent. It takes the next seq and version of its room and
    is queued for everyone who is a member at that version, or nothing of it happens.

    `wait`: whether to wait for a room that someone else has locked, or to return `RoomBusyError`.
    """
    return _make_call(messages, _read_each, wait=wait, limits=limits)


def delete_message(message_id: int) -> Call[bool]:
    """Delete a message's text for everyone and send the members an event.

    Repeating it changes nothing; returns whether it was deleted by this call.

    Errors: `NotFoundError`.
    """
    return Call(
        "delete_message", _DeleteRow, {"message_id": message_id}, _read_deleted, publishes=True
    )


def _make_call(
    messages: Sequence[NewMessage],
    read: Callable[[list[_SendRow]], Result],
    *,
    wait: bool,
    limits: SendLimits = UNLIMITED,
) -> Call[Result]:
    """Return the call of the statement `send_messages` in chat/sql/statements/messages.sql."""
    return Call(
        "send_messages",
        _SendRow,
        {
            "room_ids": BigintArray(message.room_id for message in messages),
            "user_ids": TextArray(message.user_id for message in messages),
            "client_ids": TextArray(message.client_id for message in messages),
            "contents": TextArray(message.content for message in messages),
            "are_limited": BooleanArray(message.is_limited for message in messages),
            "sends_per_user": limits.per_user,
            "sends_per_room": limits.per_room,
            "wait": wait,
            "allowed": limits.allowed,
        },
        read,
        publishes=True,
    )


@cache
def _count_of(outcome: str) -> Counter:
    return SENDS.labels(outcome)


def _read_each(rows: list[_SendRow]) -> list[SentMessage | ChatError]:
    for row in rows:
        # What is busy is tried again; the send queue counts it when it gives up.
        if row.outcome != "busy":
            _count_of(row.outcome).inc()
    return [
        _refuse(row)
        if row.message is None
        else SentMessage(decode_message(row.message), is_duplicate=row.outcome == "duplicate")
        for row in rows
    ]


def _refuse(row: _SendRow) -> ChatError:
    if row.retry_after is not None:
        return RateLimitedError(seconds=row.retry_after)
    if row.until is not None:
        is_for_ever = row.until.startswith(_FOR_EVER)
        return MutedError(None if is_for_ever else f"You may not send here until {row.until}.")
    return _REFUSALS[row.outcome]()


def _read_sent(rows: list[_SendRow]) -> SentMessage:
    sent = read_single_row(_read_each(rows))
    if isinstance(sent, ChatError):
        raise sent
    return sent


def _read_deleted(rows: list[_DeleteRow]) -> bool:
    outcome = read_single_row(rows).outcome
    if outcome == "not_found":
        raise NotFoundError("There is no such message.")
    return outcome == "deleted"
