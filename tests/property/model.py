"""What every write does, in plain Python: the model that the SQL functions are compared with."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from chat.actions.messages import NewMessage
from tests.support.ledger import BULK_LIMIT


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a call: a word for each part of it, and what else the answer has."""

    words: list[str]
    version: int | None = None
    seqs: list[int | None] = field(default_factory=list)
    ids: list[int | None] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ModelMessage:
    """A stored message."""

    user: str
    client_id: str
    content: str
    is_deleted: bool = False
    sent_content: str = ""
    """The text of a deleted message, by which a repeated send is compared."""


@dataclass(frozen=True, slots=True)
class ModelEvent:
    """An event, without the ids and times that a model cannot know."""

    version: int
    type: str
    user: str | None
    seq: int | None
    member_count: int


@dataclass(slots=True)
class ModelRoom:
    """A room."""

    name: str
    members: dict[str, int] = field(default_factory=dict)
    messages: list[ModelMessage] = field(default_factory=list)
    log: list[ModelEvent] = field(default_factory=list)
    queued: list[tuple[int, set[str]]] = field(default_factory=list)
    """The versions that are published, each with the users that it is sent to."""

    @property
    def version(self) -> int:
        """The number of the room's events."""
        return len(self.log)

    def add(self, users: Sequence[str]) -> list[str]:
        """Add users as one change; return a word for each distinct one."""
        wanted = list(dict.fromkeys(users))
        added = [user for user in wanted if user not in self.members]
        words = ["added" if user in added else "already" for user in wanted]
        self.members |= dict.fromkeys(added, self.version + 1)
        is_bulk = len(added) * len(self.members) > BULK_LIMIT
        for user in added:
            is_queued = user == added[-1] or not is_bulk
            self._log("user_joined", user, audience=set(self.members) if is_queued else set())
        return words

    def remove(self, user: str) -> str:
        """Remove a user."""
        if user not in self.members:
            return "not_member"
        audience = set(self.members)
        del self.members[user]
        self._log("user_left", user, audience=audience)
        return "removed"

    def send(self, message: NewMessage) -> tuple[str, int | None]:
        """Send a message; return the outcome and the seq."""
        new = ModelMessage(message.user_id, message.client_id, message.content)
        for seq, known in enumerate(self.messages, start=1):
            if (known.user, known.client_id) == (new.user, new.client_id):
                sent = known.sent_content if known.is_deleted else known.content
                if sent == new.content:
                    return "duplicate", seq
                return ("conflict" if new.user in self.members else "not_member"), None
        if new.user not in self.members:
            return "not_member", None
        self.messages.append(new)
        self._log("message_added", new.user, seq=len(self.messages), audience=set(self.members))
        return "sent", len(self.messages)

    def delete(self, seq: int) -> str:
        """Delete a message's text; its key still belongs to it."""
        message = self.messages[seq - 1]
        if message.is_deleted:
            return "already"
        self.messages[seq - 1] = replace(
            message, content="", is_deleted=True, sent_content=message.content
        )
        self._log("message_deleted", message.user, seq=seq, audience=set(self.members))
        return "deleted"

    def rename(self, name: str) -> str:
        """Give the room another name."""
        if name == self.name:
            return "unchanged"
        self.name = name
        self._log("room_updated", None, audience=set(self.members))
        return "renamed"

    def _log(
        self, kind: str, user: str | None, *, audience: set[str], seq: int | None = None
    ) -> None:
        event = ModelEvent(self.version + 1, kind, user, seq, len(self.members))
        self.log.append(event)
        if audience:
            self.queued.append((event.version, audience))


@dataclass(slots=True)
class Model:
    """All rooms by id."""

    rooms: dict[int, ModelRoom] = field(default_factory=dict)

    def create_room(self, room_id: int, name: str, users: Sequence[str]) -> None:
        """Create a room with its first members."""
        self.rooms[room_id] = ModelRoom(name)
        self.rooms[room_id].add(users)

    def add_members(self, room_id: int, users: Sequence[str]) -> Answer:
        """Add users."""
        room = self.rooms.get(room_id)
        if room is None:
            return Answer(["room_not_found"])
        words = room.add(users)
        return Answer(words, room.version)

    def remove_member(self, room_id: int, user: str) -> Answer:
        """Remove a user."""
        room = self.rooms.get(room_id)
        if room is None:
            return Answer(["room_not_found"])
        word = room.remove(user)
        return Answer([word], room.version)

    def send(self, messages: Sequence[NewMessage]) -> Answer:
        """Send messages."""
        outcomes = [
            self.rooms[message.room_id].send(message)
            if message.room_id in self.rooms
            else ("not_member", None)
            for message in messages
        ]
        return Answer([word for word, _ in outcomes], seqs=[seq for _, seq in outcomes])
