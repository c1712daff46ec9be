"""Reading whether this service can serve."""

import msgspec

from chat.sql import Call


class ReadinessRow(msgspec.Struct, frozen=True):
    """What the database says of itself."""

    migrations: list[str]
    fingerprint: str | None
    outbox_age: float | None


def read_readiness() -> Call[ReadinessRow]:
    """Return the applied migrations, the installed functions and the outbox's age in seconds."""
    return Call("read_readiness", ReadinessRow, {})
