"""Which PostgreSQL the service needs."""

POSTGRESQL_LEAST = 18
"""The tests run against it, and the functions use what earlier versions do not have."""


def describe_old_server(version: int) -> str | None:
    """Return why a server of this version (`180003` is 18.3) cannot be used, or None if it can."""
    if version >= POSTGRESQL_LEAST * 10_000:
        return None
    major, minor = divmod(version, 10_000)
    # The same sentence as Django's, which refuses its own connections.
    return f"PostgreSQL {POSTGRESQL_LEAST} or later is required (found {major}.{minor})."
