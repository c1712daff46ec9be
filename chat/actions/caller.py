"""Who makes a change: what the functions that ask for rights, or keep an audit, are given."""

from typing import Literal

import msgspec


class Caller(msgspec.Struct, frozen=True):
    """The caller of a change: a user is judged by the role in the room; others may do all."""

    kind: Literal["user", "service", "staff"]
    id: str
    """The user; the `sub` of the service's token; the name of the member of staff."""
    address: str | None = None
    """From which network address the request came."""

    def to_json(self) -> str:
        """Return what the SQL functions take as `p_by`."""
        return msgspec.json.encode(self).decode()


SERVICE = Caller("service", "service")
"""The host's service, where no token says which one."""
