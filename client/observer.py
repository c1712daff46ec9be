"""What a device tells whoever watches it: a test, a log, a screen."""

from client.reducer import Json


class Observer:
    """Hears of each step at the moment it happens; override what is of interest.

    The methods are called on the device's event loop and must not block. One that raises ends the
    device.
    """

    def on_frame(self, event: Json) -> None:
        """An event came over the socket; nothing has been done with it."""

    def on_subscribed(self, recovered: bool, was_recovering: bool) -> None:  # noqa: FBT001 - Centrifugo's two flags
        """The subscription stands; without `recovered` the rooms are compared with the service."""

    def on_connection_error(self, reason: str) -> None:
        """A connection to Centrifugo failed; the SDK tries again."""

    def on_fetch(self, room_id: int, after: int, status: int) -> None:
        """The log was asked for what follows a version, and answered."""

    def on_apply(self, event: Json) -> None:
        """The reducer applied an event."""

    def on_snapshot(self, room_id: int, version: int) -> None:
        """The room was read anew and is held at this version."""

    def on_forget(self, room_id: int) -> None:
        """The room is held no longer."""

    def on_end(self, reason: str) -> None:
        """The device is refused, or has met an error of its own, and does nothing more."""
