"""Rooms for the tests of the admin, and the events that were queued for clients."""

import re
import secrets
from typing import Any

from chat.actions.messages import NewMessage, delete_message, make_server_key, send_message
from chat.actions.rooms import create_room
from chat.sql.database import run_call
from tests.conftest import Connection
from tests.support.memberships import add_members


class Stage:
    """Rooms and users of one test, and the events that its changes caused."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        suffix = secrets.token_hex(4)
        self.alice, self.bob, self.charlie = (f"{name}-{suffix}" for name in ("al", "bo", "ch"))

    def make_room(self, *user_ids: str, name: str = "general") -> int:
        """Create a room and return its id."""
        return run_call(self.connection, create_room(name, user_ids)).room.id

    def add(self, room_id: int, *user_ids: str) -> None:
        """Add users."""
        run_call(self.connection, add_members(room_id, user_ids))

    def send(self, room_id: int, user_id: str, content: str = "hello") -> int:
        """Send a message and return its id."""
        message = NewMessage(room_id, user_id, make_server_key(), content)
        return run_call(self.connection, send_message(message)).message.id

    def delete(self, message_id: int) -> None:
        """Delete a message."""
        run_call(self.connection, delete_message(message_id))

    def find_member(self, room_id: int, user_id: str) -> int:
        """Return the key of a member's row."""
        (row,) = self.connection.execute(
            "SELECT id FROM chat_member WHERE room_id = %s AND user_id = %s", [room_id, user_id]
        )
        return int(row["id"])

    def list_members(self, room_id: int) -> list[str]:
        """Return who is in a room."""
        rows = self.connection.execute(
            "SELECT user_id FROM chat_member WHERE room_id = %s ORDER BY user_id", [room_id]
        )
        return [row["user_id"] for row in rows]

    def read_version(self, room_id: int) -> int:
        """Return how many events a room has had."""
        (row,) = self.connection.execute("SELECT version FROM chat_room WHERE id = %s", [room_id])
        return int(row["version"])

    def list_published(self, room_id: int, after: int = 0) -> list[dict[str, Any]]:
        """Return what was queued for the members of a room after a version, oldest first."""
        rows = self.connection.execute(
            "SELECT payload FROM chat_outbox"
            " WHERE (payload #>> '{data,body,room,id}')::bigint = %s"
            " AND (payload #>> '{data,body,room,version}')::bigint > %s ORDER BY id",
            [room_id, after],
        )
        return [row["payload"] for row in rows]


def read_messages(answer: Any) -> list[str]:
    """Return what a page says at its top."""
    found = re.findall(r'<li class="(?:success|info|error|warning)">(.*?)</li>', answer.text)
    return [re.sub(r"<[^>]+>", "", text) for text in found]


def read_errors(answer: Any) -> str:
    """Return what a page finds wrong with a form."""
    return " ".join(re.findall(r'<ul class="errorlist[^"]*"[^>]*>(.*?)</ul>', answer.text))
