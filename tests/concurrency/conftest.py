"""Sessions that meet in one room."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from chat.actions.messages import NewMessage
from chat.actions.rooms import create_room
from chat.sql.database import run_call
from tests.conftest import Connection
from tests.support.sessions import Session


class Place:
    """Users, rooms and messages of one test; the names are unique to it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._suffix = secrets.token_hex(4)

    def user(self, name: str) -> str:
        """Return a user id, the same for the same name."""
        return f"{name}-{self._suffix}"

    def users(self, count: int, name: str = "user") -> list[str]:
        """Return this many user ids."""
        return [self.user(f"{name}{n}") for n in range(count)]

    def room(self, *names: str) -> int:
        """Create a room with these users and return its id."""
        call = create_room("room", [self.user(name) for name in names])
        return run_call(self._connection, call).room.id

    def message(self, room_id: int, name: str, key: str, content: str = "hello") -> NewMessage:
        """Return a message of a user with a key."""
        return NewMessage(room_id, self.user(name), key, content)


@pytest.fixture
def place(connection: Connection) -> Place:
    """Return what is this test's alone."""
    return Place(connection)


@pytest.fixture
def open_session(database_url: str) -> Iterator[Callable[[], Session]]:
    """Open sessions that can be left waiting."""
    with ExitStack() as stack:

        def open_one() -> Session:
            session = Session(database_url)
            stack.callback(session.close)
            return session

        yield open_one


@pytest.fixture
def first(open_session: Callable[[], Session]) -> Session:
    """Return the session that comes first and holds the room."""
    return open_session()


@pytest.fixture
def second(open_session: Callable[[], Session]) -> Session:
    """Return the session that comes second and waits."""
    return open_session()
