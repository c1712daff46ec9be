"""`manage.py delete_rooms`."""

from collections.abc import Callable

import psycopg

from chat.actions.rooms import create_room
from chat.sql.database import run_call
from tests.support.processes import call_manage, run_manage


def test_rooms_are_deleted_by_hand(clone_database: Callable[[], str]) -> None:
    """All rows are gone when it returns; without ids it finishes what is open, which is nothing."""
    url = clone_database()
    with psycopg.connect(url, autocommit=True, row_factory=psycopg.rows.dict_row) as connection:
        rooms = [run_call(connection, create_room("room", ["alice"])).room.id for _ in range(2)]

        said = run_manage("delete_rooms", str(rooms[0]), DATABASE_URL=url)

        assert said.splitlines() == [
            f"Room {rooms[0]} is gone; it had 1 members.",
            "Deleted all rows of 1 rooms.",
        ]
        (left,) = connection.execute("SELECT array_agg(id) AS ids FROM chat_room")
        assert left["ids"] == rooms[1:]
    assert run_manage("delete_rooms", DATABASE_URL=url) == "Deleted all rows of 0 rooms.\n"


def test_an_unknown_room_is_named(clone_database: Callable[[], str]) -> None:
    """And so is what is no id at all."""
    url = clone_database()

    assert "There is no room 7." in call_manage("delete_rooms", "7", DATABASE_URL=url).stderr
    assert "x is not the id" in call_manage("delete_rooms", "x", DATABASE_URL=url).stderr
