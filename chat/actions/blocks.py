"""Blocking users, and no longer blocking them."""

import msgspec

from chat.conf import BLOCKS_PER_USER
from chat.errors import InvalidInputError, LimitReachedError
from chat.queries.blocks import Block
from chat.sql import Call, read_single_row


class _BlockRow(msgspec.Struct, frozen=True):
    """The outcome; see chat/sql/functions/blocks.sql."""

    outcome: str
    created_at: str | None


def block_user(user_id: str, blocked_id: str) -> Call[Block]:
    """Block a user; repeating it changes nothing. Only the blocker's devices receive an event.

    Once it is answered, no direct room of the two is opened, and nothing is sent in one that
    exists.

    Errors: `InvalidInputError` for oneself; `LimitReachedError`.
    """
    return Call(
        "block_user",
        _BlockRow,
        {"user_id": user_id, "blocked_id": blocked_id, "limit": BLOCKS_PER_USER},
        lambda rows: _read_block(rows, blocked_id),
        publishes=True,
        lock=("block", user_id),
    )


def unblock_user(user_id: str, blocked_id: str) -> Call[bool]:
    """End a block; return whether there was one."""
    return Call(
        "unblock_user",
        _BlockRow,
        {"user_id": user_id, "blocked_id": blocked_id},
        lambda rows: read_single_row(rows).outcome == "unblocked",
        publishes=True,
        lock=("block", user_id),
    )


def _read_block(rows: list[_BlockRow], blocked_id: str) -> Block:
    row = read_single_row(rows)
    match row.outcome:
        case "self":
            raise InvalidInputError("You cannot block yourself.", pointer="user_id")
        case "invalid_user":
            raise InvalidInputError("This cannot be a user id.", pointer="user_id")
        case "limit_reached":
            raise LimitReachedError(
                f"You block {BLOCKS_PER_USER:,} users, which is the most there can be."
            )
    return Block(blocked_id, row.created_at or "")
