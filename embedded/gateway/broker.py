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


@dataclass(slots=True)
class Channel:
    """One channel: a position that only increases, and the latest publications."""

    epoch: str
    offset: int = 0
    history: deque[Publication] = field(default_factory=deque)
    history_until: float = 0.0
    # A dict keeps the order of subscriptions, and a set does not.
    subscribers: dict[Subscriber, None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Position:
    """The position of a channel."""

    offset: int
    epoch: str


class Broker:
    """Gives each publication of a channel the next offset and sends it to each subscriber once.

    Everything runs on the event loop without awaiting. So no publication is missing and none is
    sent twice between the recovered history and the first live publication.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        # Never removed: without the channel's epoch its clients would lose their position. A
        # development server can afford that.
        self._channels: dict[str, Channel] = {}
        self._published: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._users: dict[str, dict[Subscriber, None]] = {}

    def publish(self, channel: str, data: bytes, idempotency_key: str = "") -> bool:
        """Publish once: False if the key was used on the channel in the last five minutes."""
        now = time.monotonic()
        if idempotency_key and not self._remember((channel, idempotency_key), now):
            return False
        state = self._get_channel(channel)
        self._expire_history(state, now)
        state.offset += 1
        # A newline separates messages in a frame. In JSON it can only be white space.
        text = msgspec.Raw(data.replace(b"\n", b""))
        epoch = state.epoch if state.offset == 1 else ""
        publication = Publication(text, state.offset, epoch)
        state.history.append(publication)
        state.history_until = now + self._limits.history_ttl
        if len(state.history) > self._limits.history_size:
            state.history.popleft()
        if state.subscribers:
            message = encode_push(Push(channel, pub=publication))
            # A copy, because a slow subscriber is disconnected and removed during the loop.
            for subscriber in tuple(state.subscribers):
                subscriber.deliver(message)
        return True

    def get_position(self, channel: str) -> Position:
        """Return the position; a channel has one before its first publication, to recover from."""
        state = self._get_channel(channel)
        return Position(state.offset, state.epoch)

    def subscribe(self, channel: str, subscriber: Subscriber) -> None:
        """Add a subscriber; it receives every publication from now on."""
        self._get_channel(channel).subscribers[subscriber] = None

    def unsubscribe(self, channel: str, subscriber: Subscriber) -> None:
        """Remove a subscriber; it receives no more publications."""
        self._channels[channel].subscribers.pop(subscriber, None)

    def find_missed(self, channel: str, since: Position) -> list[Publication] | None:
        """Return all publications after a position, or None if not all of them are known."""
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
        """Forget a session; a repetition has no effect."""
        sessions = self._users.get(session.user, {})
        sessions.pop(session, None)
        if not sessions:
            self._users.pop(session.user, None)

    def find_sessions(self, user: str) -> Iterator[Subscriber]:
        """Yield the sessions of a user; they may end during the iteration."""
        return iter(tuple(self._users.get(user, {})))

    def _get_channel(self, name: str) -> Channel:
        state = self._channels.get(name)
        if state is None:
            epoch = "".join(secrets.choice(string.ascii_letters) for _ in range(8))
            state = self._channels[name] = Channel(epoch)
        return state

    @staticmethod
    def _expire_history(state: Channel, now: float) -> None:
        # All of the history expires this long after the latest publication; the position stays.
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
