"""Sending and deleting messages."""

import uuid
from collections.abc import Sequence

import msgspec

from chat.conf import SERVER_KEY_PREFIX
from chat.errors import (
    IdempotencyConflictError,
    InvalidInputError,
    NotAMemberError,
    RoomBusyError,
)
from chat.events import Message
from chat.sql import Call


class NewMessage(msgspec.Struct, frozen=True):
    """A message to be sent; `client_id` is the key that makes sending it again harmless."""

    room_id: int
    user_id: str
    client_id: str
    content: str


class SendRow(msgspec.Struct, frozen=True):
    """The outcome of one message of a call; see chat/sql/functions/messages.sql."""

    ordinal: int
    outcome: str
    message_id: int | None
    message_seq: int | None
    sent_at: str | None
    deleted_at: str | None


class SentMessage(msgspec.Struct, frozen=True):
    """The stored message, and whether it had been stored before."""

    message: Message
    is_duplicate: bool


class DeleteRow(msgspec.Struct, frozen=True):
    """The outcome of a deletion; see chat/sql/functions/messages.sql."""

    outcome: str


_REFUSALS = {
    "not_member": NotAMemberError,
    "conflict": IdempotencyConflictError,
    "busy": RoomBusyError,
}


def make_server_key() -> str:
    """Return a key for a send without one: the write can be repeated after a lost connection."""
    return SERVER_KEY_PREFIX + uuid.uuid4().hex


def send_messages(messages: Sequence[NewMessage], *, wait: bool = True) -> Call[SendRow]:
    """Send messages in one transaction, each with its own outcome and its own key.

    Each is stored once however often it is sent, takes the next seq and version of its room, and
    is queued for everyone who is a member at that version, or nothing of it happens.

    `wait`: whether to wait for a room that someone else has locked, or to answer `busy` for it.
    """
    return Call(
        "send_messages",
        SendRow,
        {
            "room_ids": [message.room_id for message in messages],
            "user_ids": [message.user_id for message in messages],
            "client_ids": [message.client_id for message in messages],
            "contents": [message.content for message in messages],
            "wait": wait,
        },
    )


def read_sent(message: NewMessage, row: SendRow) -> SentMessage:
    """Return the stored message.

    Errors: `NotAMemberError`, `IdempotencyConflictError`, `RoomBusyError`, `InvalidInputError`.
    """
    if row.outcome == "invalid":
        raise InvalidInputError("A message has content, and a key of 1 to 64 characters.")
    if row.message_id is None or row.message_seq is None or row.sent_at is None:
        raise _REFUSALS[row.outcome]
    return SentMessage(
        message=Message(
            id=row.message_id,
            room_id=message.room_id,
            seq=row.message_seq,
            user=message.user_id,
            # The text of a message that was deleted since is gone, also for who wrote it.
            content="" if row.deleted_at else message.content,
            created_at=row.sent_at,
            deleted_at=row.deleted_at,
            client_id=(
                None if message.client_id.startswith(SERVER_KEY_PREFIX) else message.client_id
            ),
        ),
        is_duplicate=row.outcome == "duplicate",
    )


def delete_message(message_id: int) -> Call[DeleteRow]:
    """Delete a message's text for everyone and tell the members; repeating changes nothing."""
    return Call("delete_message", DeleteRow, {"message_id": message_id})
