"""Every setting the domain reads, typed, in one place; and what several modules agree on."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings
from psycopg.conninfo import conninfo_to_dict, make_conninfo


@dataclass(frozen=True, slots=True)
class ChatConfiguration:
    """The domain's settings, as they were when the process started."""

    message_max_length: int
    """Characters in one message. Default 4,000: a room's history of 100 events has to fit the
    client queue of Centrifugo (`queue_max_size` in centrifugo/config.json)."""

    default_room_kind: str
    """What a room is of which the kind is not said: `public` or `private`."""

    users_may_create: str
    """Which rooms users may create: `none`, `private` ones or `any`."""

    event_retention_days: int
    """How long `manage.py prune_events` keeps an event in the log. Default 90."""

    audience_hours: int
    """Events are published to the members who asked for a token within so many hours. Default 48;
    0 publishes to every member."""

    sends_per_user: str
    """`30/60`: a user sends at most 30 messages in any 60 seconds; empty for no limit."""

    sends_per_room: str
    """The same for all users of a room together."""

    jwt_max_lifetime_seconds: int
    """How long the host's tokens are valid at most; 0 for no limit."""

    joins_per_user: str
    """`30/60`: a user joins and leaves at most 30 times in any 60 seconds; empty for no limit."""

    rooms_per_user: int
    """In how many rooms a user may be, direct ones not counted; 0 for no limit."""

    members_per_room: int
    """How many members users may bring into one room; 0 for no limit."""

    rooms_created_per_user: str
    """`20/86400`: a user creates at most 20 rooms in any day; empty for no limit."""

    direct_rooms_per_user: str
    """The same for direct rooms, which the user opens."""

    reports_per_user: str
    """The same for reports."""

    before_send_url: str
    """The host's address that is asked before each message is stored; empty for none."""

    before_send_secret: str
    before_send_on_failure: str
    """`allow` or `refuse`: what becomes of a message where the host does not answer."""

    centrifugo_token_secret: str
    centrifugo_token_ttl_seconds: int

    database_url: str
    database_pool_size: int
    """The most connections that one API process opens."""

    metrics_host: str
    metrics_port: int
    """Where Prometheus reads metrics; with port 0, nowhere."""

    @property
    def listening_seconds(self) -> int:
        """How long a user counts as listening, at least, from the time a token is issued.

        From the end of that token the user is a listener for the hours configured. With 0 hours,
        rows are kept all the same: other processes may use them while a setting is rolled out.
        """
        hours = self.audience_hours or AUDIENCE_HOURS_LEAST
        return hours * 3600 + self.centrifugo_token_ttl_seconds + 60

    @property
    def revocations_kept_seconds(self) -> int | None:
        """How long a revocation is kept: until the tokens that it refuses have expired.

        That is the longest time for which a token is valid, and an hour for leeway and clocks that
        differ; None, for ever, where tokens may be valid for any time.
        """
        longest = self.jwt_max_lifetime_seconds
        return longest + 3600 if longest else None

    @property
    def session_settings(self) -> Mapping[str, str]:
        """The settings of PostgreSQL by which its functions know what is configured here."""
        return {"besedka.audience": "listeners" if self.audience_hours else "members"}


def load_configuration() -> ChatConfiguration:
    """Return the settings of this process."""
    return ChatConfiguration(
        message_max_length=settings.CHAT_MESSAGE_MAX_LENGTH,
        default_room_kind=settings.CHAT_DEFAULT_ROOM_KIND,
        users_may_create=settings.CHAT_USERS_MAY_CREATE,
        event_retention_days=settings.CHAT_EVENT_RETENTION_DAYS,
        audience_hours=settings.CHAT_AUDIENCE_HOURS,
        sends_per_user=settings.CHAT_SENDS_PER_USER,
        sends_per_room=settings.CHAT_SENDS_PER_ROOM,
        jwt_max_lifetime_seconds=settings.JWT_MAX_LIFETIME_SECONDS,
        joins_per_user=settings.CHAT_JOINS_PER_USER,
        rooms_per_user=settings.CHAT_ROOMS_PER_USER,
        members_per_room=settings.CHAT_MEMBERS_PER_ROOM,
        rooms_created_per_user=settings.CHAT_ROOMS_CREATED_PER_USER,
        direct_rooms_per_user=settings.CHAT_DIRECT_ROOMS_PER_USER,
        reports_per_user=settings.CHAT_REPORTS_PER_USER,
        before_send_url=settings.CHAT_BEFORE_SEND_URL,
        before_send_secret=settings.CHAT_BEFORE_SEND_SECRET,
        before_send_on_failure=settings.CHAT_BEFORE_SEND_ON_FAILURE,
        centrifugo_token_secret=settings.CENTRIFUGO_TOKEN_SECRET,
        centrifugo_token_ttl_seconds=settings.CENTRIFUGO_TOKEN_TTL_SECONDS,
        database_url=settings.DATABASE_URL,
        database_pool_size=settings.DATABASE_POOL_SIZE,
        metrics_host=settings.METRICS_HOST,
        metrics_port=settings.METRICS_PORT,
    )


# The published secrets of development. `chat.checks` refuses them when DEBUG is off.
DEVELOPMENT_SECRET_KEY = "django-insecure-x7gca%3()9-8a!mo%v+x2_f4to#yvo(d1+@g8*sv4bz$-y1ya7"  # noqa: S105 - published
DEVELOPMENT_CENTRIFUGO_SECRET = "besedka-development-centrifugo-token-secret"  # noqa: S105 - the same

KEEPALIVES: Mapping[str, int] = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
"""After how many seconds, how often and how many times TCP asks a silent peer. PostgreSQL's own
settings have the same names after `tcp_`."""
NOTICE_THE_DEAD: Mapping[str, int] = {
    **KEEPALIVES,
    # In milliseconds. Keepalives are not sent while an answer to sent data is awaited.
    "tcp_user_timeout": 10_000,
    "connect_timeout": 3,
}
"""Parameters of libpq. With them a connection to a server that vanished ends within seconds, not
after the kernel's two hours."""


def compose_conninfo(url: str, application_name: str, **session_settings: str | int) -> str:
    """Return the address of the database for a connection of the service's own.

    It notices a dead server. `session_settings` are settings of PostgreSQL for the session: they
    take precedence over those of the same name in the URL's `options`; its other options apply.
    """
    given = conninfo_to_dict(url).get("options") or ""
    ours = " ".join(f"-c {name}={_escape(value)}" for name, value in session_settings.items())
    # Of two settings of one name, PostgreSQL takes the later one.
    return make_conninfo(
        url,
        application_name=application_name,
        options=f"{given} {ours}".strip(),
        **NOTICE_THE_DEAD,
    )


def _escape(value: str | int) -> str:
    """Escape what would end an option for PostgreSQL."""
    return str(value).replace("\\", "\\\\").replace(" ", "\\ ")


AUDIENCE_HOURS_LEAST = 48
"""A client that comes back after a lapse must not recover: Centrifugo forgets its position after 24
hours (`history_meta_ttl` in centrifugo/config.json). Another day is for clocks that jump."""
AUDIENCE_HOURS_MOST = 24 * 365
TOKEN_SECONDS_LEAST = 30
"""A client on a bad network needs some seconds to connect with its token."""
TOKEN_SECONDS_MOST = 12 * 3600
"""Longer tokens could outlive the day for which a restored database publishes to every member."""

# Limits of the contract, the same on every installation.
# The greatest id, seq and version: all are PostgreSQL's bigint.
BIGINT_MAX = 2**63 - 1
USER_ID_MAX_LENGTH = 128
CLIENT_ID_MAX_LENGTH = 64
ROOM_NAME_MAX_LENGTH = 255
EXTERNAL_ID_MAX_LENGTH = 255
# Of a ban, a report or a decision, in characters.
REASON_MAX_LENGTH = 500
BLOCKS_PER_USER = 1000
WORD_MAX_LENGTH = 64
# Every process keeps them all, and compares each message with them.
WORDS_MOST = 2000
# The JSON object that a host keeps with a room, in bytes of the JSON as stored.
DATA_MAX_BYTES = 4096
SLOW_MODE_SECONDS_MOST = 86_400
DIRECT_USERS_LEAST = 2
DIRECT_USERS_MOST = 8
MEMBERS_PER_CALL = 1000
# In a room's desired state.
DESIRED_MEMBERS_MOST = 10_000
INVITE_SECONDS_DEFAULT = 7 * 86_400
INVITE_SECONDS_MOST = 365 * 86_400
INVITE_USES_MOST = 1_000_000
# A client that recovers receives a whole history at once: `history_size` events (100) must fit its
# queue (`client.queue_max_size`, 4 MiB); both are in centrifugo/config.json.
EVENT_BYTES_MAX = 4 * 1024 * 1024 // 100
# So many of them are for the rest: the room, the user, the key, the frame. At worst, with six
# bytes for each character, it takes 3,000.
EVENT_REST_BYTES = 4096
# Without the quotes; `chat.is_content` in functions/messages.sql has the same bound.
CONTENT_BYTES_MAX = EVENT_BYTES_MAX - EVENT_REST_BYTES - 2
# nginx/nginx.conf has the same bounds.
BODY_MAX_BYTES = 65_536
# Of a room's desired state: 10,000 members, each with an id of 128 ASCII characters and a role,
# take 1.7 million bytes.
DESIRED_STATE_MAX_BYTES = 2_097_152
# How long a request's body may take in all: a slow client uses a place that another one needs.
BODY_SECONDS = 10.0
PAGE_DEFAULT = 50
PAGE_MAX = 200
CHANNEL_MAX_BYTES = 240
# A send without a client_id gets a key that begins with this character, so that the service can
# repeat the write after a lost connection; keys of clients may not begin with it.
SERVER_KEY_PREFIX = "~"
