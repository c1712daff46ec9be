"""Two ways to do everything a user or the host can do: the SQL functions, and the HTTP API."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, LiteralString, Protocol
from urllib.parse import quote

import httpx
import msgspec

from chat.actions.messages import NewMessage
from chat.errors import NotAMemberError
from chat.queries.events import list_events
from chat.queries.keyset import Slice
from chat.queries.members import Reader, list_members
from chat.queries.messages import Window, list_messages
from chat.queries.rooms import list_rooms
from chat.realtime.channels import describe_invalid_user_id
from chat.sql.database import run_call
from tests.conftest import Connection
from tests.property.model import Answer
from tests.support.actors import Actor, Cast, make_token

Json = dict[str, Any]
_PAGE = 7
"""A size that makes most lists several pages long."""
_ALL = 1_000_000


class Driver(Protocol):
    """Every write, each answered in the words of the functions, and every read of a client."""

    def say(self, call: str, words: list[str]) -> list[str]:
        """Return the words of a function in the form that this way of calling it has."""

    def create_room(self, name: str, users: Sequence[str]) -> int | None:
        """Create a room and return its id, or None where a user is refused."""

    def add_members(self, room_id: int, users: Sequence[str]) -> Answer:
        """Add users."""

    def remove_member(self, room_id: int, user: str) -> Answer:
        """Remove a user."""

    def join(self, room_id: int, user: str) -> Answer:
        """Join."""

    def leave(self, room_id: int, user: str) -> Answer:
        """Leave."""

    def send(self, messages: Sequence[NewMessage]) -> Answer:
        """Send messages."""

    def list_rooms(self, user: str) -> list[Json]:
        """Return a user's rooms in their order."""

    def list_members(self, user: str, room_id: int) -> list[Json]:
        """Return a room's members in their order."""

    def list_messages(self, user: str, room_id: int) -> list[Json]:
        """Return a room's messages, newest first."""

    def list_events(self, user: str, room_id: int, after: int) -> list[Json] | None:
        """Return a room's events after a version, or None for a stranger."""


class SqlDriver:
    """Calls the functions and the statements."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def say(self, call: str, words: list[str]) -> list[str]:  # noqa: ARG002 - of the protocol
        """Return the words unchanged."""
        return words

    def create_room(self, name: str, users: Sequence[str]) -> int | None:
        """Call the function."""
        (row,) = self._call("chat.create_room(%s, %s::text[])", name, list(users))
        assert (row["outcome"] == "created") == (row["room"] is not None)
        return None if row["room"] is None else row["room"]["id"]

    def add_members(self, room_id: int, users: Sequence[str]) -> Answer:
        """Call the function."""
        rows = self._call("chat.add_members(%s, %s::text[])", room_id, list(users))
        words = [row["outcome"] for row in rows]
        if rows and rows[0]["room"] is not None:
            assert [row["user_id"] for row in rows] == list(dict.fromkeys(users))
            return Answer(words, rows[0]["room"]["version"])
        return Answer(words)

    def remove_member(self, room_id: int, user: str) -> Answer:
        """Call the function."""
        (row,) = self._call("chat.remove_member(%s, %s)", room_id, user)
        return Answer([row["outcome"]], row["room"]["version"] if row["room"] else None)

    def join(self, room_id: int, user: str) -> Answer:
        """Call the function."""
        return self.add_members(room_id, [user])

    def leave(self, room_id: int, user: str) -> Answer:
        """Call the function."""
        return self.remove_member(room_id, user)

    def send(self, messages: Sequence[NewMessage]) -> Answer:
        """Call the function."""
        rows = self._call(
            "chat.send_messages(%s::bigint[], %s::text[], %s::text[], %s::text[])",
            [message.room_id for message in messages],
            [message.user_id for message in messages],
            [message.client_id for message in messages],
            [message.content for message in messages],
        )
        rows.sort(key=lambda row: row["ordinal"])
        assert [row["ordinal"] for row in rows] == list(range(1, len(messages) + 1))
        return Answer(
            [row["outcome"] for row in rows],
            seqs=[row["message_seq"] for row in rows],
            ids=[row["message_id"] for row in rows],
        )

    def _call(self, function: LiteralString, *values: object) -> list[Json]:
        return self._connection.execute("SELECT * FROM " + function, values).fetchall()

    def list_rooms(self, user: str) -> list[Json]:
        """Run the statement."""
        rooms = run_call(self._connection, list_rooms(user, Slice(_ALL)))
        return [json.loads(bytes(room)) for room in rooms]

    def list_members(self, user: str, room_id: int) -> list[Json]:
        """Run the statement."""
        members = run_call(self._connection, list_members(room_id, Reader(user), Slice(_ALL)))
        return [msgspec.to_builtins(member) for member in members]

    def list_messages(self, user: str, room_id: int) -> list[Json]:
        """Run the statement."""
        messages = run_call(self._connection, list_messages(room_id, user, Window(older=_ALL)))
        return [json.loads(bytes(message)) for message in messages]

    def list_events(self, user: str, room_id: int, after: int) -> list[Json] | None:
        """Run the statement."""
        call = list_events(room_id, user, after=after, limit=_ALL)
        try:
            return [json.loads(bytes(event)) for event in run_call(self._connection, call)]
        except NotAMemberError:
            return None


_STATUS_OF_WORD = {
    "added": 200,
    "already": 200,
    "removed": 204,
    "sent": 201,
    "duplicate": 200,
    "conflict": 409,
    "not_member": 404,
    "room_not_found": 404,
    "invalid_user": 422,
}


class HttpDriver:
    """Calls the API, page by page; its answers say less than the functions'."""

    def __init__(self, cast: Cast) -> None:
        self._cast = cast
        self._host = cast.service()
        self._actors: dict[str, Actor] = {}
        self._listening: set[str] = set()

    def _user(self, user: str) -> Actor:
        if user not in self._actors:
            self._actors[user] = self._cast.with_token(make_token(user), user)
        return self._actors[user]

    def _listen(self, users: Iterable[str]) -> None:
        """Let the users listen before they are members: then they are sent every event."""
        for user in set(users) - self._listening:
            self._listening.add(user)
            if describe_invalid_user_id(user) is None:
                self._user(user).listen()

    def say(self, call: str, words: list[str]) -> list[str]:
        """Return the statuses for the words."""
        if call in {"remove_member", "leave"} and words == ["not_member"]:
            words = ["removed"]
        return [str(_STATUS_OF_WORD[word]) for word in words]

    def create_room(self, name: str, users: Sequence[str]) -> int | None:
        """POST the room."""
        self._listen(users)
        answer = self._host.post("/api/rooms/", {"name": name, "members": users})
        assert answer.status_code in {201, 422}, answer.text
        return answer.json()["id"] if answer.status_code == 201 else None

    def add_members(self, room_id: int, users: Sequence[str]) -> Answer:
        """POST the members."""
        self._listen(users)
        answer = self._host.post(f"/api/rooms/{room_id}/members/", {"users": users})
        if answer.status_code != 200:
            return Answer([str(answer.status_code)])
        body = answer.json()
        assert sorted(body["added"] + body["already"]) == sorted(set(users))
        return Answer(["200"] * len(set(users)))

    def remove_member(self, room_id: int, user: str) -> Answer:
        """DELETE the member."""
        answer = self._host.delete(f"/api/rooms/{room_id}/members/{quote(user, safe='')}/")
        return Answer([str(answer.status_code)])

    def join(self, room_id: int, user: str) -> Answer:
        """POST the join."""
        self._listen([user])
        return self._read_membership(self._user(user).post(f"/api/rooms/{room_id}/join/"), "200")

    def leave(self, room_id: int, user: str) -> Answer:
        """POST the leave."""
        return self._read_membership(self._user(user).post(f"/api/rooms/{room_id}/leave/"), "204")

    def _read_membership(self, answer: httpx.Response, word: str) -> Answer:
        if answer.status_code != 200:
            return Answer([str(answer.status_code)])
        return Answer([word], answer.json()["room"]["version"])

    def send(self, messages: Sequence[NewMessage]) -> Answer:
        """POST one message after the other."""
        answers = [
            self._user(message.user_id).send(message.room_id, message.content, message.client_id)
            for message in messages
        ]
        bodies = [answer.json() for answer in answers]
        return Answer(
            [str(answer.status_code) for answer in answers],
            seqs=[body.get("seq") for body in bodies],
            ids=[body.get("id") for body in bodies],
        )

    def _read_pages(self, user: str, path: str, **parameters: int) -> list[Json] | None:
        found: list[Json] = []
        answer = self._user(user).get(path, limit=_PAGE, **parameters)
        while True:
            if answer.status_code == 404:
                return None
            assert answer.status_code == 200, answer.text
            page = answer.json()
            found += page["results"]
            if page["next"] is None:
                return found
            answer = self._user(user).http.get(page["next"])

    def list_rooms(self, user: str) -> list[Json]:
        """GET the rooms."""
        return self._read_pages(user, "/api/rooms/") or []

    def list_members(self, user: str, room_id: int) -> list[Json]:
        """GET the members."""
        return self._read_pages(user, f"/api/rooms/{room_id}/members/") or []

    def list_messages(self, user: str, room_id: int) -> list[Json]:
        """GET the messages."""
        return self._read_pages(user, f"/api/rooms/{room_id}/messages/") or []

    def list_events(self, user: str, room_id: int, after: int) -> list[Json] | None:
        """GET the events."""
        return self._read_pages(user, f"/api/rooms/{room_id}/events/", after=after)
