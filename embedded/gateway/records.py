"""What the gateway keeps of publications, their data and their idempotency keys, within bounds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from embedded.gateway.channels import RECORD_BYTES, REFERENCE_BYTES, Channel, Record


class Histories:
    """The records that at least one history has, the oldest first; at most `limit` bytes.

    Beyond the limit the oldest publications leave their histories, as those beyond `history_size`
    do: positions stay, so a client that missed one of them is answered that it is not recovered.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._records: OrderedDict[Record, None] = OrderedDict()
        self.size = 0
        """Bytes, nearly: what the process needs for the records and the references to them."""

    def add(self, data: bytes, channels: Sequence[Channel]) -> Record:
        """Make the record of a publication; the caller appends it to the channels' histories."""
        record = Record(data, channels)
        self._records[record] = None
        self.size += record.size
        return record

    def release(self, record: Record) -> None:
        """Note that one history has given a record up."""
        record.holders -= 1
        if not record.holders:
            self.forget(record)

    def forget(self, record: Record) -> None:
        """Forget a record that no history has."""
        del self._records[record]
        self.size -= record.size

    def clear(self, channel: Channel) -> None:
        """Empty the history of a channel."""
        for record in channel.history:
            self.release(record)
        channel.history.clear()

    def shrink(self) -> None:
        """Drop the oldest records until the rest is within the limit."""
        while self.size > self._limit:
            record = next(iter(self._records))
            # All older records are gone, so this is the first one of each history that has it.
            for channel in record.channels:
                if channel.history and channel.history[0] is record:
                    del channel.history[0]
                    self.release(record)


class _UsedKey:
    """Until when a key is remembered, and the channels on which it was used."""

    __slots__ = ("channels", "until")

    def __init__(self, until: float, channels: Sequence[Channel]) -> None:
        self.until = until
        self.channels = channels

    @property
    def size(self) -> int:
        return RECORD_BYTES + REFERENCE_BYTES * len(self.channels)


class UsedKeys:
    """The idempotency keys of the last `ttl` seconds, at most `limit` bytes: then the oldest go.

    A row whose key is forgotten can be published twice, if the database is lost before the row is
    deleted. Only the rows of the last transaction of each partition can be.
    """

    def __init__(self, ttl: float, limit: int) -> None:
        self._ttl = ttl
        self._limit = limit
        self._keys: OrderedDict[str, _UsedKey] = OrderedDict()
        self.size = 0
        """Bytes, nearly."""

    def remember(self, key: str, channels: list[Channel], now: float) -> list[Channel]:
        """Note that a key is used on channels; return those on which it was not used yet."""
        self.forget_old(now)
        used = self._keys.pop(key, None)
        if used is None and len(set(channels)) == len(channels):
            # Nearly every broadcast has a key of its own.
            self._put(key, _UsedKey(now + self._ttl, channels))
            return channels
        known: Sequence[Channel] = ()
        if used is not None:
            self.size -= used.size
            known = used.channels
        seen = set(known)
        fresh = [channel for channel in dict.fromkeys(channels) if channel not in seen]
        self._put(key, _UsedKey(now + self._ttl, [*known, *fresh]))
        return fresh

    def forget_old(self, now: float) -> None:
        """Forget the keys whose time is over."""
        while self._keys:
            key, used = next(iter(self._keys.items()))
            if used.until > now and self.size <= self._limit:
                break
            del self._keys[key]
            self.size -= used.size

    def _put(self, key: str, used: _UsedKey) -> None:
        self._keys[key] = used
        self.size += used.size
