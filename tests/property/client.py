"""The client of the contract: it fetches once, then keeps its state by events alone."""

import copy
from typing import Any, Self

from tests.property.drivers import Driver, Json
from tests.support.ledger import Event


class Client:
    """A user's rooms, members and messages.

    An event up to the version held is dropped, the next one is applied, and one beyond it makes
    the client fetch what it missed.
    """

    def __init__(self, user: str, driver: Driver) -> None:
        self.user = user
        self._driver = driver
        self.rooms: dict[int, Json] = {}
        self.members: dict[int, dict[str, Json]] = {}
        self.messages: dict[int, list[Json]] = {}

    @classmethod
    def fetch(cls, user: str, driver: Driver) -> Self:
        """Return a client that has just fetched everything."""
        client = cls(user, driver)
        for room in driver.list_rooms(user):
            client._fetch_room(room)
        return client

    def copy(self) -> Self:
        """Return a client with the same state."""
        twin = copy.copy(self)
        twin.rooms = copy.deepcopy(self.rooms)
        twin.members = copy.deepcopy(self.members)
        twin.messages = copy.deepcopy(self.messages)
        return twin

    @property
    def state(self) -> dict[str, Any]:
        """Return all that the user sees, in the order it is seen."""
        rooms = sorted(
            self.rooms.values(), key=lambda room: (room["bumped_at"], room["id"]), reverse=True
        )
        return {
            "rooms": rooms,
            "members": {
                room_id: sorted(members.values(), key=lambda member: member["user"].encode())
                for room_id, members in self.members.items()
            },
            "messages": self.messages,
        }

    def receive(self, event: Event) -> None:
        """Take an event that was published to this user."""
        room_id, version = event["body"]["room"]["id"], event["body"]["room"]["version"]
        held = self.rooms.get(room_id)
        if held is None:
            if event["type"] != "user_left" or event["body"]["user"] != self.user:
                self._fetch_new_room(room_id)
        elif version == held["version"] + 1:
            self._apply(event)
        elif version > held["version"]:
            self.catch_up(room_id)

    def catch_up(self, room_id: int) -> None:
        """Fetch what follows the version held and apply it."""
        events = self._driver.list_events(self.user, room_id, self.rooms[room_id]["version"])
        if events is None:
            self._forget(room_id)
            return
        for event in events:
            if room_id not in self.rooms:
                # It left and came back in between: what it holds now is what it fetches.
                self._fetch_new_room(room_id)
                return
            assert event["body"]["room"]["version"] == self.rooms[room_id]["version"] + 1
            self._apply(event)

    def _apply(self, event: Event) -> None:
        body, room_id = event["body"], event["body"]["room"]["id"]
        self.rooms[room_id] |= body["room"]
        if event["type"] == "message_added":
            message = {name: value for name, value in body.items() if name != "room"}
            self.messages[room_id].insert(0, message)
            self.rooms[room_id]["last_message"] = message
        elif event["type"] == "message_deleted":
            message = {name: value for name, value in body.items() if name != "room"}
            self.messages[room_id] = [
                message if known["id"] == message["id"] else known
                for known in self.messages[room_id]
            ]
            self.rooms[room_id]["last_message"] = self.messages[room_id][0]
        elif event["type"] == "user_joined":
            assert body["user"] not in self.members[room_id]
            self.members[room_id][body["user"]] = {
                "user": body["user"],
                "joined_at": body["joined_at"],
            }
        elif event["type"] == "user_left":
            assert self.members[room_id].pop(body["user"])["joined_at"] == body["joined_at"]
            if body["user"] == self.user:
                self._forget(room_id)

    def _fetch_new_room(self, room_id: int) -> None:
        for room in self._driver.list_rooms(self.user):
            if room["id"] == room_id:
                self._fetch_room(room)

    def _fetch_room(self, room: Json) -> None:
        members = self._driver.list_members(self.user, room["id"])
        self.rooms[room["id"]] = dict(room)
        self.members[room["id"]] = {member["user"]: member for member in members}
        self.messages[room["id"]] = self._driver.list_messages(self.user, room["id"])

    def _forget(self, room_id: int) -> None:
        del self.rooms[room_id], self.members[room_id], self.messages[room_id]
