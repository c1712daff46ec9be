"""One room as the service shows it: its state at every version, and its published events."""

import copy
from typing import Any

from client.reducer import Json

ME = "me"
ROOM = 7


class RoomHistory:
    """A room that keeps its state after each change, so that every version can be read.

    It is written from docs/events.md and docs/api.md, without the product's code.
    """

    def __init__(self, *members: str) -> None:
        self.published: dict[int, Json] = {}
        self._only_logged: set[int] = set()
        self._audiences: dict[int, set[str]] = {}
        self._members: dict[str, Json] = {}
        self._messages: list[Json] = []
        self._room: Json = {
            "id": ROOM,
            "name": "first",
            "version": 0,
            "bumped_at": "t000",
            "bump_id": 1,
            "member_count": 0,
        }
        self._kept: dict[int, tuple[Json, dict[str, Json], list[Json]]] = {}
        for user in members:
            self.join(user)

    @property
    def head(self) -> int:
        """The room's version."""
        return int(self._room["version"])

    @property
    def last_seq(self) -> int:
        """The last message's seq."""
        return len(self._messages)

    # Changes. Each is one event.

    def send(self, user: str = "ann") -> None:
        """Send a message."""
        seq = self.last_seq + 1
        message = {"id": 100 + seq, "seq": seq, "user": user, "content": f"text {seq}"}
        self._messages.append(message)
        bumped_at, bump_id = f"t{self.head:03}", message["id"]
        self._publish("message_added", message, bumped_at=bumped_at, bump_id=bump_id)

    def delete(self, seq: int) -> None:
        """Delete a message's text, once."""
        message = self._messages[seq - 1]
        if "deleted_at" not in message:
            message |= {"content": "", "deleted_at": f"t{self.head:03}"}
            self._publish("message_deleted", message)

    def rename(self) -> None:
        """Give the room another name."""
        self._publish("room_updated", {}, name=f"name {self.head}")

    def join(self, user: str) -> None:
        """Add a user; adding a member changes nothing."""
        if user not in self._members:
            joined = {"user": user, "joined_at": f"t{self.head:03}"}
            self._members[user] = joined | {"role": "member"}
            self._publish("user_joined", joined)

    def change_member(self, user: str, role: str, muted_until: str | None = None) -> None:
        """Change a member's role and mute."""
        if user in self._members:
            member = self._members[user] | {"role": role, "muted_until": muted_until}
            self._members[user] = {
                name: value for name, value in member.items() if value is not None
            }
            body = {"user": user, "role": role, "muted_until": muted_until}
            self._publish("member_updated", body)

    def join_in_bulk(self, *users: str) -> None:
        """Add users of whom only the last one's event is published; it stands for all."""
        joined_at, first = f"t{self.head:03}", self.head + 1
        new = [user for user in users if user not in self._members]
        joined = {user: {"user": user, "joined_at": joined_at} for user in new}
        self._members |= {user: joined[user] | {"role": "member"} for user in new}
        for user in new:
            if user != new[-1]:
                self._only_logged.add(self.head + 1)
            more = {"first_version": first} if user == new[-1] != new[0] else {}
            self._publish("user_joined", joined[user] | more)

    def leave(self, user: str) -> None:
        """Remove a user, who receives the event; removing someone else changes nothing."""
        if user in self._members:
            joined_at = self._members.pop(user)["joined_at"]
            self._publish("user_left", {"user": user, "joined_at": joined_at}, audience={user})

    def _publish(
        self, kind: str, body: Json, *, audience: set[str] | None = None, **room: Any
    ) -> None:
        self._room |= room | {"version": self.head + 1, "member_count": len(self._members)}
        shown = {name: value for name, value in self._room.items() if name != "bump_id"}
        event = copy.deepcopy({"type": kind, "body": body | {"room": shown}})
        self.published[self.head] = event
        self._audiences[self.head] = set(self._members) | (audience or set())
        self._kept[self.head] = copy.deepcopy((self._room, self._members, self._messages))

    # What the service answers at a version; None means 404.

    def is_mine(self, version: int) -> bool:
        """Whether I was a member at that version."""
        return ME in self._kept[version][1]

    def room(self, version: int) -> Json:
        """Return the room."""
        return self._kept[version][0]

    def members(self, version: int) -> list[Json]:
        """Return the members by id."""
        return sorted(self._kept[version][1].values(), key=lambda member: member["user"])

    def messages(self, version: int, limit: int) -> list[Json]:
        """Return the newest messages, newest first."""
        return self._kept[version][2][::-1][:limit]

    def log(self, after: int, version: int) -> list[Json]:
        """Return the events after one version, composed as the service would at another."""
        name = self._kept[version][0]["name"]
        texts = {message["id"]: message for message in self._kept[version][2]}
        return [
            {
                "type": event["type"],
                "body": event["body"]
                | texts.get(event["body"].get("id"), {})
                | {"room": event["body"]["room"] | {"name": name}},
            }
            for number, event in self.published.items()
            if after < number <= version
        ]

    def frames(self, after: int) -> list[Json]:
        """Return what was published to me after a version."""
        return [
            event
            for version, event in self.published.items()
            if version > after
            and ME in self._audiences[version]
            and version not in self._only_logged
        ]

    def state(self, keep: int) -> Json:
        """Return everything that I see now."""
        if not self.is_mine(self.head):
            return {"rooms": [], "members": {}, "messages": {}}
        messages = self.messages(self.head, keep)
        last = messages[0] if messages else None
        return {
            "rooms": [self.room(self.head) | {"last_message": last}],
            "members": {ROOM: self.members(self.head)},
            "messages": {ROOM: messages},
        }
