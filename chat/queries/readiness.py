"""Reading whether this service can serve."""

import msgspec

from chat.sql import Call


class ReadinessRow(msgspec.Struct, frozen=True):
    """What the database says of itself."""

    migrations: list[str]
    fingerprint: str | None
    outbox_age: float | None
    is_writable: bool


def read_readiness() -> Call[ReadinessRow]:
    """Return the migrations, the functions, the outbox's age in seconds, and whether it writes."""
    return Call("read_readiness", ReadinessRow, {})
