"""What a device reports about its work: to a test, a log or a screen."""

from client.reducer import Json


class Observer:
    """Is called at each step of a device; override the methods that you need.

    The methods run on the device's event loop and must not block. An error in one of them ends
    the device.
    """

    def on_frame(self, event: Json) -> None:
        """An event was received over the socket and is not applied yet."""

    def on_subscribed(self, recovered: bool, was_recovering: bool) -> None:  # noqa: FBT001 - Centrifugo's two flags
        """The device is subscribed; unless `recovered`, it now compares its rooms with the API."""

    def on_connection_error(self, reason: str) -> None:
        """A connection to Centrifugo failed; the SDK tries again."""

    def on_fetch(self, room_id: int, after: int, status: int) -> None:
        """The API answered a request for the events after a version."""

    def on_apply(self, event: Json) -> None:
        """The reducer applied an event."""

    def on_snapshot(self, room_id: int, version: int) -> None:
        """The room was read as a whole and is held at this version."""

    def on_forget(self, room_id: int) -> None:
        """The room is no longer held."""

    def on_end(self, reason: str) -> None:
        """The device was refused, or failed with an error, and does nothing more."""
