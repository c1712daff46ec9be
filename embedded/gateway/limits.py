"""Every size and delay of the gateway, with Centrifugo's values where it has them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Self

PREFIX = "GATEWAY_"


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """The gateway has the same limits as the shipped Centrifugo configuration."""

    ping_interval: float = 25.0
    pong_timeout: float = 8.0
    stale_close_delay: float = 10.0
    expired_close_delay: float = 25.0
    expired_sub_close_delay: float = 25.0
    # How long a client that does not read may delay the close frame.
    write_timeout: float = 1.0

    message_size_limit: int = 65536
    # All of a history of the longest messages: 100 × 4,000 characters of up to six bytes each in
    # JSON. With less, a client that recovers would always be disconnected as slow.
    queue_max_size: int = 4 * 1024 * 1024
    messages_in_frame: int = 16
    channel_limit: int = 128
    channel_max_length: int = 255

    user_connection_limit: int = 128

    history_size: int = 100
    history_ttl: float = 600.0
    # All histories together, and all idempotency keys. Centrifugo's memory has no such bounds.
    history_max_bytes: int = 128 * 1024 * 1024
    idempotency_max_bytes: int = 32 * 1024 * 1024
    # How long a position is known after the last publication or subscription.
    history_meta_ttl: float = 24 * 3600.0
    recovery_max_publication_limit: int = 300
    idempotency_ttl: float = 300.0

    poll_interval: float = 0.3
    select_limit: int = 100
    # Notifications are read this long after the last ones: under load one transaction then drains
    # the rows of many sends. An event after a pause waits for nothing.
    drain_interval: float = 0.004
    shutdown_timeout: float = 2.0

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read variables like `GATEWAY_PING_INTERVAL=1`: tests wait seconds, not minutes."""
        given: dict[str, int | float] = {}
        for field in dataclasses.fields(cls):
            value = environ.get(PREFIX + field.name.upper())
            if value is not None:
                given[field.name] = int(value) if field.type == "int" else float(value)
        return cls(**given)  # type: ignore[arg-type]
