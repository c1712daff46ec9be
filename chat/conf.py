"""Every setting the domain reads, typed, in one place."""

from dataclasses import dataclass

from django.conf import settings


@dataclass(frozen=True, slots=True)
class ChatConfiguration:
    """The domain's settings as they stand at start."""

    message_max_length: int
    """Characters in one message. Default 4,000: a room's history of 100 events has to fit the
    client queue of Centrifugo (`queue_max_size` in centrifugo/config.json)."""

    event_retention_days: int
    """How long `manage.py prune_events` keeps an event in the log. Default 90."""

    centrifugo_token_secret: str
    centrifugo_token_ttl_seconds: int

    database_url: str
    database_pool_size: int
    """Connections one API process holds at most."""

    metrics_host: str
    metrics_port: int
    """Where Prometheus reads metrics; 0 for nowhere."""


def load_configuration() -> ChatConfiguration:
    """Return the settings of this process."""
    return ChatConfiguration(
        message_max_length=settings.CHAT_MESSAGE_MAX_LENGTH,
        event_retention_days=settings.CHAT_EVENT_RETENTION_DAYS,
        centrifugo_token_secret=settings.CENTRIFUGO_TOKEN_SECRET,
        centrifugo_token_ttl_seconds=settings.CENTRIFUGO_TOKEN_TTL_SECONDS,
        database_url=settings.DATABASE_URL,
        database_pool_size=settings.DATABASE_POOL_SIZE,
        metrics_host=settings.METRICS_HOST,
        metrics_port=settings.METRICS_PORT,
    )


# Limits of the contract, the same on every installation.
# The greatest id, seq and version: all are PostgreSQL's bigint.
BIGINT_MAX = 2**63 - 1
USER_ID_MAX_LENGTH = 128
CLIENT_ID_MAX_LENGTH = 64
ROOM_NAME_MAX_LENGTH = 255
MEMBERS_PER_CALL = 1000
# A client that recovers is given a whole history at once: `history_size` events (100) must fit its
# queue (`client.queue_max_size`, 4 MiB); both are in centrifugo/config.json.
EVENT_BYTES_MAX = 4 * 1024 * 1024 // 100
# nginx/nginx.conf has the same bounds.
BODY_MAX_BYTES = 65_536
# The time a request's body may take in all. A slow client holds a place that another could have.
BODY_SECONDS = 10.0
PAGE_DEFAULT = 50
PAGE_MAX = 200
CHANNEL_MAX_BYTES = 240
# A send without a client_id gets a key that begins with this character, so that the service can
# repeat the write after a lost connection; keys of clients may not begin with it.
SERVER_KEY_PREFIX = "~"
