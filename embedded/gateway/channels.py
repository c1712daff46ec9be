"""Channels: their positions, histories and subscribers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from embedded.gateway.protocol import Disconnect, Unsubscribe

RECORD_BYTES = 300
"""A record, or a key, by itself, with its place in a table; measured with tracemalloc."""
REFERENCE_BYTES = 8
"""One channel in a record, or one record in the history of a channel."""


class Subscriber(Protocol):
    """The part of a client session that the broker uses."""

    @property
    def user(self) -> str:
        """The user of the connection."""

    def deliver(self, message: bytes) -> None:
        """Queue an encoded push."""

    def drop_subscription(self, channel: str, unsubscribe: Unsubscribe) -> None:
        """End a subscription and push the reason to the client."""

    def disconnect(self, disconnect: Disconnect) -> None:
        """End the connection."""


class Channel:
    """One channel: a position that only increases, and its latest publications.

    Offsets are dense, so the offset of each publication follows from its place.
    """

    __slots__ = (
        "epoch",
        "history",
        "name",
        "offset",
        "publication_start",
        "subscribers",
        "until",
        "used",
    )

    def __init__(self, name: str, epoch: str, now: float) -> None:
        self.name = name
        self.epoch = epoch
        self.offset = 0
        # A list, because most channels have few publications: an empty deque takes 760 bytes.
        self.history: list[Record] = []
        self.until = now
        """When the history expires, and the position becomes subject to its own expiry."""
        self.used = now
        """When it was last published to or read."""
        # A dict keeps the order of subscriptions, and a set does not.
        self.subscribers: dict[Subscriber, None] = {}
        self.publication_start = b""


class Record:
    """One publication in the histories of its channels, which all share these bytes.

    `holders`: how many histories have it.
    """

    __slots__ = ("channels", "data", "holders", "size")

    def __init__(self, data: bytes, channels: Sequence[Channel]) -> None:
        self.data = data
        self.channels = channels
        self.holders = len(channels)
        self.size = RECORD_BYTES + len(data) + 2 * REFERENCE_BYTES * len(channels)
