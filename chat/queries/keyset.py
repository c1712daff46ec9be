"""Reading a list part by part: from a position in its order, never by counting."""

from typing import Generic, TypeVar

import msgspec

Position = TypeVar("Position")


class Slice(msgspec.Struct, Generic[Position], frozen=True):
    """Which part of a list to read.

    A call that takes it returns up to `limit` + 1 entries in reading order: the one beyond
    shows that there are more. Its two statements are `<name>` and `<name>_backwards`.
    """

    limit: int
    position: Position | None = None
    """Read from this entry on; it is not included. None for the start of the list."""
    is_backwards: bool = False
    """Whether to read from the position towards the list's start, the nearest entry first."""

    def choose(self, name: str) -> str:
        """Return the statement that reads in this direction."""
        return f"{name}_backwards" if self.is_backwards else name
