"""Channels in memory: history, positions, idempotency keys and subscribers."""

from __future__ import annotations

import secrets
import string
import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from embedded.gateway.limits import Limits
from embedded.gateway.protocol import Disconnect, Publication, Push, Unsubscribe, encode_push


class Subscriber(Protocol):
    """What the broker needs of a client session."""

    @property
    def user(self) -> str:
        """The user who connected."""

    def deliver(self, message: bytes) -> None:
        """Queue an encoded push."""

    def drop_subscription(self, channel: str, unsubscribe: Unsubscribe) -> None:
        """End a subscription and tell the client why."""

    def disconnect(self, disconnect: Disconnect) -> None:
        """End the connection."""


@dataclass(slots=True)
class Channel:
    """One channel: a position that only grows, and the latest publications."""

    epoch: str
    offset: int = 0
    history: deque[Publication] = field(default_factory=deque)
    history_until: float = 0.0
    # A dict keeps the order of subscribing; a set would not.
    subscribers: dict[Subscriber, None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a channel stands."""

    offset: int
    epoch: str


class Broker:
    """Gives every publication of a channel the next offset and hands it to each subscriber once.

    Everything happens on the event loop without awaiting, so a subscriber sees no hole and no
    double between the history it was given and the first live publication.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        # Kept until the process ends, as a development server may: dropping a channel drops its
        # epoch, and clients would lose their position.
        self._channels: dict[str, Channel] = {}
        self._published: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._users: dict[str, dict[Subscriber, None]] = {}

    def publish(self, channel: str, data: bytes, idempotency_key: str = "") -> bool:
        """Publish once: false when the key was used on the channel in the last five minutes."""
        now = time.monotonic()
        if idempotency_key and not self._remember((channel, idempotency_key), now):
            return False
        state = self._get_channel(channel)
        self._expire_history(state, now)
        state.offset += 1
        # A newline separates messages in a frame; in JSON it can only be white space.
        text = msgspec.Raw(data.replace(b"\n", b""))
        epoch = state.epoch if state.offset == 1 else ""
        publication = Publication(text, state.offset, epoch)
        state.history.append(publication)
        state.history_until = now + self._limits.history_ttl
        if len(state.history) > self._limits.history_size:
            state.history.popleft()
        if state.subscribers:
            message = encode_push(Push(channel, pub=publication))
            # A copy: a slow subscriber is disconnected, and so removed, on the way.
            for subscriber in tuple(state.subscribers):
                subscriber.deliver(message)
        return True

    def get_position(self, channel: str) -> Position:
        """Return the top; it exists before the first publication, so a client can return to it."""
        state = self._get_channel(channel)
        return Position(state.offset, state.epoch)

    def subscribe(self, channel: str, subscriber: Subscriber) -> None:
        """Add a subscriber; it receives every publication from now on."""
        self._get_channel(channel).subscribers[subscriber] = None

    def unsubscribe(self, channel: str, subscriber: Subscriber) -> None:
        """Remove a subscriber; nothing of the channel reaches it any more."""
        self._channels[channel].subscribers.pop(subscriber, None)

    def find_missed(self, channel: str, since: Position) -> list[Publication] | None:
        """Return all publications after a position, or None when not all of them are known."""
        state = self._get_channel(channel)
        self._expire_history(state, time.monotonic())
        if since.epoch and since.epoch != state.epoch:
            return None
        missed = [item for item in state.history if item.offset > since.offset]
        missed = missed[: self._limits.recovery_max_publication_limit]
        if not missed:
            return [] if state.offset == since.offset else None
        if missed[0].offset == since.offset + 1 and missed[-1].offset == state.offset:
            return missed
        return None

    def add_session(self, session: Subscriber) -> None:
        """Register a connected session under its user."""
        self._users.setdefault(session.user, {})[session] = None

    def remove_session(self, session: Subscriber) -> None:
        """Forget a session; repeating is harmless."""
        sessions = self._users.get(session.user, {})
        sessions.pop(session, None)
        if not sessions:
            self._users.pop(session.user, None)

    def find_sessions(self, user: str) -> Iterator[Subscriber]:
        """Yield the sessions of a user, safe against their leaving on the way."""
        return iter(tuple(self._users.get(user, {})))

    def _get_channel(self, name: str) -> Channel:
        state = self._channels.get(name)
        if state is None:
            epoch = "".join(secrets.choice(string.ascii_letters) for _ in range(8))
            state = self._channels[name] = Channel(epoch)
        return state

    @staticmethod
    def _expire_history(state: Channel, now: float) -> None:
        # The whole history lives for the time after the latest publication; the position stays.
        if state.history and state.history_until <= now:
            state.history.clear()

    def _remember(self, key: tuple[str, str], now: float) -> bool:
        while self._published:
            oldest, until = next(iter(self._published.items()))
            if until > now:
                break
            del self._published[oldest]
        if key in self._published:
            return False
        self._published[key] = now + self._limits.idempotency_ttl
        return True
