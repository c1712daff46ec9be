"""Many are removed from a large room, or get other roles, at once: what is logged and queued."""

import secrets

import pytest

from chat.actions.caller import SERVICE
from chat.actions.desired_state import Step, WantedRoom, approach_room
from chat.actions.messages import send_messages
from chat.sql.database import run_call
from client.reducer import Outcome, Reducer
from tests.concurrency.conftest import Place
from tests.conftest import Connection
from tests.support.ledger import read_exact_ledger


class Roster:
    """A room whose members are given as a whole, in one transaction each time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._key = secrets.token_hex(8)

    def set(self, users: list[str], role: str | None = None) -> Step:
        """Make these the members."""
        wanted = WantedRoom("room", members=dict.fromkeys(users, role))
        return run_call(self._connection, approach_room(SERVICE, self._key, wanted, chunk=10_000))

    @property
    def room(self) -> int:
        """The id of the room."""
        (row,) = self._connection.execute(
            "SELECT id FROM chat_room WHERE external_id = %s", [self._key]
        )
        room: int = row["id"]
        return room


@pytest.fixture
def roster(connection: Connection) -> Roster:
    """Return the roster of a room of this test's own."""
    return Roster(connection)


@pytest.mark.parametrize(
    "before, leaving",
    [
        (200, 100),  # 100 events for 200 members are 20,000: not beyond the limit
        (201, 100),
        (142, 142),
        (141, 141),
        (1_500, 1_200),
        (1, 1),
    ],
)
def test_beyond_20000_deliveries_the_last_event_stands_for_all(
    place: Place, connection: Connection, roster: Roster, before: int, leaving: int
) -> None:
    """The log has every event. Who stays is sent one, who goes the own one, and nobody more."""
    users = place.users(before)
    roster.set(users)

    roster.set(users[leaving:])

    ledger = read_exact_ledger(connection, roster.room)
    removal = ledger.log[before:]
    is_bulk = leaving > 1 and leaving * before > 20_000
    assert {event["body"]["user"] for event in removal} == set(users[:leaving])
    assert {event["body"].get("first_version") for event in removal} == {
        before + 1 if is_bulk else None
    }
    assert ledger.members.keys() == set(users[leaving:])


def test_who_stays_and_who_goes_end_with_what_the_service_has(
    place: Place, connection: Connection, roster: Roster
) -> None:
    """By the events that each is sent, a member keeps the room's state, and who goes forgets it."""
    users = place.users(300)
    roster.set(users)
    room = roster.room
    before = read_exact_ledger(connection, room)
    held = {"id": room, **before.log[-1]["body"]["room"]}
    stays, goes, last = users[299], users[7], max(users[:150])
    clients = {user: Reducer(user) for user in (stays, goes, last)}
    for reducer in clients.values():
        reducer.replace(held, [{"user": user, "joined_at": ""} for user in users], [])

    roster.set(users[150:])
    run_call(connection, send_messages([place.message(room, "user299", "k")]))

    for queued in read_exact_ledger(connection, room).queued:
        for user, reducer in clients.items():
            if queued.version > held["version"] and f"personal:{user}" in queued.channels:
                assert reducer.receive(queued.event) is Outcome.APPLIED
    state = clients[stays].state()
    assert [one["member_count"] for one in state["rooms"]] == [150]
    assert clients[stays].version(room) == 451
    assert clients[stays].lacks_members(room)
    assert clients[goes].versions() == clients[last].versions() == {}


def test_the_log_of_a_bulk_removal_is_read_like_any_other(
    place: Place, connection: Connection, roster: Roster
) -> None:
    """A client that missed it all applies event after event, and knows every member."""
    users = place.users(300)
    roster.set(users)
    room = roster.room
    held = {"id": room, **read_exact_ledger(connection, room).log[-1]["body"]["room"]}
    reducer = Reducer(users[299])
    reducer.replace(held, [{"user": user, "joined_at": ""} for user in users], [])

    roster.set(users[150:])

    for event in read_exact_ledger(connection, room).log[300:]:
        assert reducer.receive(event) is Outcome.APPLIED
    assert not reducer.lacks_members(room)
    assert {member["user"] for member in reducer.state()["members"][room]} == set(users[150:])


def test_many_new_roles_are_one_event_too(
    place: Place, connection: Connection, roster: Roster
) -> None:
    """150 new roles in a room of 150 are in the log, and the last one is queued for everyone."""
    users = place.users(150)
    roster.set(users)

    roster.set(users, "moderator")

    rows = connection.execute(
        "SELECT payload #>> '{data,body,room,version}' AS version,"
        " payload #>> '{data,body,first_version}' AS first,"
        " payload #>> '{data,body,role}' AS role,"
        " json_array_length(payload -> 'channels') AS channels FROM chat_outbox"
        " WHERE payload #>> '{data,body,room,id}' = %s AND payload #>> '{data,type}' = %s",
        [str(roster.room), "member_updated"],
    ).fetchall()
    assert rows == [{"version": "300", "first": "151", "role": "moderator", "channels": 150}]


def test_ownership_passes_on_where_all_owners_go_at_once(
    place: Place, connection: Connection, roster: Roster
) -> None:
    """The room is never without an owner, whoever is removed with the one that it had."""
    users = place.users(300)
    roster.set(users[:2], "owner")
    roster.set(users)

    roster.set(users[2:])

    (row,) = connection.execute(
        "SELECT array_agg(user_id) AS owners FROM chat_member"
        " WHERE room_id = %s AND role = 'owner'",
        [roster.room],
    )
    assert row["owners"] == [users[2]]
