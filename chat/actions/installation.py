"""Going on in a database that was restored or moved."""

import msgspec

from chat.sql import Call


class AnewRow(msgspec.Struct, frozen=True):
    """How many rooms began anew, and the installation's new epoch."""

    rooms: int
    epoch: str


class KeptRow(msgspec.Struct, frozen=True):
    """What the database is known by from now on."""

    identity: str


def begin_anew() -> Call[AnewRow]:
    """Make sure that nothing told from now on is taken for something told before.

    For a database that lost what it had told: every client reads its rooms anew.
    """
    return Call("begin_anew", AnewRow, {}, is_repeatable=False)


def keep_on() -> Call[KeptRow]:
    """Take the database for the one it was, after a move that lost nothing."""
    return Call("keep_on", KeptRow, {})
