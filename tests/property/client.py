"""The reference client's reducer without a network: it fetches once, then applies events."""

import copy
from typing import Any, Self

from client.reducer import Json, Outcome, Reducer
from tests.property.drivers import Driver
from tests.support.ledger import Event

EVERYTHING = 1_000_000


class Client:
    """A user's reducer, and the driver with which it reads when an event requires that.

    It is stricter than an application: every event that it applies must change something.
    """

    def __init__(self, user: str, driver: Driver) -> None:
        self.user = user
        self._driver = driver
        self.reducer = Reducer(user, keep=EVERYTHING)

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
        twin.reducer = copy.deepcopy(self.reducer)
        return twin

    @property
    def state(self) -> dict[str, Any]:
        """Return everything that the user sees, in the order in which it is shown.

        Members that it lacks are read now: somebody looks at them.
        """
        for room_id in self.reducer.versions():
            if self.reducer.lacks_members(room_id):
                members = self._driver.list_members(self.user, room_id)
                self.reducer.replace_members(room_id, members)
        return self.reducer.state()

    def view(self, room_id: int) -> tuple[Json, list[Json], list[Json]]:
        """Return what the user sees of one room: itself, its members, its messages."""
        state = self.state
        (room,) = (room for room in state["rooms"] if room["id"] == room_id)
        return room, state["members"][room_id], state["messages"][room_id]

    def receive(self, event: Event) -> None:
        """Take an event that was published to this user."""
        room_id = event["body"]["room"]["id"]
        match self._receive(event):
            case Outcome.UNKNOWN_ROOM:
                self._fetch_new_room(room_id)
            case Outcome.GAP:
                self.catch_up(room_id)

    def catch_up(self, room_id: int) -> None:
        """Fetch the events after the held version and apply them."""
        events = self._driver.list_events(self.user, room_id, self.reducer.version(room_id))
        if events is None:
            self.reducer.forget(room_id)
            return
        for event in events:
            outcome = self._receive(event)
            if outcome is Outcome.UNKNOWN_ROOM:
                # It left and joined again in the meantime, so it has to fetch the room.
                self._fetch_new_room(room_id)
                return
            assert outcome is Outcome.APPLIED

    def _receive(self, event: Event) -> Outcome:
        body, room_id = event["body"], event["body"]["room"]["id"]
        before = self.reducer.state()["members"].get(room_id, [])
        outcome = self.reducer.receive(event)
        is_of_members = event["type"] in {"user_joined", "user_left"}
        if outcome is Outcome.APPLIED and is_of_members and not self.reducer.lacks_members(room_id):
            joined_at = {member["user"]: member["joined_at"] for member in before}
            is_leaving = event["type"] == "user_left"
            assert joined_at.get(body["user"]) == (body["joined_at"] if is_leaving else None)
        return outcome

    def _fetch_new_room(self, room_id: int) -> None:
        for room in self._driver.list_rooms(self.user):
            if room["id"] == room_id:
                self._fetch_room(room)

    def _fetch_room(self, room: Json) -> None:
        members = self._driver.list_members(self.user, room["id"])
        messages = self._driver.list_messages(self.user, room["id"])
        self.reducer.replace(room, members, messages)
