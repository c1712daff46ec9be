"""Channels in memory: history, positions, idempotency keys and subscribers."""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from embedded.gateway.channels import Channel, Subscriber
from embedded.gateway.limits import Limits
from embedded.gateway.protocol import (
    Publication,
    encode_publication,
    encode_publication_start,
)
from embedded.gateway.records import Histories, UsedKeys

SWEEP_STEP = 1000
"""How many channels one step of `forget_expired` looks at."""


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
        self._channels: dict[str, Channel] = {}
        self._histories = Histories(limits.history_max_bytes)
        self._keys = UsedKeys(limits.idempotency_ttl, limits.idempotency_max_bytes)
        self._users: dict[str, dict[Subscriber, None]] = {}

    def publish(self, channels: Sequence[str], data: bytes, idempotency_key: str = "") -> None:
        """Publish to each channel on which the key was not used in the last five minutes."""
        now = time.monotonic()
        states = [self._find_channel(name, now) for name in channels]
        if idempotency_key:
            states = self._keys.remember(idempotency_key, states, now)
        if not states:
            return
        # A newline separates messages in a frame. In JSON it can only be white space.
        text = data.replace(b"\n", b"")
        record = self._histories.add(text, states)
        size = self._limits.history_size
        until = now + self._limits.history_ttl
        for state in states:
            state.offset += 1
            state.until = until
            state.used = now
            history = state.history
            history.append(record)
            if len(history) > size:
                # `release` without a call: there are as many of these as channels.
                oldest = history.pop(0)
                oldest.holders -= 1
                if not oldest.holders:
                    self._histories.forget(oldest)
            if state.subscribers:
                self._deliver(state, text)
        self._histories.shrink()

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
            _make_publication(state, since.offset + 1 + index, state.history[first + index].data)
            for index in range(missed)
        ]

    def forget_expired(self) -> Iterator[None]:
        """Free the memory of what has expired; other tasks may run between the steps."""
        self._keys.forget_old(time.monotonic())
        for number, state in enumerate(tuple(self._channels.values()), start=1):
            now = time.monotonic()
            if state.until <= now:
                self._histories.clear(state)
                if self._is_expired(state, now) and self._channels.get(state.name) is state:
                    del self._channels[state.name]
            if number % SWEEP_STEP == 0:
                yield

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

    def count_sessions(self, user: str) -> int:
        """Return how many connections a user has."""
        return len(self._users.get(user, ()))

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
        if state is not None:
            # All of it expires this long after the latest publication; the position stays.
            self._histories.clear(state)
        if state is None or self._is_expired(state, now):
            epoch = "".join(secrets.choice(string.ascii_letters) for _ in range(8))
            state = self._channels[name] = Channel(name, epoch, now)
        return state

    def _is_expired(self, state: Channel, now: float) -> bool:
        # Clients of an expired position are answered that it cannot be recovered: a new epoch.
        return not state.subscribers and state.used + self._limits.history_meta_ttl <= now


def _make_publication(state: Channel, offset: int, text: bytes) -> Publication:
    return Publication(msgspec.Raw(text), offset, state.epoch if offset == 1 else "")
