"""Going on in a database that was restored or moved."""

import msgspec

from chat.sql import Call, read_single_row


class Beginning(msgspec.Struct, frozen=True):
    """How many rooms began again, and the installation's new epoch."""

    rooms: int
    epoch: str


class _IdentityRow(msgspec.Struct, frozen=True):
    identity: str


def start_over() -> Call[Beginning]:
    """Make sure that no event from now on is taken for one that was sent before.

    For a database that lost events after it had sent them: every client reads its rooms again.
    """
    return Call("start_over", Beginning, {}, read_single_row, is_repeatable=False, publishes=True)


def accept_identity() -> Call[str | None]:
    """Accept a moved database as the same one, after a move that lost nothing.

    Returns its identity, or None where the installation has no row.
    """
    return Call("accept_identity", _IdentityRow, {}, _read_identity)


def _read_identity(rows: list[_IdentityRow]) -> str | None:
    return rows[0].identity if rows else None
