"""Channels in memory: history, positions, idempotency keys and subscribers."""

from __future__ import annotations

import secrets
import string
import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from embedded.gateway.limits import Limits
from embedded.gateway.protocol import (
    Disconnect,
    Publication,
    Unsubscribe,
    encode_publication,
    encode_publication_start,
)


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


@dataclass(slots=True, eq=False)
class Channel:
    """One channel: a position that only increases, and the data of the latest publications.

    Offsets are dense, so the offset of each data follows from its place. All channels of a
    broadcast share the same bytes.
    """

    name: str
    epoch: str
    history: deque[bytes]
    until: float
    """When the history expires, and the position becomes subject to its own expiry."""
    used: float
    """When it was last published to or read."""
    offset: int = 0
    # A dict keeps the order of subscriptions, and a set does not.
    subscribers: dict[Subscriber, None] = field(default_factory=dict)
    publication_start: bytes = b""


@dataclass(frozen=True, slots=True)
class Position:
    """The position of a channel."""

    offset: int
    epoch: str


@dataclass(slots=True)
class _UsedKey:
    """An idempotency key, until when it is remembered, and the channels on which it was used."""

    until: float
    channels: list[Channel]


class Broker:
    """Gives each publication of a channel the next offset and sends it to each subscriber once.

    Everything runs on the event loop without awaiting. So no publication is missing and none is
    sent twice between the recovered history and the first live publication.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._channels: dict[str, Channel] = {}
        self._keys: OrderedDict[str, _UsedKey] = OrderedDict()
        self._users: dict[str, dict[Subscriber, None]] = {}

    def publish(self, channels: Sequence[str], data: bytes, idempotency_key: str = "") -> None:
        """Publish to each channel on which the key was not used in the last five minutes."""
        now = time.monotonic()
        states = [self._find_channel(name, now) for name in channels]
        if idempotency_key:
            states = self._remember(idempotency_key, states, now)
        # A newline separates messages in a frame. In JSON it can only be white space.
        text = data.replace(b"\n", b"")
        until = now + self._limits.history_ttl
        for state in states:
            state.offset += 1
            state.history.append(text)
            state.until = until
            state.used = now
            if state.subscribers:
                self._deliver(state, text)

    def get_position(self, channel: str) -> Position:
        """Return the position; a channel has one before its first publication, to recover from."""
        state = self._read_channel(channel)
        return Position(state.offset, state.epoch)

    def subscribe(self, channel: str, subscriber: Subscriber) -> None:
        """Add a subscriber; it receives every publication from now on."""
        state = self._read_channel(channel)
        state.publication_start = encode_publication_start(channel)
        state.subscribers[subscriber] = None

    def unsubscribe(self, channel: str, subscriber: Subscriber) -> None:
        """Remove a subscriber; it receives no more publications."""
        state = self._read_channel(channel)
        state.subscribers.pop(subscriber, None)

    def find_missed(self, channel: str, since: Position) -> list[Publication] | None:
        """Return all publications after a position, or None if not all of them are known."""
        state = self._read_channel(channel)
        missed = state.offset - since.offset
        limit = min(len(state.history), self._limits.recovery_max_publication_limit)
        if (since.epoch and since.epoch != state.epoch) or not 0 <= missed <= limit:
            return None
        first = len(state.history) - missed
        return [
            _make_publication(state, since.offset + 1 + index, state.history[first + index])
            for index in range(missed)
        ]

    def forget_expired(self) -> None:
        """Free the memory of what has expired."""
        now = time.monotonic()
        for state in tuple(self._channels.values()):
            if state.until <= now:
                state.history.clear()
            if self._is_expired(state, now):
                del self._channels[state.name]

    def add_session(self, session: Subscriber) -> None:
        """Register a connected session under its user."""
        self._users.setdefault(session.user, {})[session] = None

    def remove_session(self, session: Subscriber) -> None:
        """Forget a session; a repetition has no effect."""
        sessions = self._users.get(session.user, {})
        sessions.pop(session, None)
        if not sessions:
            self._users.pop(session.user, None)

    def find_sessions(self, user: str) -> Iterator[Subscriber]:
        """Yield the sessions of a user; they may end during the iteration."""
        return iter(tuple(self._users.get(user, {})))

    @staticmethod
    def _deliver(state: Channel, text: bytes) -> None:
        epoch = state.epoch if state.offset == 1 else ""
        message = encode_publication(state.publication_start, text, state.offset, epoch)
        # A copy, because a slow subscriber is disconnected and removed during the loop.
        for subscriber in tuple(state.subscribers):
            subscriber.deliver(message)

    def _read_channel(self, name: str) -> Channel:
        now = time.monotonic()
        state = self._find_channel(name, now)
        # As in Centrifugo, reading a position keeps it as publishing does.
        state.used = now
        return state

    def _find_channel(self, name: str, now: float) -> Channel:
        state = self._channels.get(name)
        if state is not None and state.until > now:
            return state
        if state is None or self._is_expired(state, now):
            epoch = "".join(secrets.choice(string.ascii_letters) for _ in range(8))
            history: deque[bytes] = deque(maxlen=self._limits.history_size)
            state = self._channels[name] = Channel(name, epoch, history, until=now, used=now)
        # All of the history expires this long after the latest publication; the position stays.
        state.history.clear()
        return state

    def _is_expired(self, state: Channel, now: float) -> bool:
        # Clients of an expired position are answered that it cannot be recovered: a new epoch.
        return not state.subscribers and state.used + self._limits.history_meta_ttl <= now

    def _remember(self, key: str, channels: list[Channel], now: float) -> list[Channel]:
        """Note that a key is used on channels; return those on which it was not used yet."""
        while self._keys:
            oldest, entry = next(iter(self._keys.items()))
            if entry.until > now:
                break
            del self._keys[oldest]
        used = self._keys.get(key)
        if used is None and len(set(channels)) == len(channels):
            # One entry for a whole broadcast, because nearly every broadcast has a key of its own.
            self._keys[key] = _UsedKey(now + self._limits.idempotency_ttl, channels)
            return channels
        if used is None:
            used = self._keys[key] = _UsedKey(now + self._limits.idempotency_ttl, [])
        known = set(used.channels)
        fresh = [state for state in dict.fromkeys(channels) if state not in known]
        used.channels = [*used.channels, *fresh]
        return fresh


def _make_publication(state: Channel, offset: int, text: bytes) -> Publication:
    return Publication(msgspec.Raw(text), offset, state.epoch if offset == 1 else "")
